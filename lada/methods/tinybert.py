"""TinyBERT: a narrower and shallower BERT from scratch, taught layer by layer, then by predictions.

Paper: Jiao et al. 2019, arXiv 1909.10351: 4 layers, 312 wide, 1,200 units in the feed-forward
layers, 12 heads. Only its task-specific distillation, without the general distillation before it
and without data augmentation, as LadaBERT's Table 3 ran it. ``method.intermediate`` of the steps
learn embedding output, states and attention scores, the rest the predictions; the paper has 20
epochs of the first and 3 of the second. The projection of the states is dropped after training.

Otherwise than in the authors' code: BERT's head, where they have ``classifier(relu(pooled))``
without dropout; a teacher in eval mode, where theirs never is, so that its dropout is on; attention
without padding in the divisor (`lada.ops.losses.attention_mse`); one optimizer and schedule for
both stages; gradients clipped by their global norm, where BertAdam clips each tensor.

With a target the word table is made smaller too (``method.embedding``), and by
``method.width=null method.inner=null`` the width is solved from the target, in the published
proportions (`lada.ops.shape.solve_width`); both are ours.
"""

from transformers import BertForSequenceClassification

from lada.config import Config, TinyBertConfig
from lada.errors import LadaError
from lada.methods.base import Combined, Method
from lada.methods.objectives import TwoStages
from lada.methods.shaped import Shaped
from lada.nn.projection import uniform_layers
from lada.ops.plan import Plan


class _Paired(Shaped):
    """A shape whose layers and heads have counterparts in the teacher."""

    def plan(self, dense: BertForSequenceClassification, rounds: int) -> Plan:
        if self._sizes.layers is not None:
            try:
                uniform_layers(dense.config.num_hidden_layers, self._sizes.layers)
            except ValueError as error:
                raise LadaError(f"method.layers: {error}; or method.layers=null") from None
        given, heads = self._sizes.heads, dense.config.num_attention_heads
        if given not in (None, heads):
            raise LadaError(
                f"method.heads={given}: the teacher has {heads}, and each map has to have a "
                f"counterpart; give {heads} or null, and a width that {heads} divides"
            )
        return super().plan(dense, rounds)


def make(config: Config) -> Method:
    """The method of a checked config."""
    m = config.method
    assert isinstance(m, TinyBertConfig)
    structure = _Paired(m, config.target.ratio, config.schedule, seed=config.seed)
    return Combined(structure, TwoStages(m.intermediate))
