"""What a student learns from. Shared by methods."""

import torch
from torch import Tensor
from transformers import PreTrainedModel

from lada.heads.base import Head
from lada.methods.base import Terms
from lada.methods.groups import DistillConfig
from lada.nn.capture import Outputs
from lada.nn.narrow import directions_of
from lada.nn.projection import Projection, uniform_layers
from lada.ops.losses import (
    attention_mse,
    hidden_mse,
    patient_layers,
    patient_mse,
    relation_divergence,
)
from lada.ops.statistics import Statistics

PREDICTION, TERMS = "prediction", ("embedding", "hidden", "attention", "labels")
"""The terms of `FourTerms`: the one that is always there, and the others."""


class _SameWidth:
    """Objectives of students that are as wide as their teacher, or whose states do not count.

    By themselves they need the logits of the teacher alone.
    """

    trained = True
    taught = True
    maps: str | None = None
    hidden = False
    partial = False

    def projection(self, student: PreTrainedModel, teacher: PreTrainedModel) -> None:
        """None."""


class FourTerms(_SameWidth):
    """The teacher's embedding output, attention maps, hidden states and predictions, and labels.

    LadaBERT section 3.4, which has no term of the labels. Terms over layers are summed, as in
    TinyBERT's code, each a mean over real elements (`lada.ops.losses.attention_mse` says what that
    does to the weights); a term of weight 0 is omitted. Student layer m of M learns from teacher
    layer ``m N / M``: the same one, where both have as many. Value relations in the place of
    attention maps are of the last layers alone, as in MiniLM (arXiv 2002.10957), which has
    attention maps beside them and no other term.
    """

    def __init__(self, distill: DistillConfig, head: Head):
        self._distill = distill
        self._head = head
        self.maps = distill.maps if distill.attention else None
        self.hidden = bool(distill.embedding or distill.hidden)

    def losses(
        self, student: Outputs, teacher: Outputs, batch: dict[str, Tensor], progress: float
    ) -> Terms:
        """Up to five terms: prediction, embedding, hidden, attention, labels."""
        d, mask = self._distill, batch["attention_mask"]
        _, tokens, pairs = batch["totals"]
        relative = d.states == "relative"
        soft = self._head.soft(student.logits, teacher.logits, batch, d.temperature)
        terms = {"prediction": (d.prediction, soft)}
        if d.embedding:
            both = student.hidden[0], teacher.hidden[0]
            first = hidden_mse(*both, mask, tokens, relative=relative)
            terms["embedding"] = (d.embedding, first)
        if d.hidden:
            theirs = _uniform(teacher.hidden[1:], len(student.hidden) - 1)
            states = [
                hidden_mse(s, t, mask, tokens, relative=relative)
                for s, t in zip(student.hidden[1:], theirs, strict=True)
            ]
            terms["hidden"] = (d.hidden, _sum(states))
        if d.attention:
            theirs = _uniform(teacher.attentions, len(student.attentions))
            maps = [
                relation_divergence(s, t, mask, tokens)
                if self.maps == "values"
                else attention_mse(s, t, mask, pairs)
                for s, t in zip(student.attentions, theirs, strict=True)
            ]
            terms["attention"] = (d.attention, _sum(maps))
        if d.labels:
            terms["labels"] = (d.labels, self._head.hard(student.logits, batch))
        return terms


class Labels(_SameWidth):
    """The labels alone: no distillation."""

    taught = False

    def __init__(self, head: Head):
        self._head = head

    def losses(
        self, student: Outputs, teacher: Outputs, batch: dict[str, Tensor], progress: float
    ) -> Terms:
        """One term, such as cross-entropy."""
        return {"labels": (1.0, self._head.hard(student.logits, batch))}


class Nothing(_SameWidth):
    """No training at all."""

    trained = False
    taught = False

    def losses(
        self, student: Outputs, teacher: Outputs, batch: dict[str, Tensor], progress: float
    ) -> Terms:
        """None."""
        return {}


class Logits(_SameWidth):
    """The teacher's logits, by their mean squared error: Tang et al. 2019, arXiv 1903.12136.

    Section 3.2; the paper's final objective has no term of the labels, its code has.

    Args:
        labels: weight of that term; 0: none.
    """

    def __init__(self, labels: float, head: Head):
        self._labels = labels
        self._head = head

    def losses(
        self, student: Outputs, teacher: Outputs, batch: dict[str, Tensor], progress: float
    ) -> Terms:
        """One term or two: prediction, labels."""
        squared = self._head.squared(student.logits, teacher.logits, batch)
        terms = {"prediction": (1.0, squared)}
        if self._labels:
            terms["labels"] = (self._labels, self._head.hard(student.logits, batch))
        return terms


