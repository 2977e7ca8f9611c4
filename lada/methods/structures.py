"""What a student is made of, and how a round makes it smaller. Shared by methods."""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

from lada.errors import LadaError
from lada.methods.groups import RatiosConfig, ScheduleConfig
from lada.methods.parts import PLAIN, Parts
from lada.methods.ratios import fractions_for
from lada.nn.families import keep_layers_, layers_of
from lada.nn.memory import give_memory_
from lada.nn.rounds import compress_
from lada.nn.surgery import inventory, mask_, replace_
from lada.nn.trim import cut_positions_
from lada.ops.allocate import Spectra
from lada.ops.budget import BudgetError, Inventory
from lada.ops.plan import Plan, Round, Share, make_mask_plan, make_plan, make_table_plan
from lada.ops.statistics import Statistics

WHOLE_EMBEDDINGS = "; method.embedding=svd or prune compresses the word embeddings too"
"""Advice where the word embeddings stay whole and the student is too large."""

LARGEST = 2
"""Times its teacher's parameters: beyond that a size is a slip."""


@dataclass(frozen=True)
class Words:
    """How the word embeddings are compressed beside the encoder.

    Attributes:
        density: of their factor (`lada.ops.budget.Fractions`); the paper does not prune it.
        weight: how much their error counts, where the ranks are by errors (`Parts.spectra`).
    """

    density: float = 1.0
    weight: float = 1.0


class Factorized:
    """Factors of every matrix, with masks: LadaBERT Eq. 5.

    Args:
        target: times smaller.
        words: how the word embeddings are compressed.
        lower_rank, threshold, parts: see `lada.nn.rounds.compress_`.
    """

    def __init__(
        self,
        target: float,
        ratios: RatiosConfig,
        schedule: ScheduleConfig,
        *,
        lower_rank: str,
        threshold: str,
        words: Words = Words(),
        parts: Parts = PLAIN,
    ):
        self._target = target
        self._ratios = ratios
        self._words = words
        self._schedule = schedule
        self._parts = parts
        self._how: dict[str, Any] = {"lower_rank": lower_rank, "threshold": threshold}

    def plan(self, dense: PreTrainedModel, rounds: int) -> Plan:
        """See `lada.ops.plan.make_plan`."""
        r, s, counted = self._ratios, self._schedule, self._parts.count(dense)
        fractions = replace(fractions_for(counted, self._target, r), words=self._words.density)
        how: dict[str, Any] = {"start": s.start, "spectra": self._spectra(counted)}
        return in_reach(
            self._target,
            lambda: make_plan(counted, self._target, fractions, s.shape, rounds, r.round_to, **how),
        )

    def _spectra(self, counted: Inventory) -> Spectra | None:
        """Those of the parts, of the word embeddings by their weight."""
        found = self._parts.spectra
        if found is None:
            return None
        words = counted.word_embeddings.name
        return {**found, words: self._words.weight * found[words]}

    def build(self, teacher: PreTrainedModel, plan: Plan) -> PreTrainedModel:
        """A copy of the teacher with its matrices factorized at the first round's rank."""
        shares = (s for s in plan.rounds[0].shares if isinstance(s, Share))
        parts = self._parts.checked()
        student = trainable_copy(teacher, {s.name: s.rank for s in shares}, parts)
        give_memory_(student, parts.score, plan)
        return student

    def compress_(self, student: nn.Module, round_: Round) -> set[str]:
        """See `lada.nn.rounds.compress_`."""
        return compress_(student, round_, **self._how, **self._parts.checked().named)


