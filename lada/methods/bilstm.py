"""A bidirectional LSTM that learns the teacher's logits.

Paper: Tang et al. 2019, arXiv 1903.12136: one layer, up to 300 wide in each direction, 400 units
before the classes, mean squared error of the logits. The authors' code adds the cross-entropy of
the labels with weight 1 (``ce_lambda``).

Ours: the error of the logits alone, as printed; the teacher's tokens and word embeddings (see
`lada.nn.bilstm`); no data augmentation. With a target the word embeddings are compressed
(``method.embedding``).
"""

from typing import TYPE_CHECKING

from lada.errors import LadaError
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
        return Combined(structure, Logits(context.losses))
