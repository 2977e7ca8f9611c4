"""Any number of labels per example."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from lada.data.split import Split
from lada.data.tokens import Encoded
from lada.heads.answers import Answer, Labels
from lada.heads.base import Batch, Found, Head, Shown
from lada.ops.metrics.multilabel import (
    average_precision,
    choose_thresholds,
    f1_scores,
)
from lada.ops.mixing import mixed_sigmoids
from lada.report.bootstrap import Statistic, bootstrap_interval, of_sums, ratio_of_sums


@dataclass(frozen=True)
class MultiLabel(Head):
    """Logits (batch, labels), one sigmoid each; labels are 0 or 1, (examples, labels) float32.

    Attributes:
        thresholds: the probability from which on a label is given, for each; empty: 0.5.
    """

    thresholds: tuple[float, ...] = ()

    name: ClassVar[str] = "multi_label"
    tunes: ClassVar[bool] = True

    def hard(self, student: Tensor, batch: Batch) -> Tensor:
        """Binary cross-entropy, a mean over examples and labels."""
        labels = batch["labels"]
        known = ~labels.isnan()
        losses = F.binary_cross_entropy_with_logits(
            student.float(), labels.nan_to_num(), reduction="none"
        )
        return (losses * known).sum() / (batch["totals"][0] * student.shape[-1])

    def soft(self, student: Tensor, teacher: Tensor, batch: Batch, temperature: float) -> Tensor:
        """Binary cross-entropy with the teacher's probabilities, a mean over examples and labels.

        Its gradient by a logit is bounded by 1 / labels, where that of `SingleLabel` is bounded by
        1: the sum over the labels would depend on how many there are.
        """
        losses = F.binary_cross_entropy_with_logits(
            student.float() / temperature, teacher.float().sigmoid(), reduction="none"
        )
        return losses.sum() / (batch["totals"][0] * student.shape[-1])

    def softened(
        self, student: Tensor, teacher: Tensor, batch: Batch, temperature: float
    ) -> Tensor:
        """``T^2`` times the divergence of both softened probabilities of each label."""
        ours, theirs = student.float() / temperature, teacher.float() / temperature
        target = theirs.sigmoid()
        cross = F.binary_cross_entropy_with_logits(ours, target, reduction="none")
        own = F.binary_cross_entropy_with_logits(theirs, target, reduction="none")
        total = (cross - own).sum() * temperature**2
        return total / (batch["totals"][0] * student.shape[-1])

    def mixed(self, teacher: Tensor, given: Tensor, weight: float) -> Tensor:
        return mixed_sigmoids(teacher, given, weight)

    def score(self, outputs: Found, examples: Encoded, split: Split) -> dict[str, Any]:
        """Scores of logits (examples, labels) at the thresholds.

        Returns:
            ``rows``; ``micro_f1``, ``macro_f1``, ``average_precision`` (mean over labels), in
            [0, 1]; the deciding one's interval by bootstrap; ``label_f1``: by label;
            ``thresholds``; ``examples`` and ``answers``: counts by label.
        """
        counts = self.units(outputs, examples, split)
        total = counts.sum(0)
        found = f1_scores(total)
        interval = bootstrap_interval(self.statistic(counts), len(counts), seed=0)
        _, mean = average_precision(_probabilities(outputs), examples.labels)
        return {
            "rows": len(counts),
            "micro_f1": found["micro"],
            "macro_f1": found["macro"],
            "average_precision": mean,
            f"{self.deciding.name}_95": list(interval),
            "label_f1": found["labels"],
            "thresholds": list(self._limits),
            "examples": total[:, 2].tolist(),
            "answers": total[:, 1].tolist(),
        }

    def units(self, outputs: Found, examples: Encoded, split: Split) -> Any:
        """Of each example and label whether it is right, given, true: (examples, labels, 3)."""
        given = _probabilities(outputs) >= np.asarray(self._limits)
        truth = examples.labels > 0
        return np.stack([given & truth, given, truth], -1).astype(np.int64)

    def statistic(self, units: NDArray[Any]) -> Statistic:
        """Micro-F1, or macro-F1 where that decides."""
        if self.deciding.name != "macro_f1":
            right, given, true = np.moveaxis(units.astype(np.int64).sum(1), 1, 0)
            return ratio_of_sums(2 * right, given + true)

        def macro(sums: NDArray[np.float64]) -> float:
            each = sums.reshape(-1, 3)
            return float(np.mean(2 * each[:, 0] / np.maximum(1.0, each[:, 1:].sum(1))))

        return of_sums(units.reshape(len(units), -1), macro)

    def answers(self, outputs: Tensor) -> list[Labels]:
        """The labels of each text whose probability reaches their threshold."""
        found = []
        for each in outputs.sigmoid().tolist():
            named = zip(self.labels, each, self._limits, strict=True)
            given = [Answer(label, p) for label, p, limit in named if p >= limit]
            found.append(Labels(tuple(sorted(given, key=lambda answer: -answer.probability))))
        return found

    def shown(self, outputs: Found, examples: Encoded, split: Split) -> list[Shown]:
        """The names of all labels given, and of all that are true."""
        counts = self.units(outputs, examples, split)
        return [
            Shown(
                self._named(each[:, 1]),
                self._named(each[:, 2]),
                bool((each[:, 1] == each[:, 2]).all()),
            )
            for each in counts
        ]

    def confidences(
        self, outputs: Found, examples: Encoded, split: Split
    ) -> tuple[NDArray[Any], NDArray[Any]]:
        """The probability of each label of each example, and whether it is true."""
        return _probabilities(outputs).ravel(), (examples.labels > 0).ravel()

    def _named(self, given: NDArray[np.int64]) -> str:
        named = zip(self.labels, given, strict=True)
        return ", ".join(label for label, is_given in named if is_given) or "none"

    def decided(self, outputs: Tensor, real: Tensor) -> Tensor:
        return outputs.sigmoid().double() >= torch.tensor(self._limits, dtype=torch.float64)

    def tuned(self, outputs: Found, examples: Encoded, split: Split) -> "MultiLabel":
        """With the thresholds that are best on the validation split.

        One for all labels where micro-F1 decides; each label's own where macro-F1 does
        (`lada.ops.metrics.multilabel.choose_thresholds` says why).
        """
        each, single = choose_thresholds(_probabilities(outputs), examples.labels)
        own = self.deciding.name == "macro_f1"
        return replace(self, thresholds=tuple(each if own else [single] * len(self.labels)))

    def about(self) -> dict[str, Any]:
        return {"thresholds": list(self._limits)}

    def restored(self, about: Mapping[str, Any]) -> "MultiLabel":
        return replace(self, thresholds=tuple(about.get("thresholds", ())))

    @property
    def _limits(self) -> tuple[float, ...]:
        return self.thresholds or (0.5,) * len(self.labels)


def _probabilities(outputs: Found) -> NDArray[np.float64]:
    assert isinstance(outputs, Tensor)
    return outputs.double().sigmoid().numpy()
