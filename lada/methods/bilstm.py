"""A bidirectional LSTM that learns the teacher's logits.

Paper: Tang et al. 2019, arXiv 1903.12136: one layer, up to 300 wide in each direction, 400 units
before the classes, mean squared error of the logits. The authors' code adds the cross-entropy of
the labels with weight 1 (``ce_lambda``).

Ours: by default the error of the logits alone, as printed (``method.labels_weight=1`` is the code's
loss); the teacher's tokens and word embeddings (see `lada.nn.bilstm`); no data augmentation. With a
target the word embeddings are compressed (``method.embedding``).
"""

from typing import TYPE_CHECKING

from lada.errors import LadaError
from lada.limits import FLOAT32
from lada.methods.forms import FormSettings
from lada.methods.registry import register_method
from lada.methods.settings import Context
from lada.schema import setting, settings

if TYPE_CHECKING:
    from lada.methods.base import Method


@register_method("bilstm")
@settings("method")
class BiLstmSettings(FormSettings):
    """Settings of ``method=bilstm``."""

    kinds = ("single_label",)
    needs_run = "has a student that must know whether examples are pairs of texts"

    hidden: int = setting(
        300,
        "width of the states of one direction",
        least=1,
        most=32_768,
        why="no encoder is wider",
    )
    inner: int = setting(
        400,
        "units of the layer before the classes",
        least=1,
        most=32_768,
        why="no encoder is wider",
    )
    labels_weight: float = setting(
        0.0,
        "weight of the labels' own loss beside that of the logits; 1 in the authors' code",
        least=0.0,
        most=FLOAT32,
        why="the largest number in fp32",
        later=True,
    )

    def check(self, context: Context) -> None:
        super().check(context)
        if context.compile:
            raise LadaError(
                "compile=true: torch does not compile the packed sequences of method=bilstm. Leave "
                "it out."
            )

    def make(self, context: Context) -> "Method":
        from lada.methods.base import Combined
        from lada.methods.objectives import Logits
        from lada.methods.students import Recurrent

        structure = Recurrent(
            self, context.target, context.schedule, pairs=context.pairs, seed=context.seed
        )
        return Combined(structure, Logits(self.labels_weight, context.losses))
