"""What every method says: its student, its loss, its compression plan (or None).

Most are two shared parts: a structure (`lada.methods.structures`), which says what the student is
made of, and an objective (`lada.methods.objectives`), which says what it learns from.
"""

from typing import Protocol

from torch import Tensor
from transformers import BertForSequenceClassification, PreTrainedModel

from lada.config import Config
from lada.nn.capture import Outputs
from lada.nn.projection import Projection
from lada.ops.plan import Plan, Round


class Structure(Protocol):
    """What a student is made of."""

    def plan(self, dense: BertForSequenceClassification, rounds: int) -> Plan:
        """What is kept at every round; a student that is small by shape alone has a single one.

        Args:
            dense: the teacher, or what it starts from: its shape counts alone.

        Raises:
            LadaError: the target or the settings cannot be met.
        """
        ...

    def build(self, teacher: BertForSequenceClassification, plan: Plan) -> PreTrainedModel:
        """The student, before its first round. The teacher is left be."""
        ...

    def compress_(self, student: PreTrainedModel, round_: Round) -> set[str]:
        """Compress in place; returns the layers whose values were all computed anew."""
        ...


class Objective(Protocol):
    """What a student learns from.

    Attributes:
        trained: whether there is a training at all.
        taught: whether the loss looks at the teacher at all.
        maps: which attention maps the loss needs ("scores", "probabilities"), or None.
        hidden: whether the loss needs hidden states.
        partial: whether the loss leaves out parameters at times, so that they have no gradient.
    """

    trained: bool
    taught: bool
    maps: str | None
    hidden: bool
    partial: bool

    def projection(
        self, student: PreTrainedModel, teacher: BertForSequenceClassification
    ) -> Projection | None:
        """What brings the student's states to the teacher's width; trained along, then dropped."""
        ...

    def losses(
        self, student: Outputs, teacher: Outputs, batch: dict[str, Tensor], progress: float
    ) -> dict[str, tuple[float, Tensor]]:
        """Terms of the loss by name: weight and scalar. The loss is the weighted sum.

        ``batch`` may be a part of what an optimizer step learns from: means are taken over the
        whole, whose rows, tokens and pairs of tokens are its ``totals`` (3,). ``progress`` is the
        share of the training's steps that lie behind, from 0 to 1. The student's states are
        projected already.
        """
        ...


class Method(Structure, Objective, Protocol):
    """One way to make a smaller model out of a teacher."""


class Combined:
    """A structure that learns by an objective."""

    def __init__(self, structure: Structure, objective: Objective):
        self.trained, self.taught = objective.trained, objective.taught
        self.maps, self.hidden = objective.maps, objective.hidden
        self.partial = objective.partial
        self.plan = structure.plan
        self.build = structure.build
        self.compress_ = structure.compress_
        self.projection = objective.projection
        self.losses = objective.losses


def target_of(config: Config) -> float:
    """The target of a method that has to have one (`lada.config.check` sees to it)."""
    assert config.target.ratio is not None
    return config.target.ratio
