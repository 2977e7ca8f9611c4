"""Some layers of the teacher are dropped; the others are distilled.

Survey: Ganesh et al. 2020, arXiv 2002.11985, section on dropping layers: the first, the last
("top") or evenly spread ("alternate") layers stay. Two other spreads: ``ends`` keeps the first and
the last layer, as the published start of DistilBERT does (layers 1, 3, 5, 8, 10, 12 of 12), and
``skip`` keeps every k-th up to the last. The loss is that of `lada.methods.kd`. With a
target the word embeddings are compressed, as in `lada.methods.finetune`; at x7.5 or more no paper
has this student.
"""

from typing import TYPE_CHECKING

from lada.methods.forms import WHICH, DistilledSettings, Which
from lada.methods.registry import register_method
from lada.methods.settings import Context
from lada.schema import setting, settings

if TYPE_CHECKING:
    from lada.methods.base import Method


@register_method("layerdrop")
@settings("method")
class LayerdropSettings(DistilledSettings):
    """Settings of ``method=layerdrop``."""

    which: Which = setting("alternate", WHICH)

    def make(self, context: Context) -> "Method":
        from lada.methods.base import Combined
        from lada.methods.objectives import SoftAndHard

        return Combined(
            self.structure(context, self.which),
            SoftAndHard(self.alpha, self.temperature, context.losses),
        )