class Pruned:
    """Every matrix, the word embeddings too, dense with a mask.

    Args:
        target: times smaller.
        threshold, parts: see `lada.nn.rounds.compress_`.
    """

    def __init__(
        self, target: float, schedule: ScheduleConfig, *, threshold: str, parts: Parts = PLAIN
    ):
        self._target = target
        self._schedule = schedule
        self._threshold = threshold
        self._parts = parts

    def plan(self, dense: PreTrainedModel, rounds: int) -> Plan:
        """See `lada.ops.plan.make_mask_plan`."""
        s, counted = self._schedule, self._parts.count(dense)
        return in_reach(
            self._target,
            lambda: make_mask_plan(counted, self._target, s.shape, rounds, start=s.start),
        )

    def build(self, teacher: PreTrainedModel, plan: Plan) -> PreTrainedModel:
        """A copy of the teacher whose matrices have masks."""
        student = trainable_copy(teacher, parts=self._parts)
        mask_(student, [share.name for share in plan.rounds[0].shares])
        give_memory_(student, self._parts.score, plan)
        return student

    def compress_(self, student: nn.Module, round_: Round) -> set[str]:
        """See `lada.nn.rounds.compress_`."""
        parts = self._parts.checked().named
        return compress_(student, round_, lower_rank="truncate", threshold=self._threshold, **parts)


class SmallByForm:
    """A student that is small by its form; for a target its word embeddings are compressed too.

    Args:
        target: times smaller than the teacher; None: as many parameters as the form makes.
        embedding: see `lada.ops.plan.make_table_plan`.
    """

    def __init__(self, target: float | None, embedding: str, schedule: ScheduleConfig):
        self._target = target
        self._embedding = embedding
        self._schedule = schedule

    def _plan(
        self,
        counted: Inventory,
        dense: PreTrainedModel,
        rounds: int,
        *,
        how: str | None = None,
        solved: bool = False,
        advice: str = "",
    ) -> Plan:
        """See `lada.ops.plan.make_table_plan`.

        Args:
            counted: of the student.
            how: how the word embeddings are compressed; None: as the settings say.
            advice: ends the line that says that the target is out of reach.
        """
        how = self._embedding if how is None else how
        total, s = inventory(dense).total, self._schedule
        if self._target is None and counted.total > LARGEST * total:
            raise LadaError(
                f"method: its student has {counted.total:,} parameters, its teacher {total:,}. "
                f"Give sizes that make it at most {LARGEST} times as large, or a target."
            )
        return in_reach(
            self._target,
            lambda: make_table_plan(
                counted,
                total,
                self._target,
                how,
                s.shape,
                rounds,
                solved=solved,
                start=s.start,
            ),
            (WHOLE_EMBEDDINGS if how == "keep" else "") + advice,
        )

    def compress_(self, student: nn.Module, round_: Round) -> set[str]:
        """See `lada.nn.rounds.compress_`."""
        return compress_(student, round_, lower_rank="truncate", threshold="factor")


