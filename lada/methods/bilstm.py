"""A bidirectional LSTM that learns the teacher's logits.

Paper: Tang et al. 2019, arXiv 1903.12136: one layer, up to 300 wide in each direction, 400 units
before the classes, mean squared error of the logits; the authors' code adds the cross-entropy of
the labels with weight 1 (``ce_lambda``). Ours: the error of the logits alone, as printed; the
teacher's tokens and word table (see `lada.nn.bilstm`), no data augmentation; with a target the word
table is made smaller (``method.embedding``).
"""

from typing import Any

import torch
from transformers import BertForSequenceClassification

from lada.config import BiLstmConfig, Config, ScheduleConfig
from lada.methods.base import Combined, Method
from lada.methods.objectives import Logits
from lada.methods.structures import SmallByForm, compress_table_
from lada.nn.bilstm import BiLstm, bilstm_config, bilstm_inventory
from lada.ops.plan import Plan


class _Recurrent(SmallByForm):
    """The LSTM; see the module.

    Args:
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
        super().__init__(target, method.embedding, schedule)
        self._sizes: dict[str, Any] = {
            "hidden": method.hidden,
            "inner": method.inner,
            "pairs": pairs,
        }
        self._seed = seed

    def plan(self, dense: BertForSequenceClassification, rounds: int) -> Plan:
        """See `SmallByForm`."""
        with torch.device("meta"):
            counted = bilstm_inventory(BiLstm(bilstm_config(dense.config, **self._sizes)))
        return self._plan(counted, dense, rounds)

    def build(self, teacher: BertForSequenceClassification, plan: Plan) -> BiLstm:
        """A student with random weights, but for the word table."""
        torch.manual_seed(self._seed)
        student = BiLstm.from_teacher(teacher, **self._sizes)
        student.train()
        compress_table_(student, plan)
        return student


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
