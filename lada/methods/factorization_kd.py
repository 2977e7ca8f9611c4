"""SVD alone, with the distillation of LadaBERT: an ablation that the paper leaves out.

As `lada.methods.factorization`, with the four terms of `lada.methods.lada` in place of the labels.
"""

from typing import TYPE_CHECKING, ClassVar

from lada.methods.factorization import FactorizationSettings, by_rank
from lada.methods.registry import register_method
from lada.methods.settings import Context
from lada.schema import settings

if TYPE_CHECKING:
    from lada.methods.base import Method


@register_method("factorization_kd")
@settings("method")
class FactorizationKdSettings(FactorizationSettings):
    """Settings of ``method=factorization_kd``."""

    reads: ClassVar[tuple[str, ...]] = ("distill", "ratios")
    labels: ClassVar[bool] = False

    def make(self, context: Context) -> "Method":
        from lada.methods.objectives import FourTerms

        return by_rank(self, context, FourTerms(context.distilled, context.losses))
