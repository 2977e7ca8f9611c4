"""The teacher with int8 weights, not trained again.

Post-training quantization of the weights alone: symmetric, one fp16 scale for each row of a matrix,
activations in floating point; what is no large matrix is fp16. A quarter of the bytes, every
parameter kept. (Q8BERT, arXiv 1910.06188, trains with quantization in the loop; this does not.)
The artifact of any other method is int8 by default (``artifact.values``), and one that is not is
made so by `lada quantize`; `lada export --to onnx --int8` quantizes activations as well.
"""

from transformers import BertForSequenceClassification, PreTrainedModel

from lada.config import Config
from lada.errors import LadaError
from lada.methods.base import Combined, Method
from lada.methods.objectives import Nothing
from lada.methods.structures import trainable_copy
from lada.nn.surgery import inventory
from lada.ops.plan import Plan, Round


class _Whole:
    """The teacher as it is."""

    def plan(self, dense: BertForSequenceClassification, rounds: int) -> Plan:
        """Nothing is left out."""
        total = inventory(dense).total
        return Plan(None, total, None, (Round((), total, 1.0),))

    def build(
        self, teacher: BertForSequenceClassification, plan: Plan
    ) -> BertForSequenceClassification:
        """A copy."""
        return trainable_copy(teacher)

    def compress_(self, student: PreTrainedModel, round_: Round) -> set[str]:
        """Nothing: values become int8 as they are stored."""
        return set()


def make(config: Config) -> Method:
    """The method of a checked config."""
    if config.artifact.values != "int8":
        raise LadaError(
            f"artifact.values={config.artifact.values}: method=quantization stores int8; leave it"
        )
    return Combined(_Whole(), Nothing())
