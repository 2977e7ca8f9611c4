"""Magnitude pruning of the dense matrices in rounds, learning from the labels.

Paper: "Weight pruning" of LadaBERT's Table 3 (arXiv 2004.04124). The smallest entries are pruned; a
pruned entry stays zero. The word embeddings are pruned too, at the encoder's density (the paper
does not say). With ``method.threshold=global`` one threshold over all matrices decides the density
of each.
"""

from typing import TYPE_CHECKING, ClassVar

from lada.methods.registry import register_method
from lada.methods.settings import Context, ThresholdSettings
from lada.schema import settings

if TYPE_CHECKING:
    from lada.methods.base import Method, Objective


@register_method("pruning")
@settings("method")
class PruningSettings(ThresholdSettings):
    """Settings of ``method=pruning``."""

    labels: ClassVar[bool] = True

    def make(self, context: Context) -> "Method":
        from lada.methods.objectives import Labels

        return by_masks(self, context, Labels(context.losses))


def by_masks(settings: ThresholdSettings, context: Context, objective: "Objective") -> "Method":
    """Masks alone, with any loss."""
    from lada.methods.base import Combined
    from lada.methods.structures import Pruned

    structure = Pruned(
        context.required_target,
        context.schedule,
        threshold=settings.threshold,
        parts=settings.parts(context),
    )
    return Combined(structure, objective)
