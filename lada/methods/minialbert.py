"""One BERT layer, applied several times with adapters of its own each, taught by all layers.

Paper: Nouriborji et al. 2022, arXiv 2210.06425: recursive students with bottleneck adapters,
trained with the teacher's attention, hidden states and output. Ours: no distillation on unlabelled
text before, the start and the places of the adapters (see `lada.nn.minialbert`), LadaBERT's terms
and weights (``distill``); with a target the word table is made smaller (``method.embedding``).
"""

import torch
from transformers import BertForSequenceClassification

from lada.config import Config, MiniAlbertConfig, ScheduleConfig
from lada.errors import LadaError
from lada.methods.base import Combined, Method
from lada.methods.objectives import FourTerms
from lada.methods.structures import compress_table_, in_reach
from lada.nn.minialbert import MiniAlbert, minialbert_config
from lada.nn.projection import uniform_layers
from lada.nn.rounds import compress_
from lada.nn.surgery import inventory
from lada.ops.plan import Plan, Round, make_table_plan


class _Recursive:
    """The shared layer; see the module.

    Args:
        target: times smaller than the teacher; None: as large as it is.
    """

    def __init__(
        self,
        method: MiniAlbertConfig,
        target: float | None,
        schedule: ScheduleConfig,
        *,
        seed: int,
    ):
        self._method = method
        self._target = target
        self._shape = schedule.shape
        self._seed = seed

    def plan(self, dense: BertForSequenceClassification, rounds: int) -> Plan:
        """See `lada.ops.plan.make_table_plan`."""
        layers = dense.config.num_hidden_layers
        applications = self._method.applications or layers
        try:
            uniform_layers(layers, applications)
        except ValueError as error:
            raise LadaError(f"method.applications={applications}: {error}") from None
        with torch.device("meta"):
            config = minialbert_config(dense.config, applications, self._method.adapter)
            counted = inventory(MiniAlbert(config))
        total = inventory(dense).total
        return in_reach(
            self._target,
            lambda: make_table_plan(
                counted, total, self._target, self._method.embedding, self._shape, rounds
            ),
        )

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

    def compress_(self, student: MiniAlbert, round_: Round) -> set[str]:
        """See `lada.nn.rounds.compress_`."""
        return compress_(student, round_, lower_rank="truncate", threshold="factor")


def make(config: Config) -> Method:
    """The method of a checked config."""
    m = config.method
    assert isinstance(m, MiniAlbertConfig)
    structure = _Recursive(m, config.target.ratio, config.schedule, seed=config.seed)
    return Combined(structure, FourTerms(config.distill))
