"""One BERT layer, applied several times with adapters of its own each, taught by all layers.

Paper: Nouriborji et al. 2022, arXiv 2210.06425: recursive students with bottleneck adapters,
trained with the teacher's attention, hidden states and output: in the authors' code by the cosine
distance of the hidden states and the KL divergence of the attention probabilities (weight 3 each),
the KL divergence of the predictions (5) and the masked language model's loss (1). Ours: LadaBERT's
terms and weights (``distill``), no distillation on unlabelled text before, the start, the places
and the width of the adapters (see `lada.nn.minialbert`); with a target the word table is made
smaller (``method.embedding``).
"""

import torch
from transformers import BertForSequenceClassification

from lada.config import Config, MiniAlbertConfig, ScheduleConfig
from lada.errors import LadaError
from lada.methods.base import Combined, Method
from lada.methods.objectives import FourTerms
from lada.methods.structures import SmallByForm, compress_table_
from lada.nn.minialbert import MiniAlbert, minialbert_config
from lada.nn.projection import uniform_layers
from lada.nn.surgery import inventory
from lada.ops.plan import Plan


class _Recursive(SmallByForm):
    """The shared layer; see the module."""

    def __init__(
        self,
        method: MiniAlbertConfig,
        target: float | None,
        schedule: ScheduleConfig,
        *,
        seed: int,
    ):
        super().__init__(target, method.embedding, schedule)
        self._method = method
        self._seed = seed

    def plan(self, dense: BertForSequenceClassification, rounds: int) -> Plan:
        """See `SmallByForm`."""
        layers = dense.config.num_hidden_layers
        applications = self._method.applications or layers
        try:
            uniform_layers(layers, applications)
        except ValueError as error:
            raise LadaError(f"method.applications={applications}: {error}") from None
        with torch.device("meta"):
            config = minialbert_config(dense.config, applications, self._method.adapter)
            counted = inventory(MiniAlbert(config))
        return self._plan(counted, dense, rounds)

    def build(self, teacher: BertForSequenceClassification, plan: Plan) -> MiniAlbert:
        """A student that starts from the teacher's first layer."""
        torch.manual_seed(self._seed)
        m, layers = self._method, teacher.config.num_hidden_layers
        student = MiniAlbert.from_teacher(teacher, m.applications or layers, m.adapter)
        student.train()
        compress_table_(student, plan)
        if m.tune == "adapters":
            student.train_adapters_only_()
        return student


def make(config: Config) -> Method:
    """The method of a checked config."""
    m = config.method
    assert isinstance(m, MiniAlbertConfig)
    structure = _Recursive(m, config.target.ratio, config.schedule, seed=config.seed)
    return Combined(structure, FourTerms(config.distill))
