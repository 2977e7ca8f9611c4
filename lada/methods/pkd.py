"""Patient knowledge distillation: some layers of the teacher, and its states on the way.

Paper: Sun et al. 2019, arXiv 1908.09355. To the terms of `lada.methods.kd` comes the distance of
the normalized [CLS] states (Eq. 7) to those of the teacher's layers that ``method.states`` picks.
The student is that of `lada.methods.finetune`. The paper starts from the first layers; other
choices (``method.which``) are ours: ``skip`` starts from the layers whose states are learned.
"""

from typing import TYPE_CHECKING, Literal

from lada.limits import FLOAT32
from lada.methods.forms import WHICH, DistilledSettings, Which
from lada.methods.registry import register_method
from lada.methods.settings import Context
from lada.schema import setting, settings

if TYPE_CHECKING:
    from lada.methods.base import Method


@register_method("pkd")
@settings("method")
class PkdSettings(DistilledSettings):
    """Settings of ``method=pkd``."""

    beta: float = setting(
        0.1,
        "weight of the [CLS] states",
        over=0.0,
        most=FLOAT32,
        why="the largest number in fp32",
    )
    states: Literal["skip", "last"] = setting(
        "skip", "the teacher's layers that they learn from: every k-th, or the last"
    )
    which: Which = setting("first", WHICH, later=True)

    def make(self, context: Context) -> "Method":
        from lada.methods.base import Combined
        from lada.methods.objectives import Patient
        from lada.methods.students import PatientLayers

        structure = PatientLayers(
            self.states, self.layers, self.which, context.target, self.embedding, context.schedule
        )
        loss = Patient(self.alpha, self.temperature, self.beta, self.states, context.losses)
        return Combined(structure, loss)
