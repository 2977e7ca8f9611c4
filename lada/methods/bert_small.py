"""A small BERT without distillation: pretrained, if a folder of one is given, or from scratch.

Paper: Turc et al. 2019, arXiv 1908.08962 ("Well-read students"), in TinyBERT's shape, as
LadaBERT's Table 3 has it. From scratch (``method.path=null``) it has seen no text but the task's:
a row of a table has to say which it is. Sizes other than the published one are made as by
`lada.methods.tinybert`; that is ours.
"""

from typing import TYPE_CHECKING

from lada.methods.registry import register_method
from lada.methods.settings import Context, ShapeSettings
from lada.schema import settings

if TYPE_CHECKING:
    from lada.methods.base import Method


@register_method("bert_small")
@settings("method")
class BertSmallSettings(ShapeSettings):
    """Settings of ``method=bert_small``."""

    needs_run = "trains a student of another shape from the start, with nothing to compress"

    def make(self, context: Context) -> "Method":
        from lada.methods.base import Combined
        from lada.methods.objectives import Labels
        from lada.methods.shaped import Shaped

        structure = Shaped(self, context.target, context.schedule, seed=context.seed)
        return Combined(structure, Labels())
