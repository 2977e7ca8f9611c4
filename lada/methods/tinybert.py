"""TinyBERT: a narrower and shallower BERT from scratch, taught layer by layer, then by predictions.

Paper: Jiao et al. 2019, arXiv 1909.10351: 4 layers, 312 wide, 1,200 units in the feed-forward
layers, 12 heads. Only its task-specific distillation, without the general distillation before it
and without data augmentation, as LadaBERT's Table 3 ran it. ``method.intermediate`` of the steps
learn embedding output, states and attention scores, the rest the predictions; the paper has 20
epochs of the first and 3 of the second. The projection of the states is dropped after training.

With a target the word table is made smaller too (``method.embedding``); that is ours.
"""

from pathlib import Path
from typing import Any

from transformers import BertForSequenceClassification

from lada.config import Config, TinyBertConfig
from lada.errors import LadaError
from lada.methods.base import Combined, Method
from lada.methods.objectives import TwoStages
from lada.methods.structures import Shaped
from lada.nn.projection import uniform_layers
from lada.ops.plan import Plan


class _Paired(Shaped):
    """A shape whose layers and heads have counterparts in the teacher."""

    def __init__(self, layers: int, heads: int, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self._layers, self._heads = layers, heads

    def plan(self, dense: BertForSequenceClassification, rounds: int) -> Plan:
        try:
            uniform_layers(dense.config.num_hidden_layers, self._layers)
        except ValueError as error:
            raise LadaError(f"method.layers: {error}") from None
        heads = dense.config.num_attention_heads
        if self._heads != heads:
            raise LadaError(
                f"method.heads={self._heads}: the teacher has {heads}, and each map has to have a "
                f"counterpart; give {heads}, and a width that it divides"
            )
        return super().plan(dense, rounds)


def make(config: Config) -> Method:
    """The method of a checked config."""
    m = config.method
    assert isinstance(m, TinyBertConfig)
    structure = _Paired(
        m.layers,
        m.heads,
        (m.layers, m.width, m.inner, m.heads),
        config.target.ratio,
        m.embedding,
        config.schedule,
        folder=None if m.path is None else Path(m.path),
        seed=config.seed,
    )
    return Combined(structure, TwoStages(m.intermediate))
