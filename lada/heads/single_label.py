"""One label per example."""

from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchmetrics.functional.classification import (
    binary_f1_score,
    multiclass_f1_score,
)

from lada.data.split import Split
from lada.data.tokens import Encoded
from lada.heads.answers import Answer
from lada.heads.base import Batch, Found, Head, Shown
from lada.ops.losses import cross_entropy, distillation, logits_mse, soft_cross_entropy
from lada.ops.metrics.matthews import matthews
from lada.ops.mixing import mixed_logits
from lada.report.bootstrap import Statistic, bootstrap_interval, ratio_of_sums
from lada.report.stats import mcnemar, wilson


class SingleLabel(Head):
    """Logits (batch, classes); labels are class ids, (examples,) int64."""

    name: ClassVar[str] = "single_label"

    def hard(self, student: Tensor, batch: Batch) -> Tensor:
        """Cross-entropy."""
        return cross_entropy(student, batch["labels"], batch["totals"][0])

    def soft(self, student: Tensor, teacher: Tensor, batch: Batch, temperature: float) -> Tensor:
        """See `lada.ops.losses.soft_cross_entropy`."""
        return soft_cross_entropy(student, teacher, temperature, batch["totals"][0])

    def softened(
        self, student: Tensor, teacher: Tensor, batch: Batch, temperature: float
    ) -> Tensor:
        """See `lada.ops.losses.distillation`."""
        return distillation(student, teacher, temperature, batch["totals"][0])

    def squared(self, student: Tensor, teacher: Tensor, batch: Batch) -> Tensor:
        """See `lada.ops.losses.logits_mse`."""
        return logits_mse(student, teacher, batch["totals"][0])

    def mixed(self, teacher: Tensor, given: Tensor, weight: float) -> Tensor:
        return mixed_logits(teacher, given, weight)

    def score(self, outputs: Found, examples: Encoded, split: Split) -> dict[str, Any]:
        """Scores of logits (examples, classes).

        Returns:
            ``accuracy`` in [0, 1], its 95 % Wilson interval as ``accuracy_95``, ``correct``,
            ``rows`` (how many examples there are), and ``f1`` (of class 1) where `metrics` names
            it. ``examples`` and ``answers``: counts by class. ``majority``, the baseline that
            always answers the largest class: its ``class``, its ``accuracy``, and the ``p_value``
            of McNemar's exact test against it. ``mcc``, Matthews correlation (0 where truth or
            answers are one class). ``macro_f1``, over the classes that occur in truth or answers.
        """
        assert isinstance(outputs, Tensor)
        truth, answers = torch.from_numpy(examples.labels), outputs.argmax(-1)
        units = self.units(outputs, examples, split)
        total, classes = outputs.shape
        right = answers == truth
        correct = int(right.sum())
        counts, given = (torch.bincount(x, minlength=classes) for x in (truth, answers))
        largest = int(counts.argmax())
        by_majority = truth == largest
        out: dict[str, Any] = {
            "rows": total,
            "correct": correct,
            "accuracy": correct / total,
            "accuracy_95": list(wilson(correct, total)),
            "examples": counts.tolist(),
            "answers": given.tolist(),
            "majority": {
                "class": largest,
                "accuracy": int(counts[largest]) / total,
                "p_value": mcnemar(
                    int((right & ~by_majority).sum()), int((by_majority & ~right).sum())
                ),
            },
            "mcc": _mcc(units)(np.arange(total)),
            "macro_f1": float(multiclass_f1_score(answers, truth, classes, average="macro")),
        }
        if "f1" in self.metrics:
            out["f1"] = float(binary_f1_score(answers, truth))
        if self.deciding.name == "mcc":
            out["mcc_95"] = list(bootstrap_interval(_mcc(units), total, seed=0))
        return out

    def units(self, outputs: Found, examples: Encoded, split: Split) -> Any:
        """Answer and label of each example: (examples, 2)."""
        assert isinstance(outputs, Tensor)
        return np.stack([outputs.argmax(-1).numpy(), examples.labels], 1)

    def statistic(self, units: NDArray[Any]) -> Statistic:
        """Accuracy, or Matthews correlation where that decides."""
        right = self.correct(units)
        return _mcc(units) if right is None else ratio_of_sums(right, np.ones_like(right))

    def correct(self, units: NDArray[Any]) -> NDArray[np.bool_] | None:
        """Which examples are right; None where accuracy does not decide."""
        if self.deciding.name != "accuracy":
            return None
        right: NDArray[np.bool_] = units[:, 0] == units[:, 1]
        return right

    def answers(self, outputs: Tensor) -> list[Answer]:
        """The most probable label of each text."""
        best = outputs.softmax(-1).max(-1)
        found = zip(best.values.tolist(), best.indices.tolist(), strict=True)
        return [Answer(self.labels[number], p) for p, number in found]

    def shown(self, outputs: Found, examples: Encoded, split: Split) -> list[Shown]:
        """The names of answer and label."""
        return [
            Shown(self.labels[answer], self.labels[label], bool(answer == label))
            for answer, label in self.units(outputs, examples, split)
        ]

    def confidences(
        self, outputs: Found, examples: Encoded, split: Split
    ) -> tuple[NDArray[Any], NDArray[Any]]:
        """The probability of each answer."""
        assert isinstance(outputs, Tensor)
        best = outputs.double().softmax(-1).max(-1)
        return best.values.numpy(), best.indices.numpy() == examples.labels

    def floor(self, split: Split) -> float:
        """The accuracy of always answering the largest class; 0 for Matthews correlation."""
        if self.deciding.name != "accuracy":
            return 0.0
        return float(np.bincount(split.labels).max() / len(split))


def _mcc(units: NDArray[Any]) -> Statistic:
    """Matthews correlation of answers and labels (examples, 2)."""
    classes = int(units.max()) + 1
    pairs = units.astype(np.int64) @ (classes, 1)

    def mcc(index: NDArray[np.int64]) -> float:
        counts = np.bincount(pairs[index], minlength=classes**2)
        return matthews(counts.reshape(classes, classes))

    return mcc
