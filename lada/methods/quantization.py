"""The teacher with int8 weights, not trained again.

Post-training quantization of the weights alone: symmetric, one fp16 scale for each row of a matrix,
activations in floating point; other tensors are fp16. The artifact has a quarter of the bytes and
all parameters. (Q8BERT, arXiv 1910.06188, trains with quantization in the loop; this does not.) The
artifact of any other method is int8 by default (``artifact.values``); `lada quantize` makes one of
an artifact that is not, and `lada export --to onnx --int8` quantizes activations as well.
"""

from typing import TYPE_CHECKING

from lada.errors import LadaError
from lada.methods.registry import register_method
from lada.methods.settings import Context, MethodSettings
from lada.schema import settings

if TYPE_CHECKING:
    from lada.methods.base import Method


@register_method("quantization")
@settings("method")
class QuantizationSettings(MethodSettings):
    """Settings of ``method=quantization``."""

    size = "own"
    trained = False
    needs_run = "trains nothing and has no target"

    def check(self, context: Context) -> None:
        super().check(context)
        if context.values != "int8":
            raise LadaError(
                f"artifact.values={context.values}: method=quantization stores int8. Leave it out."
            )

    def make(self, context: Context) -> "Method":
        from lada.methods.base import Combined
        from lada.methods.objectives import Nothing
        from lada.methods.students import Whole

        return Combined(Whole(), Nothing())
