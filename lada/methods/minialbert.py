"""One BERT layer, applied several times with different adapters, taught by all layers.

Paper: Nouriborji et al. 2022, arXiv 2210.06425: recursive students with bottleneck adapters,
trained with the teacher's attention, hidden states and output. The authors' code takes the cosine
distance of the hidden states and the KL divergence of the attention probabilities (weight 3 each),
the KL divergence of the predictions (5) and the masked language model's loss (1).

Ours: LadaBERT's terms and weights (``distill``); no distillation on unlabelled text before; the
initial weights, the places and the width of the adapters (see `lada.nn.minialbert`). With a target
the word embeddings are compressed (``method.embedding``).
"""

from typing import TYPE_CHECKING, ClassVar, Literal

from lada.methods.forms import FormSettings
from lada.methods.registry import register_method
from lada.methods.settings import Context
from lada.schema import setting, settings

if TYPE_CHECKING:
    from lada.methods.base import Method


@register_method("minialbert")
@settings("method")
class MiniAlbertSettings(FormSettings):
    """Settings of ``method=minialbert``."""

    kinds = ("single_label", "multi_label", "regression")
    reads: ClassVar[tuple[str, ...]] = ("distill",)
    needs_run = "has a student that is trained in part"

    applications: int | None = setting(
        None,
        "times that the one layer is applied; null: as many as the teacher has layers",
        least=1,
        most=256,
        why="no encoder is deeper",
    )
    adapter: int = setting(
        32,
        "units of an adapter",
        least=1,
        most=32_768,
        why="no encoder is wider",
    )
    tune: Literal["all", "adapters"] = setting(
        "all", "`adapters`: they and the classifier alone are trained"
    )

    def make(self, context: Context) -> "Method":
        from lada.methods.base import Combined
        from lada.methods.objectives import FourTerms
        from lada.methods.students import Recursive

        structure = Recursive(self, context.target, context.schedule, seed=context.seed)
        return Combined(structure, FourTerms(context.distilled, context.losses))
