"""Magnitude pruning with the distillation of LadaBERT: an ablation that the paper leaves out.

As `lada.methods.pruning`, with the four terms of `lada.methods.lada` in place of the labels.
"""

from typing import TYPE_CHECKING, ClassVar

from lada.methods.pruning import PruningSettings, by_masks
from lada.methods.registry import register_method
from lada.methods.settings import Context
from lada.schema import settings

if TYPE_CHECKING:
    from lada.methods.base import Method


@register_method("pruning_kd")
@settings("method")
class PruningKdSettings(PruningSettings):
    """Settings of ``method=pruning_kd``."""

    reads: ClassVar[tuple[str, ...]] = ("distill",)
    labels: ClassVar[bool] = False

    def make(self, context: Context) -> "Method":
        from lada.methods.objectives import FourTerms

        return by_masks(self, context, FourTerms(context.distilled, context.losses))