class SoftAndHard(_SameWidth):
    """The teacher's softened predictions and the labels: Hinton et al. 2015, arXiv 1503.02531.

    Args:
        alpha: weight of the softened predictions, from 0 to 1; the labels have the rest.
        temperature: of both models' predictions.
    """

    def __init__(self, alpha: float, temperature: float, head: Head):
        self._head = head
        self._alpha = alpha
        self._temperature = temperature
        self.taught = alpha > 0.0

    def losses(
        self, student: Outputs, teacher: Outputs, batch: dict[str, Tensor], progress: float
    ) -> Terms:
        """Two terms: prediction, labels; terms of weight 0 are omitted."""
        terms = {}
        if self._alpha > 0.0:
            soft = self._head.softened(student.logits, teacher.logits, batch, self._temperature)
            terms["prediction"] = (self._alpha, soft)
        if self._alpha < 1.0:
            hard = self._head.hard(student.logits, batch)
            terms["labels"] = (1.0 - self._alpha, hard)
        return terms


class Patient(SoftAndHard):
    """Those two, and the normalized [CLS] states between the layers: PKD, arXiv 1908.09355.

    Args:
        beta: weight of the states' term.
        states: "skip" or "last", see `lada.ops.losses.patient_layers`.
    """

    hidden = True

    def __init__(self, alpha: float, temperature: float, beta: float, states: str, head: Head):
        super().__init__(alpha, temperature, head)
        self.taught = True  # by its states, whatever alpha is
        self._beta = beta
        self._states = states

    def losses(
        self, student: Outputs, teacher: Outputs, batch: dict[str, Tensor], progress: float
    ) -> Terms:
        """Three terms: prediction, labels, states."""
        terms = super().losses(student, teacher, batch, progress)
        count = len(student.hidden) - 1
        theirs = patient_layers(len(teacher.hidden) - 1, count, self._states)
        ours = torch.stack([student.hidden[n][:, 0] for n in range(1, count)], 1)
        found = torch.stack([teacher.hidden[n][:, 0] for n in theirs], 1)
        term = patient_mse(ours, found, batch["totals"][0])
        return terms | {"states": (self._beta, term)}


class TwoStages:
    """Embedding output, hidden states and attention maps first, then the predictions alone.

    TinyBERT, arXiv 1909.10351, its task-specific distillation: student layer m learns from teacher
    layer ``m N / M``, its states by way of a learned projection.

    Args:
        intermediate: share of the steps that the first stage has.
        maps: whether there are attention maps; without them the term is left out.
        statistics: what the teacher's layers see, if the student starts from its weights: then the
            projection starts as that student's way back to the teacher's states.
    """

    trained = True
    taught = True
    hidden = True
    partial = True

    def __init__(
        self,
        intermediate: float,
        head: Head,
        *,
        maps: bool = True,
        statistics: Statistics | None = None,
    ):
        self.maps = "scores" if maps else None
        self._statistics = statistics
        self._intermediate = intermediate
        self._head = head

    def projection(self, student: PreTrainedModel, teacher: PreTrainedModel) -> Projection:
        """One for all layers."""
        width = student.config.hidden_size
        found = Projection(width, teacher.config.hidden_size)
        if self._statistics is not None:
            found.start_at_(directions_of(teacher, self._statistics, width)[0])
        return found

    def losses(
        self, student: Outputs, teacher: Outputs, batch: dict[str, Tensor], progress: float
    ) -> Terms:
        """Three terms (embedding, hidden, attention) or one (prediction)."""
        _, tokens, pairs = batch["totals"]
        if progress >= self._intermediate:
            soft = self._head.soft(student.logits, teacher.logits, batch, 1.0)
            return {"prediction": (1.0, soft)}
        mask = batch["attention_mask"]
        layers = uniform_layers(len(teacher.hidden) - 1, len(student.hidden) - 1)
        hidden, maps = [], []
        for place, number in enumerate(layers):
            states = student.hidden[place + 1], teacher.hidden[number]
            hidden.append(hidden_mse(*states, mask, tokens))
            if self.maps:
                scores = student.attentions[place], teacher.attentions[number - 1]
                maps.append(attention_mse(*scores, mask, pairs))
        first = hidden_mse(student.hidden[0], teacher.hidden[0], mask, tokens)
        terms = {"embedding": (1.0, first), "hidden": (1.0, _sum(hidden))}
        return terms | ({"attention": (1.0, _sum(maps))} if maps else {})


def _uniform(theirs: tuple[Tensor, ...], count: int) -> list[Tensor]:
    return [theirs[number - 1] for number in uniform_layers(len(theirs), count)]


def _sum(terms: list[Tensor]) -> Tensor:
    return torch.stack(terms).sum()