class Shallow(SmallByForm):
    """Some layers of the teacher, the rest of it as it is.

    Args:
        layers: how many are kept; None: a quarter of the teacher's.
        which: "first"; "alternate": spread evenly from the first on; "ends": with the first and the
            last (a single layer is the first); "skip": up to the last, every N / M-th of N where M
            divides it; "top": the last ones.
        parts: what stays whole.
    """

    def __init__(
        self,
        layers: int | None,
        which: str,
        target: float | None,
        embedding: str,
        schedule: ScheduleConfig,
        parts: Parts = PLAIN,
    ):
        super().__init__(target, embedding, schedule)
        self._layers = layers
        self._which = which
        self._parts = parts

    def plan(self, dense: PreTrainedModel, rounds: int) -> Plan:
        """See `SmallByForm`. Where these layers do not meet the target, it says which would."""
        count = self._count(dense.config.num_hidden_layers)
        try:
            return self._plan_of(count, dense, rounds)
        except LadaError as error:
            raise LadaError(f"{error}{self._would_do(count, dense)}") from None

    def _plan_of(self, count: int, dense: PreTrainedModel, rounds: int, **how: Any) -> Plan:
        """The plan with so many layers.

        Args:
            how: see `SmallByForm._plan`.
        """
        kept = self._kept(dense.config.num_hidden_layers, count)
        if dense.config.model_type == "modernbert" and kept[0] != 0:
            raise LadaError(
                f"method.which={self._which}: ModernBERT's first layer lacks a norm that the "
                "others have, so it has to stay first. Give first, alternate or ends."
            )
        return replace(self._plan(self._counted(dense, count), dense, rounds, **how), layers=count)

    def _would_do(self, count: int, dense: PreTrainedModel) -> str:
        """The number of layers next to ``count`` that meets the target; "" where none does."""
        possible = self._possible(dense.config.num_hidden_layers)
        for other in sorted(possible, key=lambda other: abs(other - count)):
            try:
                self._plan(self._counted(dense, other), dense, 1)
            except LadaError:
                continue
            return f"; method.layers={other} would do"
        return ""

    def _possible(self, layers: int) -> list[int]:
        """How many of the teacher's layers may be kept, whatever the target."""
        return list(range(1, layers + 1))

    def build(self, teacher: PreTrainedModel, plan: Plan) -> PreTrainedModel:
        """Copies of the teacher's layers; its word embeddings in the form of the plan."""
        assert plan.layers is not None
        student = trainable_copy(teacher, parts=self._parts)
        place = layers_of(student)
        layers: Any = student.get_submodule(place)
        kept = self._kept(len(layers), plan.layers)
        student.set_submodule(place, nn.ModuleList([layers[number] for number in kept]))
        keep_layers_(student.config, kept)
        compress_embeddings_(student, plan)
        return student

    def _count(self, layers: int) -> int:
        """How many of the teacher's layers are kept."""
        count = max(1, round(layers / 4)) if self._layers is None else self._layers
        if count > layers:
            raise LadaError(f"method.layers={count}: the teacher has {layers}. Give that or less.")
        return count

    def _kept(self, layers: int, count: int) -> list[int]:
        """Places of so many kept layers among the teacher's, from 0."""
        if self._which == "top":
            return list(range(layers - count, layers))
        if self._which == "alternate":
            return [number * layers // count for number in range(count)]
        if self._which == "skip":
            return [number * layers // count - 1 for number in range(1, count + 1)]
        if self._which == "ends" and count > 1:
            gaps = count - 1  # halves are rounded up
            return [(2 * number * (layers - 1) + gaps) // (2 * gaps) for number in range(count)]
        return list(range(count))

    def _counted(self, dense: PreTrainedModel, count: int) -> Inventory:
        """What a student with so many of the teacher's layers has."""
        config = copy.deepcopy(dense.config)
        keep_layers_(config, range(count))
        with torch.device("meta"):
            counted = self._parts.count(type(dense)(config))
        return replace(counted, removed=0)  # the student never has it


def compress_embeddings_(
    student: nn.Module, plan: Plan, statistics: Statistics | None = None
) -> None:
    """Give the word embeddings, and all else in the plan, its form, in place.

    Args:
        statistics: how often tokens occur, by which the errors of their rows weigh; None: all the
            same.
    """
    factorizer = "svd" if statistics is None else "whitened"
    for share in plan.rounds[0].shares:
        if isinstance(share, Share):
            replace_(student, {share.name: share.rank}, factorizer, statistics)
        else:
            mask_(student, [share.name])


def in_reach(target: float | None, plan: Callable[[], Plan], advice: str = "") -> Plan:
    """A plan, or why there is none.

    Raises:
        LadaError: the target is out of reach; the line ends with ``advice``.
    """
    try:
        return plan()
    except BudgetError as error:
        raise LadaError(f"target.ratio={target:g}: {error}{advice}") from None


def trainable_copy(
    teacher: PreTrainedModel, ranks: Mapping[str, int] | None = None, parts: Parts = PLAIN
) -> PreTrainedModel:
    """A copy in training mode, of which all is trained. The teacher is not modified.

    Args:
        ranks: layers to be factorized (see `lada.nn.surgery.replace_`).
        parts: how they are, and what stays whole.
    """
    ranks = ranks or {}
    # What is replaced need not be copied before.
    weights = [teacher.get_submodule(name).weight for name in ranks]
    student: PreTrainedModel = copy.deepcopy(teacher, {id(weight): weight for weight in weights})
    student.train()
    replace_(student, ranks, parts.factorizer, parts.statistics)
    if parts.length is not None:
        cut_positions_(student, parts.length)
    for p in student.parameters():
        p.requires_grad_(True)
    return student
