"""LadaBERT: hybrid compression in rounds, with distillation.

Paper: Mao et al. 2020, "LadaBERT: Lightweight Adaptation of BERT through Hybrid Model
Compression", arXiv 2004.04124v2. Each matrix becomes ``(M_A * A)(M_B * B)^T`` (Eq. 5) of an SVD
(Eq. 1-4), pruned by magnitude; the ratio goes to the target in rounds; between rounds the student
learns from the teacher by four terms (section 3.4).

What the paper leaves open, and what is chosen here:

- A round splits its step between the ratios by powers: each kept fraction P is P^(k/K) at round k.
- SVD at kept fraction 1 already means half the rank of a square matrix, so even the first round
  loses something; with ``schedule.start=full`` it loses nothing, and ranks fall from min(m, n).
- A lower rank comes by ``method.lower_rank``: dropping trailing rank directions, or a new SVD,
  after which the learning rate warms up again (`lada.ops.schedule.rate`).
- The word embeddings are factorized and not pruned, as in Eq. 7, unless ``method.word_density``
  says so.
- Threshold per factor (``method.threshold=factor``) or over all (``global``).
- Attention term on scores before the softmax, as in TinyBERT's code, or on probabilities.
- Terms over layers are summed (TinyBERT's code), each a mean over real elements; weights 1. That
  code divides the attention term by all pairs of the padded length, so that at weight 1 it weighs
  about 10 times (SST-2) or 3 times (MNLI) as much here, compared with the other terms.

Deviations: AdamW keeps its bias correction (BertAdam has none), since state is cleared in rounds.
Gradients are clipped by their global norm (BertAdam's public code clips each tensor).
"""

from typing import TYPE_CHECKING, ClassVar

from lada.methods.registry import register_method
from lada.methods.settings import Context, FactorSettings
from lada.schema import settings

if TYPE_CHECKING:
    from lada.methods.base import Method


@register_method("lada")
@settings("method")
class LadaSettings(FactorSettings):
    """Settings of ``method=lada``."""

    reads: ClassVar[tuple[str, ...]] = ("distill", "ratios")

    def make(self, context: Context) -> "Method":
        from lada.methods.base import Combined
        from lada.methods.objectives import FourTerms

        return Combined(self.structure(context), FourTerms(context.distilled, context.losses))
