"""What every method says: its student, its loss, its compression plan (or None).

Most are two shared parts: a structure (`lada.methods.structures`), which says what the student is
made of, and an objective (`lada.methods.objectives`), which says what it learns from.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor
from transformers import PreTrainedModel

from lada.nn.capture import Outputs
from lada.nn.projection import Projection
from lada.ops.plan import Plan, Round

Terms = dict[str, tuple[float, Tensor]]
"""Terms of a loss by name: weight and scalar."""


class Structure(Protocol):
    """What a student is made of."""

    def plan(self, dense: PreTrainedModel, rounds: int) -> Plan:
        """What is kept at every round; a student that is small by shape alone has a single one.

        Args:
            dense: the teacher, or what it starts from: its shape counts alone. What a plan takes
                of its weights is known to the method (`lada.methods.settings.Context.spectra`).

        Raises:
            LadaError: the target or the settings cannot be met.
        """
        ...

    def build(self, teacher: PreTrainedModel, plan: Plan) -> PreTrainedModel:
        """The student, before its first round. The teacher is not modified."""
        ...

    def compress_(self, student: PreTrainedModel, round_: Round) -> set[str]:
        """Compress in place; returns the layers whose values were all computed anew."""
        ...


class Objective(Protocol):
    """What a student learns from."""

    @property
    def trained(self) -> bool:
        """Whether there is a training at all."""
        ...

    @property
    def taught(self) -> bool:
        """Whether the loss depends on the teacher."""
        ...

    @property
    def maps(self) -> str | None:
        """Which attention maps the loss needs (`lada.nn.capture.IMPLEMENTATIONS`), or None."""
        ...

    @property
    def hidden(self) -> bool:
        """Whether the loss needs hidden states."""
        ...

    @property
    def partial(self) -> bool:
        """Whether parameters have no gradient at times, since the loss does not reach them."""
        ...

    def projection(self, student: PreTrainedModel, teacher: PreTrainedModel) -> Projection | None:
        """What brings the student's states to the teacher's width; trained along, then dropped."""
        ...

    def losses(
        self, student: Outputs, teacher: Outputs, batch: dict[str, Tensor], progress: float
    ) -> Terms:
        """Terms of the loss by name: weight and scalar. The loss is the weighted sum.

        ``batch`` may be a part of what an optimizer step learns from: means are taken over the
        whole, whose examples, tokens and pairs of tokens are its ``totals`` (3,). ``progress`` is
        the fraction of the training's steps that were made, from 0 to 1. The student's states are
        projected already.
        """
        ...


class Method(Structure, Objective, Protocol):
    """One way to make a smaller model out of a teacher."""


OF_PREDICTIONS = frozenset({"prediction", "labels"})
"""The terms of a loss that are of the outputs alone."""


def loss_of_predictions(terms: Mapping[str, tuple[float, Tensor]]) -> Tensor | None:
    """The part of a loss that is of the outputs; None if that is all of it, or none.

    Args:
        terms: of `Objective.losses`.
    """
    found = [weight * term for name, (weight, term) in terms.items() if name in OF_PREDICTIONS]
    return torch.stack(found).sum() if 0 < len(found) < len(terms) else None


@runtime_checkable
class Follower(Protocol):
    """A structure whose masks follow trained parameters, before every optimizer step."""

    def follow_(self, student: Any, round_: Round) -> None:
        """Update the masks in place; ``round_`` is the last one that was done."""
        ...


@runtime_checkable
class Regularizer(Protocol):
    """A structure with terms of the loss that are of the student's parameters alone."""

    def penalties(self, student: Any, progress: float) -> Terms:
        """Terms by name, as of `Objective.losses`: weight and scalar."""
        ...


def part_of(method: Any, protocol: Any) -> Any:
    """The method, or the structure of a `Combined`, if it is of ``protocol``; else None."""
    parts = (method, getattr(method, "structure", None))
    return next((part for part in parts if isinstance(part, protocol)), None)


@dataclass(frozen=True)
class Combined:
    """A structure that learns by an objective."""

    structure: Structure
    objective: Objective

    @property
    def trained(self) -> bool:
        """See `Objective`."""
        return self.objective.trained

    @property
    def taught(self) -> bool:
        """See `Objective`."""
        return self.objective.taught

    @property
    def maps(self) -> str | None:
        """See `Objective`."""
        return self.objective.maps

    @property
    def hidden(self) -> bool:
        """See `Objective`."""
        return self.objective.hidden

    @property
    def partial(self) -> bool:
        """See `Objective`."""
        return self.objective.partial

    def plan(self, dense: PreTrainedModel, rounds: int) -> Plan:
        """See `Structure.plan`."""
        return self.structure.plan(dense, rounds)

    def build(self, teacher: PreTrainedModel, plan: Plan) -> PreTrainedModel:
        """See `Structure.build`."""
        return self.structure.build(teacher, plan)

    def compress_(self, student: PreTrainedModel, round_: Round) -> set[str]:
        """See `Structure.compress_`."""
        return self.structure.compress_(student, round_)

    def projection(self, student: PreTrainedModel, teacher: PreTrainedModel) -> Projection | None:
        """See `Objective.projection`."""
        return self.objective.projection(student, teacher)

    def losses(
        self, student: Outputs, teacher: Outputs, batch: dict[str, Tensor], progress: float
    ) -> Terms:
        """See `Objective.losses`."""
        return self.objective.losses(student, teacher, batch, progress)
