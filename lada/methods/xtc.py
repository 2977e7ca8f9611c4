"""Some layers of the teacher in one bit per value, distilled: an extreme compression in bytes.

Paper: Wu et al. 2022, arXiv 2206.01859 (XTC): the student keeps layers of the teacher, its matrices
and its word embeddings have 1 bit (or are ternary) from the first step on, and it learns the
teacher's predictions, hidden states and attention scores in one stage. Read from its abstract and
the authors' code (microsoft/DeepSpeed, deepspeed/compression, and the XTC examples of
microsoft/DeepSpeedExamples), not from its text. In the same place is BinaryBERT (Bai et al. 2020,
arXiv 2012.15701), which splits the weights of a half-wide ternary model; that is not done here.

The bits are those of the artifact: ``artifact=int1``, or ``artifact=int2`` for ternary values
(`lada.ops.bits`). With ``artifact=int8`` the student is a plain distilled one of fewer layers.

Otherwise than in the authors' code: activations stay in floating point, where theirs have 8 bits; a
scale for each row's 64 values, where theirs is one for a matrix; the ternary scale is the largest
magnitude or 0.45 of it, whichever errs less, where theirs is a mean; layers and bits are reduced at
once, where theirs trains the shallow model first, for 36 epochs; LadaBERT's terms and means, where
theirs divides the predictions' term by the number of classes, too. Their rate is 5e-5 for 18 epochs
of MNLI; in fewer steps signs need a higher one to change, and ``optim.lr`` says which.

With a target the number of layers follows (``method.layers=null``), and the word embeddings may be
compressed further; both are ours.
"""

from typing import TYPE_CHECKING, ClassVar

from lada.methods.forms import DEEP, WHICH, FormSettings, Which
from lada.methods.registry import register_method
from lada.methods.settings import Context, EveryMatrixSettings
from lada.schema import setting, settings

if TYPE_CHECKING:
    from lada.methods.base import Method


@register_method("xtc")
@settings("method")
class XtcSettings(FormSettings, EveryMatrixSettings):
    """Settings of ``method=xtc``."""

    reads: ClassVar[tuple[str, ...]] = ("distill",)

    layers: int | None = setting(
        None,
        "layers that stay, a divisor of the teacher's; null: as many as the target leaves room for",
        least=1,
        most=256,
        why=DEEP,
    )
    which: Which = setting("skip", WHICH)

    def make(self, context: Context) -> "Method":
        from lada.methods.base import Combined
        from lada.methods.objectives import FourTerms
        from lada.methods.students import FewBitLayers

        structure = FewBitLayers(
            self.layers,
            self.which,
            context.target,
            self.embedding,
            context.schedule,
            parts=self.parts(context),
            at_most=context.mb is not None,
        )
        return Combined(structure, FourTerms(context.distilled, context.losses))
