"""The teacher itself, with off-ramps: easy rows leave after few layers.

Paper: Xin et al. 2020 (DeeBERT), arXiv 2004.12993. The second of its two stages: the fine-tuned
teacher stays as it is, and the ramps learn from the labels, the sum of their cross-entropies. It
saves time, not size: the artifact is larger than its teacher, and a target is refused. The report
gives the score against the mean number of layers run, at thresholds from 0 to 1.

Ours: a ramp's pooler starts as the fine-tuned teacher's; the authors' code copies the pretrained
one, before the first stage.
"""

import torch
from torch import Tensor
from transformers import BertForSequenceClassification, PreTrainedModel

from lada.config import Config, EarlyExitConfig
from lada.methods.base import Combined, Method
from lada.methods.objectives import Labels, Terms
from lada.nn.capture import Outputs
from lada.nn.early_exit import EarlyExit, early_exit_inventory
from lada.nn.surgery import inventory
from lada.ops.losses import cross_entropy
from lada.ops.plan import Plan, Round


class _Ramped:
    """The teacher and its ramps."""

    def __init__(self, threshold: float, seed: int):
        self._threshold = threshold
        self._seed = seed

    def plan(self, dense: BertForSequenceClassification, rounds: int) -> Plan:
        """Nothing is compressed."""
        counted = inventory(dense)
        size = early_exit_inventory(counted, dense.config).total
        return Plan(None, counted.total, None, (Round((), size, counted.total / size),))

    def build(self, teacher: BertForSequenceClassification, plan: Plan) -> EarlyExit:
        """A frozen copy of the teacher with ramps, see `EarlyExit.from_teacher`."""
        torch.manual_seed(self._seed)
        student = EarlyExit.from_teacher(teacher, self._threshold)
        student.train()
        return student

    def compress_(self, student: PreTrainedModel, round_: Round) -> set[str]:
        """Nothing."""
        return set()


class _AllRamps(Labels):
    """The labels, at every ramp."""

    def losses(
        self, student: Outputs, teacher: Outputs, batch: dict[str, Tensor], progress: float
    ) -> Terms:
        """One term: the sum of the ramps' cross-entropies; logits (layers, batch, classes)."""
        rows, labels = batch["totals"][0], batch["labels"]
        ramps = [cross_entropy(logits, labels, rows) for logits in student.logits[:-1]]
        return {"labels": (1.0, torch.stack(ramps).sum())}


def make(config: Config) -> Method:
    """The method of a checked config."""
    m = config.method
    assert isinstance(m, EarlyExitConfig)
    return Combined(_Ramped(m.threshold, config.seed), _AllRamps())
