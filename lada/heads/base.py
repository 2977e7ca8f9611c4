"""What every kind of task says: its loss, its metrics, its answers. One file per kind."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from lada.data.split import Split
from lada.data.tokens import Encoded
from lada.heads.kinds import KINDS, METRICS, Kind, Metric
from lada.report.bootstrap import Statistic

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

Batch = dict[str, Tensor]
"""The tensors of `lada.data.batches.collate`, and, of all that an optimizer step learns from,
``totals`` (3,): examples, tokens and pairs of tokens; and ``targets``, a scalar: how many outputs
have a label. A batch may be a part of that."""

Found = Tensor | Sequence[Tensor]
"""Outputs of a model for the examples of an `Encoded`: (examples, width), or, where they are per
token, (length, width) of each."""


class Shown(NamedTuple):
    """What a model answers to an example, as a person reads it.

    Attributes:
        answer, label: as text; two answers are the same if their texts are.
        right: whether the answer counts as right.
    """

    answer: str
    label: str
    right: bool


@dataclass(frozen=True)
class Head(ABC):
    """One kind of task.

    Losses are sums over the batch divided by counts of the whole optimizer step, so that a step
    that is cut into parts has the same gradient.

    Attributes:
        labels: names of classes or tags, by id; empty where there are none.
        metrics: fields of its scores, the deciding one first.
        name: of the kind (`lada.heads.kinds.KINDS`).
        per_token: whether a model has an output per token.
        tunes: whether `tuned` chooses something.
        scales: whether `taught_by` takes something.
        compares: whether `compared_with` takes something.
        decides: whether its answers are choices, which are the same or are not; else numbers.
    """

    labels: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()

    name: ClassVar[str]
    per_token: ClassVar[bool] = False
    tunes: ClassVar[bool] = False
    scales: ClassVar[bool] = False
    compares: ClassVar[bool] = False
    decides: ClassVar[bool] = True

    @property
    def kind(self) -> Kind:
        """What is known of its kind."""
        return KINDS[self.name]

    @property
    def deciding(self) -> Metric:
        """The metric that decides which of two models is better."""
        return METRICS[(self.metrics or self.kind.metrics)[0]]

    @property
    def chosen_by(self) -> Metric:
        """The metric that chooses between models on the validation split: the deciding one, unless
        that split lacks what it needs.
        """
        return self.deciding

    @property
    def width(self) -> int:
        """Outputs of a model, per example or per token; 0: as many as its encoder is wide."""
        return len(self.labels)

    def output(self, out: Any, batch: Batch) -> Tensor:
        """What is learned, of a model's output: (batch, width), or (batch, length, width)."""
        logits: Tensor = out.logits
        return logits

    @abstractmethod
    def hard(self, student: Tensor, batch: Batch) -> Tensor:
        """The loss from labels, a scalar. An example without a label counts nothing."""

    def summed(self, out: Any, batch: Batch) -> Tensor:
        """The loss from labels, of a model's output: a sum over examples, not a mean."""
        one = batch["attention_mask"].new_ones(3).float()
        return self.hard(self.output(out, batch), batch | {"totals": one, "targets": one[0]})

    @abstractmethod
    def soft(self, student: Tensor, teacher: Tensor, batch: Batch, temperature: float) -> Tensor:
        """The loss from the teacher's outputs, a scalar: LadaBERT Eq. 9 where there are classes.

        Args:
            student, teacher: outputs of both.
            temperature: divides the student's logits, as printed in the paper.
        """

    def softened(
        self, student: Tensor, teacher: Tensor, batch: Batch, temperature: float
    ) -> Tensor:
        """Hinton's loss from the teacher: ``T^2 KL`` of both softened predictions.

        Raises:
            TypeError: the outputs of this kind are no logits.
        """
        raise TypeError(f"outputs of kind {self.name} are no logits")

    def squared(self, student: Tensor, teacher: Tensor, batch: Batch) -> Tensor:
        """Mean squared error of the outputs, a scalar: Tang et al., arXiv 1903.12136."""
        return (student.float() - teacher.float()).square().sum() / (
            batch["totals"][0] * student.shape[-1]
        )

    def mixed(self, teacher: Tensor, given: Tensor, weight: float) -> Tensor:
        """The teacher's outputs mixed with what another model says, see `lada.ops.mixing`.

        Args:
            teacher: outputs of a batch.
            given: ``batch["given"]``, of the same shape; NaN where nothing is said.
            weight: of ``given``, in [0, 1].

        Raises:
            TypeError: this kind has no such examples.
        """
        raise TypeError(f"outputs of kind {self.name} are not mixed")

    def windows(
        self, split: Split, tokenizer: "PreTrainedTokenizerFast", max_length: int
    ) -> Encoded:
        """The tokens of texts that may be longer than a model takes, in windows.

        Raises:
            LadaError: ``max_length`` leaves no room for text.
            TypeError: texts of this kind are truncated.
        """
        raise TypeError(f"texts of kind {self.name} are truncated")

    @abstractmethod
    def score(self, outputs: Found, examples: Encoded, split: Split) -> dict[str, Any]:
        """The scores of a model on a split, as plain JSON values.

        Returns:
            ``rows``: how many examples there are; each of `metrics`; the 95 % interval of the
            deciding one as ``<name>_95``; and what else the kind reports.
        """

    @abstractmethod
    def units(self, outputs: Found, examples: Encoded, split: Split) -> Any:
        """What the deciding metric is computed from, (units, ...).

        Units are independent: texts, or queries with all their passages.
        """

    @abstractmethod
    def statistic(self, units: NDArray[Any]) -> Statistic:
        """The deciding metric of any selection of these units, see `lada.report.bootstrap`."""

    def correct(self, units: NDArray[Any]) -> NDArray[np.bool_] | None:
        """Which of these units are right, (units,), where the deciding metric is their share.

        None for other metrics. Differences of such a share are tested exactly, all others by
        bootstrap.
        """
        return None

    @abstractmethod
    def answers(self, outputs: Tensor) -> list[Any]:
        """What a user gets for each text (`lada.heads.answers`), of outputs (texts, width)."""

    def shown(self, outputs: Found, examples: Encoded, split: Split) -> list[Shown] | None:
        """The answer to each example of a split; None for kinds whose answers are numbers."""
        return None

    def confidences(
        self, outputs: Found, examples: Encoded, split: Split
    ) -> tuple[NDArray[Any], NDArray[Any]] | None:
        """Probabilities (n,) and whether what they are of is right (n,), 0 or 1.

        None for kinds without probabilities of classes.
        """
        return None

    def decided(self, outputs: Tensor, real: Tensor) -> Tensor | None:
        """The choices in outputs of a batch, to count how many change; None: there are none.

        Args:
            outputs: (examples, width), or (examples, length, width) where they are per token.
            real: (examples, length) bool, which tokens are no padding.

        Returns:
            (examples, ...): of an example with the same answer all are equal.
        """
        if not self.decides:
            return None
        chosen = outputs.argmax(-1)
        return chosen.masked_fill(~real, 0) if self.per_token else chosen

    def tuned(self, outputs: Found, examples: Encoded, split: Split) -> "Head":
        """The head with what is chosen on the validation split, such as thresholds.

        Args:
            outputs: of the model whose scores and answers depend on it.
        """
        return self

    def fitted(self, train: Split) -> "Head":
        """The head with what its losses take from the labels of the training examples."""
        return self

    def taught_by(self, outputs: Found) -> "Head":
        """The head with what its losses take from the teacher's outputs, such as their scale."""
        return self

    def compared_with(self, outputs: Found, split: Split) -> "Head":
        """The head with what its scores of a split take from the teacher's outputs on it."""
        return self

    def about(self) -> dict[str, Any]:
        """What an artifact's description keeps of it, as plain JSON values."""
        return {}

    def restored(self, about: Mapping[str, Any]) -> "Head":
        """The head with what an artifact's description kept of it."""
        return self

    def floor(self, split: Split) -> float:
        """What a model that has learnt nothing reaches in the deciding metric."""
        return 0.0
