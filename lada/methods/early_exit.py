"""The teacher itself, with off-ramps: easy examples exit after few layers.

Paper: Xin et al. 2020 (DeeBERT), arXiv 2004.12993. This is the second of its two stages: the
fine-tuned teacher stays as it is, and the ramps learn from the labels, by the sum of their
cross-entropies. It saves time, not size: the artifact is larger than its teacher, and a target is
rejected. The report gives the score and the mean number of layers run, at thresholds from 0 to 1.

Ours: a ramp's pooler starts as the fine-tuned teacher's. The authors' code copies the pretrained
one, before the first stage.
"""

from typing import TYPE_CHECKING

from lada.methods.registry import register_method
from lada.methods.settings import Context, MethodSettings
from lada.schema import setting, settings

if TYPE_CHECKING:
    from lada.methods.base import Method


@register_method("early_exit")
@settings("method")
class EarlyExitSettings(MethodSettings):
    """Settings of ``method=early_exit``."""

    kinds = ("single_label",)
    size = "own"
    needs_run = "trains classifiers between the layers and has no target"

    threshold: float = setting(
        0.3,
        "an example exits where the entropy of its prediction, over ln(classes), is below",
        least=0.0,
        most=1.0,
    )

    def make(self, context: Context) -> "Method":
        from lada.methods.base import Combined
        from lada.methods.students import AllRamps, Ramped

        return Combined(Ramped(self.threshold, context.seed), AllRamps(context.losses))
