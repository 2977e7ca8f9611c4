"""SVD alone, its rank lowered in rounds, learning from the labels.

Paper: "Matrix factorization" of LadaBERT's Table 3 (arXiv 2004.04124), with the factors of its
Eq. 1-4; nothing is pruned. The paper does not say how it splits the budget between word embeddings
and encoder: here it is split as ``ratios=fast`` does.
"""

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from lada.errors import LadaError
from lada.methods.registry import register_method
from lada.methods.settings import Context, RankSettings
from lada.schema import settings

if TYPE_CHECKING:
    from lada.methods.base import Method, Objective


@register_method("factorization")
@settings("method")
class FactorizationSettings(RankSettings):
    """Settings of ``method=factorization``."""

    labels: ClassVar[bool] = True
    reads: ClassVar[tuple[str, ...]] = ("ratios",)

    def check(self, context: Context) -> None:
        super().check(context)
        if context.ratios.rule not in ("solved", "fast"):
            raise LadaError(
                f"ratios={context.ratios.rule}: method={self.name} spends the whole budget on "
                "rank. Leave ratios out, or use method=hybrid."
            )

    def make(self, context: Context) -> "Method":
        from lada.methods.objectives import Labels

        return by_rank(self, context, Labels(context.losses))


def by_rank(settings: RankSettings, context: Context, objective: "Objective") -> "Method":
    """Rank alone, with any loss."""
    from lada.methods.base import Combined
    from lada.methods.structures import Factorized

    structure = Factorized(
        context.required_target,
        replace(context.ratios, rule="fast"),
        context.schedule,
        lower_rank=settings.lower_rank,
        threshold="factor",
        parts=settings.parts(context),
    )
    return Combined(structure, objective)
