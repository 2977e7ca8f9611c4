"""A small BERT without distillation: pretrained, if a folder of one is given, or from scratch.

Paper: Turc et al. 2019, arXiv 1908.08962 ("Well-read students"), in TinyBERT's shape, as in
LadaBERT's Table 3. From scratch (``method.path=null``) it has seen only the task's text: a table of
results has to say which of the two it is. Other sizes than the published one, and a start from
the teacher's weights, are made as by `lada.methods.tinybert`; that is ours.
"""

from typing import TYPE_CHECKING, ClassVar

from lada.methods.forms import ShapeSettings
from lada.methods.registry import register_method
from lada.methods.settings import Context
from lada.schema import settings

if TYPE_CHECKING:
    from lada.methods.base import Method


@register_method("bert_small")
@settings("method")
class BertSmallSettings(ShapeSettings):
    """Settings of ``method=bert_small``."""

    labels: ClassVar[bool] = True
    needs_run = "trains a student of another shape from the start, with nothing to compress"

    def make(self, context: Context) -> "Method":
        from lada.methods.base import Combined
        from lada.methods.objectives import Labels
        from lada.methods.shaped import Shaped

        structure = Shaped(
            self,
            context.target,
            context.schedule,
            seed=context.seed,
            statistics=context.statistics if self.needs_statistics else None,
        )
        return Combined(structure, Labels(context.losses))
