"""A bidirectional LSTM that learns the teacher's logits.

Paper: Tang et al. 2019, arXiv 1903.12136: one layer, up to 300 wide in each direction, 400 units
before the classes, mean squared error of the logits. Ours: the teacher's tokens and word table
(see `lada.nn.bilstm`), no data augmentation; with a target the word table is made smaller
(``method.embedding``).
"""

from typing import Any

import torch
from transformers import BertForSequenceClassification

from lada.config import BiLstmConfig, Config, ScheduleConfig
from lada.methods.base import Combined, Method
from lada.methods.objectives import Logits
from lada.methods.structures import compress_table_, in_reach
from lada.nn.bilstm import BiLstm, bilstm_config, bilstm_inventory
from lada.nn.rounds import compress_
from lada.nn.surgery import inventory
from lada.ops.plan import Plan, Round, make_table_plan


class _Recurrent:
    """The LSTM; see the module.

    Args:
        target: times smaller than the teacher; None: as large as it is.
        pairs: whether the task's rows are pairs.
    """

    def __init__(
        self,
        method: BiLstmConfig,
        target: float | None,
        schedule: ScheduleConfig,
        *,
        pairs: bool,
        seed: int,
    ):
        self._sizes: dict[str, Any] = {
            "hidden": method.hidden,
            "inner": method.inner,
            "pairs": pairs,
        }
        self._embedding = method.embedding
        self._target = target
        self._shape = schedule.shape
        self._seed = seed

    def plan(self, dense: BertForSequenceClassification, rounds: int) -> Plan:
        """See `lada.ops.plan.make_table_plan`."""
        with torch.device("meta"):
            counted = bilstm_inventory(BiLstm(bilstm_config(dense.config, **self._sizes)))
        total = inventory(dense).total
        return in_reach(
            self._target,
            lambda: make_table_plan(
                counted, total, self._target, self._embedding, self._shape, rounds
            ),
        )

    def build(self, teacher: BertForSequenceClassification, plan: Plan) -> BiLstm:
        """A student with random weights, but for the word table."""
        torch.manual_seed(self._seed)
        student = BiLstm.from_teacher(teacher, **self._sizes)
        student.train()
        compress_table_(student, plan)
        return student

    def compress_(self, student: BiLstm, round_: Round) -> set[str]:
        """See `lada.nn.rounds.compress_`."""
        return compress_(student, round_, lower_rank="truncate", threshold="factor")


def make(config: Config) -> Method:
    """The method of a checked config."""
    m = config.method
    assert isinstance(m, BiLstmConfig)
    structure = _Recurrent(
        m,
        config.target.ratio,
        config.schedule,
        pairs=config.task.pairs,
        seed=config.seed,
    )
    return Combined(structure, Logits())
