"""Students of one method each, and objectives: what those methods import as they are made."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from lada.errors import LadaError
from lada.methods.base import Terms
from lada.methods.bilstm import BiLstmSettings
from lada.methods.groups import ScheduleConfig
from lada.methods.minialbert import MiniAlbertSettings
from lada.methods.objectives import Labels
from lada.methods.parts import Parts
from lada.methods.shaped import Shaped
from lada.methods.smp import SmpSettings
from lada.methods.structures import (
    Pruned,
    Shallow,
    SmallByForm,
    compress_embeddings_,
    trainable_copy,
)
from lada.nn.bilstm import BiLstm, bilstm_config, bilstm_inventory
from lada.nn.capture import Outputs
from lada.nn.early_exit import EarlyExit, early_exit_inventory
from lada.nn.families import family_of
from lada.nn.minialbert import MiniAlbert, minialbert_class, minialbert_config
from lada.nn.projection import uniform_layers
from lada.nn.scored import follow_scores_, score_, scored_layers
from lada.nn.surgery import inventory
from lada.ops.depth import solve_depth
from lada.ops.losses import cross_entropy, patient_counts, patient_layers
from lada.ops.plan import MaskShare, Plan, Round
from lada.ops.scored import penalty, strength


class PatientLayers(Shallow):
    """Student of pkd: layers whose states have counterparts in the teacher."""

    def __init__(self, states: str, *args: Any):
        super().__init__(*args)
        self._states = states

    def plan(self, dense: PreTrainedModel, rounds: int) -> Plan:
        layers = dense.config.num_hidden_layers
        try:
            patient_layers(layers, self._count(layers), self._states)
        except ValueError as error:
            raise LadaError(f"method.layers: {error}") from None
        return super().plan(dense, rounds)

    def _possible(self, layers: int) -> list[int]:
        return patient_counts(layers, self._states)


class FewBitLayers(Shallow):
    """Student of xtc: layers of the teacher; every matrix is stored with all its entries.

    So that matrices may have few bits, each, word embeddings included, is a compressed layer with a
    mask that prunes nothing. With ``layers=None`` the target decides the number of layers
    (`lada.ops.depth.solve_depth`); without a target all of them stay.

    Args:
        at_most: whether the target is a bound on the size, so that a student of the given layers
            may be smaller than it.
    """

    def __init__(self, *args: Any, at_most: bool, **parts: Any):
        super().__init__(*args, **parts)
        self._at_most = at_most

    def plan(self, dense: PreTrainedModel, rounds: int) -> Plan:
        """See `Shallow`."""
        layers, target = dense.config.num_hidden_layers, self._target
        depths = self._possible(layers)
        if self._layers is not None:
            try:
                uniform_layers(layers, self._layers)
            except ValueError as error:
                raise LadaError(f"method.layers: {error}, or null") from None
            depths = [self._layers]
        if target is None:
            plan = self._plan_of(depths[-1], dense, rounds)
        elif self._layers is not None and not self._at_most:
            plan = super().plan(dense, rounds)
        else:
            total, how = inventory(dense).total, self._embedding
            solved = solve_depth(lambda n: self._counted(dense, n), total, target, how, depths)
            how = "keep" if solved[1] else how
            plan = self._plan_of(solved[0], dense, rounds, how=how, solved=True)
        return self._with_all_matrices(plan, dense)

    def _with_all_matrices(self, plan: Plan, dense: PreTrainedModel) -> Plan:
        """The plan with a share of every matrix, not of the word embeddings alone."""
        assert plan.layers is not None
        matrices = self._counted(dense, plan.layers).matrices
        rounds = []
        for round_ in plan.rounds:
            found = {share.name: share for share in round_.shares}
            shares = (found.get(m.name, MaskShare(m.name, m.size)) for m in matrices)
            rounds.append(replace(round_, shares=tuple(shares)))
        return replace(plan, rounds=tuple(rounds))

    def _possible(self, layers: int) -> list[int]:
        return [count for count in range(1, layers + 1) if layers % count == 0]


class PairedShape(Shaped):
    """Student of tinybert: a shape whose layers and heads have counterparts in the teacher."""

    def plan(self, dense: PreTrainedModel, rounds: int) -> Plan:
        if self._sizes.layers is not None:
            try:
                uniform_layers(dense.config.num_hidden_layers, self._sizes.layers)
            except ValueError as error:
                raise LadaError(f"method.layers: {error}; or method.layers=null") from None
        given, heads = self._sizes.heads, dense.config.num_attention_heads
        if given not in (None, heads):
            raise LadaError(
                f"method.heads={given}: the teacher has {heads}, and each map has to have a "
                f"counterpart; give {heads} or null, and a width that {heads} divides"
            )
        return super().plan(dense, rounds)


class Recurrent(SmallByForm):
    """Student of bilstm: the LSTM.

    Args:
        pairs: whether the examples are pairs of texts.
    """

    def __init__(
        self,
        method: BiLstmSettings,
        target: float | None,
        schedule: ScheduleConfig,
        *,
        pairs: bool,
        seed: int,
    ):
        super().__init__(target, method.embedding, schedule)
        self._sizes: dict[str, Any] = {
            "hidden": method.hidden,
            "inner": method.inner,
            "pairs": pairs,
        }
        self._seed = seed

    def plan(self, dense: PreTrainedModel, rounds: int) -> Plan:
        """See `SmallByForm`."""
        with torch.device("meta"):
            counted = bilstm_inventory(BiLstm(bilstm_config(dense.config, **self._sizes)))
        return self._plan(counted, dense, rounds)

    def build(self, teacher: PreTrainedModel, plan: Plan) -> BiLstm:
        """A student with random weights, but for the word embeddings."""
        torch.manual_seed(self._seed)
        student = BiLstm.from_teacher(teacher, **self._sizes)
        student.train()
        compress_embeddings_(student, plan)
        return student


class Recursive(SmallByForm):
    """Student of minialbert: the shared layer."""

    def __init__(
        self,
        method: MiniAlbertSettings,
        target: float | None,
        schedule: ScheduleConfig,
        *,
        seed: int,
    ):
        super().__init__(target, method.embedding, schedule)
        self._method = method
        self._seed = seed

    def plan(self, dense: PreTrainedModel, rounds: int) -> Plan:
        """See `SmallByForm`."""
        layers = dense.config.num_hidden_layers
        applications = self._method.applications or layers
        try:
            uniform_layers(layers, applications)
        except ValueError as error:
            raise LadaError(f"method.applications={applications}: {error}") from None
        with torch.device("meta"):
            config = minialbert_config(dense.config, applications, self._method.adapter)
            counted = inventory(minialbert_class(family_of(config).model_type)(config))
        return self._plan(counted, dense, rounds)

    def build(self, teacher: PreTrainedModel, plan: Plan) -> MiniAlbert:
        """A student that starts from the teacher's first layer."""
        torch.manual_seed(self._seed)
        m, layers = self._method, teacher.config.num_hidden_layers
        student = MiniAlbert.from_teacher(teacher, m.applications or layers, m.adapter)
        student.train()
        compress_embeddings_(student, plan)
        if m.tune == "adapters":
            student.train_adapters_only_()
        return student


