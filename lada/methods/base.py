"""What every method says: its student, its loss, its compression plan (or None)."""

from typing import Protocol

from torch import Tensor
from transformers import BertForSequenceClassification

from lada.nn.capture import Outputs
from lada.ops.budget import Inventory
from lada.ops.plan import Plan, Round


class Method(Protocol):
    """One way to make a smaller model out of a teacher.

    Attributes:
        maps: which attention maps the loss needs ("scores", "probabilities"), or None.
        hidden: whether the loss needs hidden states.
    """

    maps: str | None
    hidden: bool

    def plan(self, inventory: Inventory, rounds: int) -> Plan | None:
        """Rank and kept entries of every matrix at every round; None: nothing is compressed."""
        ...

    def build(
        self, teacher: BertForSequenceClassification, plan: Plan | None
    ) -> BertForSequenceClassification:
        """The student, its compressed layers at the first round's rank. The teacher is left be."""
        ...

    def compress_(self, student: BertForSequenceClassification, round_: Round) -> set[str]:
        """Compress in place; returns the layers whose values were all computed anew."""
        ...

    def losses(
        self, student: Outputs, teacher: Outputs, batch: dict[str, Tensor]
    ) -> dict[str, tuple[float, Tensor]]:
        """Terms of the loss by name: weight and scalar. The loss is the weighted sum.

        ``batch`` may be a part of what an optimizer step learns from: means are taken over the
        whole, whose rows, tokens and pairs of tokens are its ``totals`` (3,).
        """
        ...
