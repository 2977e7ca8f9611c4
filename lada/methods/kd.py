"""The first layers of the teacher, distilled by its softened predictions and the labels.

Paper: Hinton et al. 2015, arXiv 1503.02531; "BERT-KD" of LadaBERT's Table 3 and of PKD. The student
is that of `lada.methods.finetune`; at x7.5 or more no paper has it.
"""

from typing import TYPE_CHECKING

from lada.methods.forms import DistilledSettings
from lada.methods.registry import register_method
from lada.methods.settings import Context
from lada.schema import settings

if TYPE_CHECKING:
    from lada.methods.base import Method


@register_method("kd")
@settings("method")
class KdSettings(DistilledSettings):
    """Settings of ``method=kd``."""

    def make(self, context: Context) -> "Method":
        from lada.methods.base import Combined
        from lada.methods.objectives import SoftAndHard

        return Combined(
            self.structure(context), SoftAndHard(self.alpha, self.temperature, context.losses)
        )