class Ramped:
    """Student of early_exit: the teacher and its ramps."""

    def __init__(self, threshold: float, seed: int):
        self._threshold = threshold
        self._seed = seed

    def plan(self, dense: PreTrainedModel, rounds: int) -> Plan:
        """Nothing is compressed."""
        counted = inventory(dense)
        size = early_exit_inventory(counted, dense.config).total
        return Plan(None, counted.total, None, (Round((), size, counted.total / size),))

    def build(self, teacher: PreTrainedModel, plan: Plan) -> EarlyExit:
        """A frozen copy of the teacher with ramps, see `EarlyExit.from_teacher`."""
        torch.manual_seed(self._seed)
        student = EarlyExit.from_teacher(teacher, self._threshold)
        student.train()
        return student

    def compress_(self, student: PreTrainedModel, round_: Round) -> set[str]:
        """Nothing."""
        return set()


class AllRamps(Labels):
    """Objective of early_exit: the labels, at every ramp."""

    def losses(
        self, student: Outputs, teacher: Outputs, batch: dict[str, Tensor], progress: float
    ) -> Terms:
        """One term: the sum of the ramps' cross-entropies; logits (layers, batch, classes)."""
        examples, labels = batch["totals"][0], batch["labels"]
        ramps = [cross_entropy(logits, labels, examples) for logits in student.logits[:-1]]
        return {"labels": (1.0, torch.stack(ramps).sum())}


class Static(Pruned):
    """Student of smp: the teacher's matrices, whose masks alone are learnt."""

    def __init__(self, method: SmpSettings, target: float, schedule: ScheduleConfig, parts: Parts):
        super().__init__(target, schedule, threshold="factor", parts=parts)
        self._method = method

    def build(self, teacher: PreTrainedModel, plan: Plan) -> PreTrainedModel:
        """A frozen copy of the teacher whose matrices have scores, which are trained."""
        student = trainable_copy(teacher, parts=self._parts)
        score_(student, [share.name for share in plan.rounds[0].shares], self._method.rate)
        return student

    def compress_(self, student: nn.Module, round_: Round) -> set[str]:
        """As many entries as the round has; nothing that an optimizer trains is changed."""
        self.follow_(student, round_)
        return set()

    def follow_(self, student: nn.Module, round_: Round) -> None:
        """See `lada.nn.scored.follow_scores_`."""
        follow_scores_(student, round_.shares, proportional=self._method.shares == "scores")

    def penalties(self, student: nn.Module, progress: float) -> Terms:
        """One term: the scores' own."""
        weight = strength(self._method.regularization, progress)
        scores = [layer.scores for layer in scored_layers(student).values()]
        return {"scores": (weight, penalty(scores))}


class Whole:
    """Student of quantization: the teacher as it is."""

    def plan(self, dense: PreTrainedModel, rounds: int) -> Plan:
        """Nothing is pruned."""
        total = inventory(dense).total
        return Plan(None, total, None, (Round((), total, 1.0),))

    def build(self, teacher: PreTrainedModel, plan: Plan) -> PreTrainedModel:
        """A copy."""
        copy: PreTrainedModel = trainable_copy(teacher)
        return copy

    def compress_(self, student: PreTrainedModel, round_: Round) -> set[str]:
        """Nothing: values become int8 as they are stored."""
        return set()
