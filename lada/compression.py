"""Compression in rounds, in any training loop.

A `Compression` lowers ranks and prunes a student in place before the steps of its schedule. It
needs no Trainer. In your own loop::

    for step, batch in enumerate(batches):
        compression.before_step(step, optimizer)
        loss_of(compression.model, batch).backward()
        compression.after_backward()
        optimizer.step()
        optimizer.zero_grad()

`lada.training.callbacks.HybridCompressionCallback` does this in a Lightning Trainer,
`lada.training.hf.CompressionTrainerCallback` in the Hugging Face Trainer.
"""

import weakref
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Protocol, cast, runtime_checkable

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from lada.distilling import distillation_loss
from lada.errors import LadaError
from lada.methods.base import Follower, Objective, part_of
from lada.nn.compressed import Compressed, compressed_layers
from lada.nn.guarded import guard
from lada.nn.memory import has_memory, remember_, remembers, separated_parameters
from lada.nn.rounds import forget_
from lada.ops.plan import Plan, Round

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from lada.heads.base import Head

CALL = "Call compression.before_step(step, optimizer) before every optimizer step"


class Compressor(Protocol):
    """The part of a method that a compression needs."""

    def compress_(self, student: Any, round_: Round) -> set[str]:
        """Compress in place; returns the layers whose values were all recomputed."""
        ...


@runtime_checkable
class GradientWatcher(Protocol):
    """A method whose scores are computed from gradients, those of pruned entries too.

    Scores of what is not pruned need no watcher: the layers have a memory (`lada.nn.memory`).
    """

    def watch_(self, student: Any, gradients: Mapping[str, Tensor]) -> None:
        """Take the gradients of an optimizer step before those of pruned entries become zero.

        State from them belongs into buffers of the student, so that it is saved with it.

        Args:
            gradients: by the name of the parameter, of its shape, summed over the backward passes
                of the step, of this process alone. Columns beyond the active rank are zero.
        """
        ...


