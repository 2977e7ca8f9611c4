"""The student of ``method=grain``: heads and feed-forward blocks without some of their units."""

from dataclasses import replace

from transformers import PreTrainedModel

from lada.methods.parts import Parts
from lada.methods.structures import in_reach, trainable_copy
from lada.nn.units import prune_units_, unit_groups, units_
from lada.ops.budget import Inventory
from lada.ops.plan import Plan, Round, Share, UnitShare
from lada.ops.units import make_unit_plan


class Units:
    """Word embeddings of a lower rank, and matrices whose rows and columns are pruned by units.

    Matrices of no unit (a pooler, a projection of the word embeddings) stay whole.

    Args:
        target: times smaller.
        shape: see `lada.ops.schedule.kept_fraction`.
        alpha: see `lada.ops.units.size_of_heads`.
        parts: how the word embeddings are factorized, and what stays whole.
    """

    def __init__(self, target: float, shape: str, alpha: float, parts: Parts):
        self._target = target
        self._shape = shape
        self._alpha = alpha
        self._parts = parts

    def plan(self, dense: PreTrainedModel, rounds: int) -> Plan:
        """See `lada.ops.units.make_unit_plan`."""
        counted, groups = self._count(dense), unit_groups(dense)
        return in_reach(
            self._target,
            lambda: make_unit_plan(counted, groups, self._target, self._shape, rounds),
        )

    def _count(self, dense: PreTrainedModel) -> Inventory:
        counted = self._parts.count(dense)
        units = {name for group in unit_groups(dense) for name, _ in group.matrices}
        matrices = tuple(m for m in counted.matrices if m.embedding or m.name in units)
        rest = sum(m.size for m in counted.matrices) - sum(m.size for m in matrices)
        whole = counted.whole | ({"other matrices": rest} if rest else {})
        return replace(counted, matrices=matrices, whole=whole)

    def build(self, teacher: PreTrainedModel, plan: Plan) -> PreTrainedModel:
        """A copy of the teacher with factorized word embeddings; no unit is pruned yet."""
        ranks = {s.name: s.rank for s in plan.rounds[0].shares if isinstance(s, Share)}
        student = trainable_copy(teacher, ranks, self._parts.checked())
        units_(student, unit_groups(student), self._alpha)
        return student

    def compress_(self, student: PreTrainedModel, round_: Round) -> set[str]:
        """Prune the units of the least importance, of all layers together."""
        shares = [share for share in round_.shares if isinstance(share, UnitShare)]
        keep = sum(share.kept // share.length for share in shares) // 2
        prune_units_(student, unit_groups(student), student.config.num_attention_heads, keep)
        return set()
