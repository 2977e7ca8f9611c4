"""The interface of all engines that run a model: a function from a batch to its outputs."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

Batch = dict[str, Tensor]
Run = Callable[[Batch], Tensor]

INPUTS = ("input_ids", "attention_mask", "token_type_ids")
"""Of a model, in order; families without token types have the first two."""


def as_inputs(batch: Batch) -> dict[str, Any]:
    """A batch as numpy arrays, for engines other than torch."""
    return {name: batch[name].numpy() for name in INPUTS if name in batch}


OUTPUTS = (("logits",), ("start_logits", "end_logits"), ("last_hidden_state",))
"""The names of what models give, by transformers: classifiers, question answering, encoders."""


def names_of(out: Mapping[str, Any]) -> tuple[str, ...]:
    """Which of `OUTPUTS` a model's output has."""
    return next(names for names in OUTPUTS if names[0] in out)


def joined(parts: Sequence[Tensor]) -> Tensor:
    """The parts of an output as one tensor: start and end are the last dimension of two."""
    return parts[0] if len(parts) == 1 else torch.stack(tuple(parts), -1)


def outputs_of(out: Mapping[str, Any]) -> Tensor:
    """What a model gives for a batch.

    Returns:
        logits (examples, classes) or (examples, length, classes); of question answering (examples,
        length, 2); of an encoder its last hidden states, (examples, length, width).
    """
    return joined([out[name] for name in names_of(out)])


def torch_runner(model: nn.Module) -> Run:
    """A function from a batch to `outputs_of` the model."""

    def run(batch: Batch) -> Tensor:
        with torch.no_grad():
            return outputs_of(model(**batch))

    return run
