"""What a student learns from. Shared by methods."""

import torch
from torch import Tensor

from lada.config import DistillConfig
from lada.nn.capture import Outputs
from lada.ops.losses import attention_mse, cross_entropy, hidden_mse, soft_cross_entropy

Terms = dict[str, tuple[float, Tensor]]


class FourTerms:
    """The teacher's embedding output, attention maps, hidden states and predictions.

    LadaBERT section 3.4. Terms over layers are summed, as in TinyBERT's code, each a mean over
    real elements; a term of weight 0 is left out.
    """

    taught = True

    def __init__(self, distill: DistillConfig):
        self._distill = distill
        self.maps = distill.maps if distill.attention else None
        self.hidden = bool(distill.embedding or distill.hidden)

    def losses(self, student: Outputs, teacher: Outputs, batch: dict[str, Tensor]) -> Terms:
        """Up to four terms: prediction, embedding, hidden, attention."""
        d, mask = self._distill, batch["attention_mask"]
        rows, tokens, pairs = batch["totals"]
        soft = soft_cross_entropy(student.logits, teacher.logits, d.temperature, rows)
        terms = {"prediction": (d.prediction, soft)}
        if d.embedding:
            first = hidden_mse(student.hidden[0], teacher.hidden[0], mask, tokens)
            terms["embedding"] = (d.embedding, first)
        if d.hidden:
            both = zip(student.hidden[1:], teacher.hidden[1:], strict=True)
            terms["hidden"] = (d.hidden, _sum([hidden_mse(s, t, mask, tokens) for s, t in both]))
        if d.attention:
            both = zip(student.attentions, teacher.attentions, strict=True)
            maps = _sum([attention_mse(s, t, mask, pairs) for s, t in both])
            terms["attention"] = (d.attention, maps)
        return terms


class Labels:
    """The labels alone: no distillation."""

    taught = False
    maps: str | None = None
    hidden = False

    def losses(self, student: Outputs, teacher: Outputs, batch: dict[str, Tensor]) -> Terms:
        """One term: cross-entropy."""
        rows = batch["totals"][0]
        return {"labels": (1.0, cross_entropy(student.logits, batch["labels"], rows))}


def _sum(terms: list[Tensor]) -> Tensor:
    return torch.stack(terms).sum()
