"""Patient knowledge distillation: the first layers of the teacher, and its states on the way.

Paper: Sun et al. 2019, arXiv 1908.09355. To the terms of `lada.methods.kd` comes the distance of
the normalized [CLS] states (Eq. 7) to those of the teacher's layers that ``method.states`` picks.
The student is that of `lada.methods.finetune`.
"""

from typing import Any

from transformers import BertForSequenceClassification

from lada.config import Config, PkdConfig
from lada.errors import LadaError
from lada.methods.base import Combined, Method
from lada.methods.objectives import Patient
from lada.methods.structures import Shallow
from lada.ops.losses import patient_counts, patient_layers
from lada.ops.plan import Plan


class _Paired(Shallow):
    """Layers whose states have counterparts in the teacher."""

    def __init__(self, states: str, *args: Any):
        super().__init__(*args)
        self._states = states

    def plan(self, dense: BertForSequenceClassification, rounds: int) -> Plan:
        layers = dense.config.num_hidden_layers
        try:
            patient_layers(layers, len(self._kept(layers)), self._states)
        except ValueError as error:
            raise LadaError(f"method.layers: {error}") from None
        return super().plan(dense, rounds)

    def _possible(self, layers: int) -> list[int]:
        return patient_counts(layers, self._states)


def make(config: Config) -> Method:
    """The method of a checked config."""
    m = config.method
    assert isinstance(m, PkdConfig)
    structure = _Paired(
        m.states, m.layers, "first", config.target.ratio, m.embedding, config.schedule
    )
    return Combined(structure, Patient(m.alpha, m.temperature, m.beta, m.states))
