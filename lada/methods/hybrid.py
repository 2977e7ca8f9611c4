"""SVD and pruning in rounds, learning from the labels alone: LadaBERT without its teacher.

Paper: "Hybrid pruning" of LadaBERT's Table 3 (arXiv 2004.04124). The student is that of
`lada.methods.lada`, its schedule and its ratios too; the loss is the cross-entropy of the labels.
"""

from typing import TYPE_CHECKING, ClassVar

from lada.methods.registry import register_method
from lada.methods.settings import Context, FactorSettings
from lada.schema import settings

if TYPE_CHECKING:
    from lada.methods.base import Method


@register_method("hybrid")
@settings("method")
class HybridSettings(FactorSettings):
    """Settings of ``method=hybrid``."""

    labels: ClassVar[bool] = True
    reads: ClassVar[tuple[str, ...]] = ("ratios",)

    def make(self, context: Context) -> "Method":
        from lada.methods.base import Combined
        from lada.methods.objectives import Labels

        return Combined(self.structure(context), Labels(context.losses))
