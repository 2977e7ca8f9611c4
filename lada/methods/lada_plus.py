"""LadaBERT's rounds and distillation with the parts that have been found to pay since.

Each is a setting of other methods, too; here they are together, as defaults:

- Factors with the least error of the layers' outputs, not of the weights, from the second moments
  of the layers' inputs; word embeddings by how often their tokens occur (``factorizer=whitened``;
  SVD-LLM, Wang et al. 2024, arXiv 2403.07378).
- The ranks of all matrices, the word embeddings too, by what a direction takes off the error per
  parameter (``allocation=marginal``).
- Position embeddings up to ``task.max_length`` alone, and a compressed pooler (``whole=trimmed``).
- Nothing is pruned: on SST-2 a higher rank does as well at the same bytes as masks, whose positions
  have to be stored. On QNLI pruned factors (``method=lada`` with ``factorizer=whitened``,
  ``score=activation`` and ``ratios=scaled``) are better at the same number of parameters.

With ``artifact=int4`` and ``target=bytes target.mb=...`` the student is trained in few bits: at the
same bytes it has more parameters. Measured in experiments/ablation.
"""

from typing import TYPE_CHECKING, ClassVar, Literal

from lada.methods.factorization import by_rank
from lada.methods.registry import register_method
from lada.methods.settings import (
    ALLOCATION,
    FACTORIZER,
    WHOLE,
    Context,
    Factorizer,
    RankSettings,
)
from lada.schema import setting, settings

if TYPE_CHECKING:
    from lada.methods.base import Method


@register_method("lada_plus")
@settings("method")
class LadaPlusSettings(RankSettings):
    """Settings of ``method=lada_plus``."""

    reads: ClassVar[tuple[str, ...]] = ("distill",)

    whole: Literal["paper", "trimmed"] = setting("trimmed", WHOLE)
    factorizer: Factorizer = setting("whitened", FACTORIZER)
    allocation: Literal["uniform", "marginal"] = setting("marginal", ALLOCATION)

    def make(self, context: Context) -> "Method":
        from lada.methods.objectives import FourTerms

        return by_rank(self, context, FourTerms(context.distilled, context.losses))
