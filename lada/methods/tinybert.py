"""TinyBERT: a narrower and shallower BERT from scratch, taught layer by layer, then by predictions.

Paper: Jiao et al. 2019, arXiv 1909.10351: 4 layers, 312 wide, 1,200 units in the feed-forward
layers, 12 heads. Only its task-specific distillation, without the general distillation before it
and without data augmentation (``data.augment``), as LadaBERT's Table 3 ran it.
``method.intermediate`` of the steps learn embedding output, states and attention scores, the rest
the predictions; the paper has 20 epochs of the first and 3 of the second. The projection of the
states is dropped after training.

Each of the two stages has a learning rate that warms up and decays by itself; the authors' code has
two trainings, the first at a constant rate, the second with warm-up and linear decay.

Otherwise than in the authors' code: BERT's head, where they have ``classifier(relu(pooled))``
without dropout; a teacher in eval mode, where theirs never is, so that its dropout is on; attention
without padding in the divisor (`lada.ops.losses.attention_mse`); one optimizer and one peak of the
rate for both stages; gradients clipped by their global norm, where BertAdam clips each tensor.

``method.start=teacher`` (`lada.nn.narrow`), which starts from the teacher's weights instead of from
random ones, is ours; the projection then starts as the way back.

With a target the word embeddings are compressed too (``method.embedding``), and by
``method.width=null method.inner=null`` the width is solved from the target, in the published
proportions (`lada.ops.shape.solve_width`); both are ours.
"""

from typing import TYPE_CHECKING

from lada.errors import LadaError
from lada.methods.forms import ShapeSettings
from lada.methods.registry import register_method
from lada.methods.settings import Context
from lada.schema import consistent, setting, settings

if TYPE_CHECKING:
    from lada.methods.base import Method


@register_method("tinybert")
@settings("method")
class TinyBertSettings(ShapeSettings):
    """Settings of ``method=tinybert``."""

    needs_run = "trains in two stages, with a projection that is trained along"

    intermediate: float = setting(
        0.7, "fraction of the steps before those of the predictions", least=0.0, most=1.0
    )

    @property
    def stages(self) -> tuple[float, ...]:
        return (self.intermediate,)

    @consistent("intermediate")
    def _predictions_have_a_turn(self) -> None:
        if self.intermediate == 1.0:
            raise LadaError(
                "method.intermediate=1: the classifier would learn nothing. Give less than 1."
            )

    @classmethod
    def not_served(cls, kind: str) -> str | None:
        if kind == "embedding":
            return "makes narrower students, whose vectors do not compare with the teacher's"
        return super().not_served(kind)

    def make(self, context: Context) -> "Method":
        from lada.methods.base import Combined
        from lada.methods.objectives import TwoStages
        from lada.methods.students import PairedShape

        statistics = context.statistics if self.needs_statistics else None
        structure = PairedShape(
            self, context.target, context.schedule, seed=context.seed, statistics=statistics
        )
        loss = TwoStages(
            self.intermediate, context.losses, maps=context.maps, statistics=statistics
        )
        return Combined(structure, loss)