class Compression:
    """The rounds of compression of one student.

    Pruned entries stay zero by themselves (`lada.nn.compressed`). A loop must call `before_step`.
    If it does not, the next call, the optimizer's next step, `lada.save` and exports raise an
    error.

    Args:
        model: the student, as built by the method.
        method: compresses it.
        plan: the rank and the unpruned entries of each round.
        at: ascending optimizer steps, one per round; the first is 0. Round k takes place before
            step ``at[k]``.
        head: the kind of the task, for `distillation_loss`; None: one whose outputs are logits per
            example.

    Attributes:
        model: the student.
        plan: as given.
        at: as given.
        round: index of the last round done; -1 before the first.

    Raises:
        LadaError: the numbers of steps and rounds differ, or the steps do not ascend from 0.

    Example:
        >>> import lada, torch
        >>> from transformers import BertConfig, BertForSequenceClassification
        >>> classifier = BertForSequenceClassification(BertConfig(
        ...     vocab_size=2000, hidden_size=32, num_hidden_layers=2, num_attention_heads=2,
        ...     intermediate_size=64, max_position_embeddings=32))
        >>> compression = lada.prepare(classifier, target=4, steps=20)
        >>> optimizer = torch.optim.AdamW(compression.model.parameters(), lr=1e-3)
        >>> compression.before_step(0, optimizer)  # the first round
        [0]
        >>> optimizer.step()
        >>> optimizer.step()  # before_step(1, optimizer) is missing
        Traceback (most recent call last):
        ...
        lada.errors.LadaError: compression: round 2 of 8 was due before step 1 and was not done. ...
    """

    def __init__(
        self,
        model: "PreTrainedModel",
        method: Compressor,
        plan: Plan,
        at: Sequence[int],
        head: "Head | None" = None,
    ):
        if len(at) != len(plan.rounds):
            raise LadaError(f"at: has {len(at)} steps, the plan {len(plan.rounds)} rounds.")
        if at[0] != 0 or any(b <= a for a, b in pairwise(at)):
            raise LadaError(f"at={list(at)}: the steps must rise from 0.")
        self.model = model
        self.plan = plan
        self.at = tuple(at)
        self.round = -1
        self._method = method
        self._head = head
        self._step = 0  # the next optimizer step
        self._called = -1  # the last step that was announced
        self._loaded = False
        self._revived: Tensor | None = None
        self._gradients: dict[str, Tensor] = {}
        self._separated: dict[str, Tensor] = {}
        self._separating = False
        self._watched: weakref.WeakSet[Optimizer] = weakref.WeakSet()
        self._follower: Follower | None = part_of(method, Follower)
        self._watcher: GradientWatcher | None = part_of(method, GradientWatcher)
        if self._watcher is not None:
            self._watch_gradients()
        guard(model, self.check)

    @property
    def ratio(self) -> float:
        """How many times smaller the student currently is, by the plan."""
        return self.plan.rounds[self.round].ratio if self.round >= 0 else 1.0

    @property
    def finished(self) -> bool:
        """Whether the last round was done: the student has its target size."""
        return self.round == len(self.at) - 1

    def before_step(self, step: int, *optimizers: Any) -> list[int]:
        """Do the rounds that are due before optimizer step ``step``.

        The optimizer state of all entries that a round changes is cleared. Under torch.distributed
        every process takes the result of process 0.

        Args:
            step: number of optimizer steps done before, from 0.
            optimizers: that train the student; also wrapped ones (of Lightning, of accelerate).
                None is needed before the first step of a training.

        Returns:
            Indices of the rounds that were done, usually none.

        Raises:
            LadaError: a round that was due before an earlier step was not done, the step is before
                a round that was done, a pruned entry is not zero, or a score by gradients has seen
                none.
        """
        found = [_unwrapped(optimizer) for optimizer in optimizers]
        if self.round >= 0 and step < self.at[self.round]:
            raise LadaError(
                f"before_step({step}): round {self.round + 1} was done before step "
                f"{self.at[self.round]}. To resume, load the state of the compression too."
            )
        due = self._next_due()
        if due is not None and due < step and step > self._called + 1 and not self._watched:
            self._raise_overdue()
        self._check_overdue(0)
        self._check_pruned()
        if self._loaded:
            self._check_loaded()
        self._step = self._called = step
        done = []
        while (due := self._next_due()) is not None and due <= step:
            self._compress_(self.round + 1, found)
            done.append(self.round)
        if self._follower is not None and not done:
            self._follower.follow_(self.model, self.plan.rounds[self.round])
        for optimizer in found:
            self._watch(optimizer)
        return done

    def separate(self, predictions: Tensor) -> None:
        """Take the gradient of a part of the loss into what `after_backward` remembers.

        For scores by the gradients of the predictions' loss alone (``method.score=grain`` and
        ``method=grain``); with others, and after the last round, nothing is done. The method
        `distillation_loss` calls it itself. With another loss, call it before each backward pass;
        if it is not called in a step, the gradients of the whole loss count.

        Args:
            predictions: the loss of the predictions, (), part of the loss whose backward pass
                follows; its graph is kept.
        """
        params = {} if self.finished else separated_parameters(self.model)
        if not params or not predictions.requires_grad:
            return
        self._separating = True
        try:
            with torch.autocast(predictions.device.type, enabled=False):
                found = torch.autograd.grad(
                    predictions, list(params.values()), retain_graph=True, allow_unused=True
                )
        finally:
            self._separating = False
        for name, gradient in zip(params, found, strict=True):
            if gradient is not None:
                before = self._separated.get(name)
                self._separated[name] = gradient if before is None else before + gradient

    def after_backward(self) -> None:
        """Call once per optimizer step, after its last backward pass and before clipping.

        It takes the gradients into the memory of scores that are computed from them (movement,
        platon, grain), and passes them to a method that watches them.

        Raises:
            LadaError: the round that is due before this step was not done.
        """
        self._check_overdue(1)
        if not self.finished:
            remember_(self.model, self._take_separated())
        if self._watcher is not None:
            self._watcher.watch_(self.model, self._gradients)
            self._gradients = {}

    def distillation_loss(
        self,
        batch: Mapping[str, Tensor],
        *,
        teacher: "PreTrainedModel | None" = None,
        model: Any = None,
    ) -> Tensor:
        """The loss of the method for one batch, a scalar; for compressions of `lada.prepare`.

        Means are over the batch's examples and tokens; padding does not count.

        Args:
            batch: ``input_ids`` and ``attention_mask``, (batch, length) int64; ``token_type_ids``
                of the same shape, or none; ``labels``, if the loss uses them: (batch,), or what
                the kind of the task has; of words with tags, (batch, length) with -100 where a
                token has none.
            teacher: the model given to `lada.prepare`; it is not changed.
            model: the wrapper of the student, such as DDP; None: the student itself.

        Raises:
            LadaError: the teacher or a part of the batch is missing.
        """
        objective = cast(Objective, self._method)
        return distillation_loss(
            objective, self.model, teacher, batch, model, self._head, self.separate
        )

    def check(self) -> None:
        """Check that no round was missed so far; `lada.save` and exports call it themselves.

        Raises:
            LadaError: no round was done, one is overdue, or a pruned entry is not zero.
        """
        if self.round < 0:
            self._raise_overdue()
        self._check_overdue(0)
        self._revived = None
        self._check_pruned()

    def state_dict(self) -> dict[str, Any]:
        """The state for a checkpoint besides that of model and optimizer; plain values."""
        return {
            "round": self.round,
            "step": self._step,
            "at": list(self.at),
            "target": self.plan.target,
            "ratios": [round_.ratio for round_ in self.plan.rounds],
            **({"ranks": self.plan.ranks} if self.plan.spectral else {}),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Load the state of a compression of the same plan. Load the model's state as well.

        Raises:
            LadaError: the state is of another plan, or of none.
        """
        ours = self.state_dict()
        lacking = sorted(ours.keys() - state.keys())
        if lacking:
            raise LadaError(f"compression: its state has no {lacking[0]!r}. Start again.")
        for name in ("target", "at", "ratios"):
            if state[name] != ours[name]:
                raise LadaError(
                    f"compression: its state has {name}={state[name]}, this one has {ours[name]}. "
                    "Give the same settings, or start again."
                )
        for name, ranks in ours.get("ranks", {}).items():
            if state["ranks"].get(name) != ranks:
                raise LadaError(
                    f"compression: its state plans ranks {state['ranks'].get(name)} for {name}, "
                    f"this one {ranks}: spectra are rounded otherwise on other machines. Resume "
                    "where it was made, or start again."
                )
        self.round, self._step = int(state["round"]), int(state["step"])
        self._called = self._step
        self._loaded = True
        self._revived = None

    def _compress_(self, index: int, optimizers: Sequence[Optimizer]) -> None:
        if index > 0:
            self._check_remembered(index)
        renewed = self._method.compress_(self.model, self.plan.rounds[index])
        if torch.distributed.is_initialized() and torch.distributed.get_world_size() > 1:
            # Every process has computed the same, up to rounding on other processors.
            for layer in compressed_layers(self.model).values():
                layer.take_from_rank_zero_()
        for optimizer in optimizers:
            forget_(optimizer, self.model, renewed)
        self.round = index

    def _check_remembered(self, index: int) -> None:
        """Raise if a round would be by gradients that no layer has seen."""
        layers = [layer for layer in compressed_layers(self.model).values() if remembers(layer)]
        if layers and not has_memory(layers):
            score = layers[0].memory
            key = "method=grain" if score is None else f"method.score={score}"
            raise LadaError(
                f"{key}: round {index + 1} is by the gradients of the steps before "
                "it, and none was given that is finite and not zero. Call "
                "compression.after_backward() before every optimizer step."
            )

    def _take_separated(self) -> dict[str, Tensor]:
        """The separated gradients of the step, averaged over processes; none afterwards."""
        found, self._separated = self._separated, {}
        if found and torch.distributed.is_initialized():
            # DDP averages what backward passes accumulate; these are of this process alone.
            count = torch.distributed.get_world_size()
            for gradient in found.values() if count > 1 else ():
                torch.distributed.all_reduce(gradient)
                gradient /= count
        return found

    def _next_due(self) -> int | None:
        """The step before which the next round takes place; None after the last round."""
        return None if self.finished else self.at[self.round + 1]

    def _check_overdue(self, ahead: int) -> None:
        """Raise if the next round was due before a step that was done, or ``ahead`` of them."""
        due = self._next_due()
        if due is not None and self._step + ahead > due:
            self._raise_overdue()

    def _raise_overdue(self) -> None:
        raise LadaError(
            f"compression: round {self.round + 2} of {len(self.at)} was due before step "
            f"{self._next_due()} and was not done. {CALL}."
        )

    def _watch(self, optimizer: Optimizer) -> None:
        """Count the steps of an optimizer that trains the student."""
        if optimizer in self._watched:
            return
        layers = compressed_layers(self.model).values()
        ours = {id(p) for layer in layers for p in layer.parameters()}
        theirs = {id(p) for group in optimizer.param_groups for p in group["params"]}
        if not ours & theirs:
            return
        self._watched.add(optimizer)
        owner = weakref.ref(self)

        def before(*_: Any) -> None:
            compression = owner()
            if compression is not None:
                compression._check_overdue(1)

        def after(*_: Any) -> None:
            compression = owner()
            if compression is not None:
                compression._step += 1

        optimizer.register_step_pre_hook(before)
        optimizer.register_step_post_hook(after)

    def _check_pruned(self) -> None:
        """Raise if a pruned entry is not zero; on a GPU, the check is of the call before.

        So no step has to wait for the device.
        """
        if self._revived is not None and bool(self._revived):
            self._raise_revived()
        layers = compressed_layers(self.model).values()
        counts = [c for layer in layers for c in layer.count_revived()]
        if not counts:
            self._revived = None
            return
        total = torch.stack(counts).sum()
        waits = total.is_cuda and self._revived is not None
        self._revived = total
        if not waits and bool(total):
            self._raise_revived()

    def _raise_revived(self) -> None:
        for name, layer in compressed_layers(self.model).items():
            count = sum(int(c) for c in layer.count_revived())
            if count:
                raise LadaError(
                    f"compression: {count:,} pruned entries of {name} are not zero: an optimizer "
                    f"with moments for them has stepped, or other code wrote into them. {CALL}, "
                    "and layer.apply_masks_() after other changes."
                )

    def _check_loaded(self) -> None:
        """Raise if the model is not at the round of the loaded state."""
        self._loaded = False
        if self.round < 0:
            return
        layers = compressed_layers(self.model)
        for share in self.plan.rounds[self.round].shares:
            rank = getattr(layers[share.name], "rank", None)
            wanted = getattr(share, "rank", None)
            if wanted is not None and rank is not None and rank != wanted:
                raise LadaError(
                    f"compression: {share.name} has rank {rank}, but after round {self.round + 1} "
                    f"it has {wanted}. Load the model's state of the same checkpoint."
                )

    def _watch_gradients(self) -> None:
        owner = weakref.ref(self)
        for name, layer, part in _parts(self.model):
            param = getattr(layer, part)

            def note(gradient: Tensor, key: str = f"{name}.{part}") -> None:
                compression = owner()
                if compression is not None and not compression._separating:
                    seen = compression._gradients.get(key)
                    compression._gradients[key] = (
                        gradient.detach().clone() if seen is None else seen + gradient.detach()
                    )

            param.register_hook(note)


def _parts(model: nn.Module) -> list[tuple[str, Compressed, str]]:
    return [(n, layer, p) for n, layer in compressed_layers(model).items() for p in layer.masks]


def _unwrapped(optimizer: Any) -> Optimizer:
    """The optimizer itself: Lightning and accelerate wrap it."""
    while isinstance(getattr(optimizer, "optimizer", None), Optimizer):
        optimizer = optimizer.optimizer
    if not isinstance(optimizer, Optimizer):
        raise LadaError(f"before_step: {type(optimizer).__name__} is not a torch optimizer.")
    return optimizer
