"""The first layers of the teacher, fine-tuned on the labels.

Paper: "BERT-FT" of LadaBERT's Table 3 (arXiv 2004.04124) and of PKD (1908.09355): 3 layers of 12.
The student starts from the first layers, the embeddings, the pooler and the classifier of the
fine-tuned teacher (the papers: of the pretrained model).

With a target the word embeddings are compressed as well, until the target is met
(``method.embedding``). That is ours: the papers leave them whole. ``target=none`` is the student as
published. At x7.5 or more, where one layer is left, no paper has this student.
"""

from typing import TYPE_CHECKING, ClassVar

from lada.methods.forms import LayersSettings
from lada.methods.registry import register_method
from lada.methods.settings import Context
from lada.schema import settings

if TYPE_CHECKING:
    from lada.methods.base import Method


@register_method("finetune")
@settings("method")
class FinetuneSettings(LayersSettings):
    """Settings of ``method=finetune``."""

    labels: ClassVar[bool] = True

    def make(self, context: Context) -> "Method":
        from lada.methods.base import Combined
        from lada.methods.objectives import Labels

        return Combined(self.structure(context), Labels(context.losses))
