"""What a student is made of, and how a round makes it smaller. Shared by methods."""

import copy
from collections.abc import Callable
from typing import Any

from transformers import BertForSequenceClassification

from lada.config import RatiosConfig, ScheduleConfig
from lada.errors import LadaError
from lada.methods.ratios import fractions_for
from lada.nn.rounds import compress_
from lada.nn.surgery import mask_, replace_
from lada.ops.budget import BudgetError, Inventory
from lada.ops.plan import Plan, Round, Share, make_mask_plan, make_plan


class Factorized:
    """Factors of every matrix, with masks on the encoder's: LadaBERT Eq. 5.

    Args:
        target: times smaller.
        lower_rank, threshold: see `lada.nn.rounds.compress_`.
    """

    def __init__(
        self,
        target: float,
        ratios: RatiosConfig,
        schedule: ScheduleConfig,
        *,
        lower_rank: str,
        threshold: str,
    ):
        self._target = target
        self._ratios = ratios
        self._shape = schedule.shape
        self._how = {"lower_rank": lower_rank, "threshold": threshold}

    def plan(self, inventory: Inventory, rounds: int) -> Plan:
        """See `lada.ops.plan.make_plan`.

        Raises:
            LadaError: the target or the ratios cannot be met.
        """
        r = self._ratios
        fractions = fractions_for(inventory, self._target, r.rule, r.embedding, r.svd, r.pruning)
        return _in_reach(
            self._target,
            lambda: make_plan(inventory, self._target, fractions, self._shape, rounds, r.round_to),
        )

    def build(
        self, teacher: BertForSequenceClassification, plan: Plan | None
    ) -> BertForSequenceClassification:
        """A copy of the teacher with its matrices factorized at the first round's rank."""
        assert plan is not None
        student = trainable_copy(teacher)
        shares = (s for s in plan.rounds[0].shares if isinstance(s, Share))
        replace_(student, {s.name: s.rank for s in shares})
        return student

    def compress_(self, student: BertForSequenceClassification, round_: Round) -> set[str]:
        """See `lada.nn.rounds.compress_`."""
        return compress_(student, round_, **self._how)


class Pruned:
    """Every matrix as it is, the word table too, with a mask.

    Args:
        target: times smaller.
        threshold: see `lada.nn.rounds.compress_`.
    """

    def __init__(self, target: float, schedule: ScheduleConfig, *, threshold: str):
        self._target = target
        self._shape = schedule.shape
        self._threshold = threshold

    def plan(self, inventory: Inventory, rounds: int) -> Plan:
        """See `lada.ops.plan.make_mask_plan`.

        Raises:
            LadaError: the target cannot be met.
        """
        return _in_reach(
            self._target, lambda: make_mask_plan(inventory, self._target, self._shape, rounds)
        )

    def build(
        self, teacher: BertForSequenceClassification, plan: Plan | None
    ) -> BertForSequenceClassification:
        """A copy of the teacher whose matrices have masks."""
        assert plan is not None
        student = trainable_copy(teacher)
        mask_(student, [share.name for share in plan.rounds[0].shares])
        return student

    def compress_(self, student: BertForSequenceClassification, round_: Round) -> set[str]:
        """See `lada.nn.rounds.compress_`."""
        return compress_(student, round_, lower_rank="truncate", threshold=self._threshold)


def _in_reach(target: float, plan: Callable[[], Plan]) -> Plan:
    try:
        return plan()
    except BudgetError as error:
        raise LadaError(f"target.ratio={target:g}: {error}") from None


def trainable_copy(teacher: BertForSequenceClassification) -> Any:
    """A copy in training mode, of which all is trained. The teacher is left be."""
    student = copy.deepcopy(teacher).train()
    for p in student.parameters():
        p.requires_grad_(True)
    return student
