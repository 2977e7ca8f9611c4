"""The loss of a method, for training loops outside of this project."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from lada.data.batches import NO_LABEL
from lada.errors import LadaError
from lada.methods.base import Objective, loss_of_predictions
from lada.nn.capture import IMPLEMENTATIONS, Outputs, forward, set_attention

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from lada.heads.base import Head


def distillation_loss(
    objective: Objective,
    student: "PreTrainedModel",
    teacher: "PreTrainedModel | None",
    batch: Mapping[str, Tensor],
    wrapped: Any = None,
    head: "Head | None" = None,
    separate: Callable[[Tensor], None] = lambda predictions: None,
) -> Tensor:
    """The loss of one batch, a scalar.

    Means are over the batch's examples, tokens and pairs of tokens; padding does not count.

    Args:
        objective: defines the loss.
        student: the compressed classifier.
        teacher: the dense classifier; None if the loss needs none. Apart from gradients, both are
            not changed.
        batch: ``input_ids`` and ``attention_mask``, (batch, length) int64; ``token_type_ids`` of
            the same shape, or none; ``labels``, if the loss needs them: (batch,), or as the kind
            of the task has them.
        wrapped: the wrapper of the student, such as DDP; None: the student itself.
        head: the kind of the task; None: one whose outputs are logits per example.
        separate: is given the part of the loss that is of the predictions, if others are beside it.

    Raises:
        LadaError: the teacher or a part of the batch is missing, or the teacher is the student.
    """
    for name in ("input_ids", "attention_mask"):
        if name not in batch:
            raise LadaError(f"batch: has no {name}. Give what the tokenizer returns.")
    mask = batch["attention_mask"]
    lengths = mask.sum(1).double()
    totals = torch.stack([lengths.new_tensor(len(mask)), lengths.sum(), lengths.square().sum()])
    full = {"token_type_ids": torch.zeros_like(batch["input_ids"]), **batch}
    full["totals"] = totals.float()
    per_token = head is not None and head.per_token and "labels" in full
    full["targets"] = (
        (full["labels"] != NO_LABEL).sum().clamp(min=1) if per_token else full["totals"][0]
    )
    needs: dict[str, Any] = {"hidden": objective.hidden, "attentions": objective.maps is not None}
    needs["output"] = None if head is None else head.output
    theirs = Outputs(torch.empty(0), (), ())
    if objective.taught:
        if teacher is None or teacher is student:
            what = "is not given" if teacher is None else "is the student"
            raise LadaError(f"teacher: {what}. Give the model that prepare was given.")
        with torch.no_grad(), _evaluating(teacher), _giving(teacher, objective.maps):
            theirs = forward(teacher, full, **needs)
    with _giving(student, objective.maps):
        ours: Outputs = forward(student if wrapped is None else wrapped, full, **needs)
    try:
        terms = objective.losses(ours, theirs, full, 0.0)
    except KeyError as error:
        raise LadaError(
            f"batch: has no {error.args[0]}, which the loss of this method needs."
        ) from None
    if (predictions := loss_of_predictions(terms)) is not None:
        separate(predictions)
    return torch.stack([weight * term for weight, term in terms.values()]).sum()


@contextmanager
def _giving(model: "PreTrainedModel", maps: str | None) -> Iterator[None]:
    """Make a model return attention maps; its own attention is faster but returns none."""
    before = model.config._attn_implementation
    if maps is None or before == IMPLEMENTATIONS[maps]:
        yield
        return
    set_attention(model, maps)
    try:
        yield
    finally:
        model.set_attn_implementation(before)


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    """Turn dropout off; each module gets its mode back afterwards."""
    training = [module for module in model.modules() if module.training]
    for module in training:
        module.training = False
    try:
        yield
    finally:
        for module in training:
            module.training = True
