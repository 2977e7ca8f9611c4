"""LadaBERT's rounds and distillation with the parts that have been found to pay since.

Each is a setting of other methods, too; here they are together, as defaults:

- Factors with the least error of the layers' outputs, not of the weights, from the second moments
  of the layers' inputs; word embeddings by how often their tokens occur (``factorizer=whitened``;
  SVD-LLM, Wang et al. 2024, arXiv 2403.07378).
- Pruned are the entries of the factors that change the outputs least (``score=activation``), and
  the same share of them at any size (``density``, as by ``ratios=scaled``): ranks fall with it.
- The ranks of all matrices, the word embeddings too, by what a direction takes off the error per
  parameter (``allocation=marginal``).
- Position embeddings up to ``task.max_length`` alone, and a compressed pooler (``whole=trimmed``).

With ``artifact=int4`` and ``target=bytes target.mb=...`` the student is trained in few bits: at the
same bytes it has more parameters. Measured in experiments/ablation.
"""

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Literal

from lada.errors import LadaError
from lada.methods.registry import register_method
from lada.methods.settings import (
    ALLOCATION,
    FACTORIZER,
    SCORE,
    WHOLE,
    Context,
    Factorizer,
    FactorSettings,
    Score,
)
from lada.schema import setting, settings

if TYPE_CHECKING:
    from lada.methods.base import Method


@register_method("lada_plus")
@settings("method")
class LadaPlusSettings(FactorSettings):
    """Settings of ``method=lada_plus``."""

    reads: ClassVar[tuple[str, ...]] = ("distill",)

    whole: Literal["paper", "trimmed"] = setting("trimmed", WHOLE)
    factorizer: Factorizer = setting("whitened", FACTORIZER)
    allocation: Literal["uniform", "marginal"] = setting("marginal", ALLOCATION)
    score: Score = setting("activation", SCORE)
    density: float = setting(
        0.4,
        "share of the entries of the encoder's factors that is not pruned; 1: ranks alone",
        least=0.01,
        most=1.0,
        later=True,
    )

    def check(self, context: Context) -> None:
        if context.ratios.rule != "solved":
            raise LadaError(
                f"ratios={context.ratios.rule}: method={self.name} has method.density in its "
                "place. Leave ratios out."
            )
        super().check(context)

    def unused(self, context: Context) -> dict[str, str]:
        found = super().unused(context)
        if self.density == self.word_density == 1.0:
            none = "method.density=1 and method.word_density=1 prune nothing"
            found |= {"method.score": none, "method.threshold": none}
        return found

    def make(self, context: Context) -> "Method":
        from lada.methods.base import Combined
        from lada.methods.objectives import FourTerms

        ratios = replace(context.ratios, rule="scaled", pruning=1 / self.density)
        student = self.structure(replace(context, ratios=ratios))
        return Combined(student, FourTerms(context.distilled, context.losses))
