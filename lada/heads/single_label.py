"""One label per example."""

from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor
from torchmetrics.functional.classification import (
    binary_f1_score,
    multiclass_f1_score,
    multiclass_matthews_corrcoef,
)

from lada.data.split import Split
from lada.data.tokens import Encoded
from lada.heads.answers import Answer
from lada.heads.base import Batch, Found, Head
from lada.ops.losses import cross_entropy, distillation, logits_mse, soft_cross_entropy
from lada.report.bootstrap import bootstrap_interval
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
            "mcc": _matthews(answers, truth, classes),
            "macro_f1": float(multiclass_f1_score(answers, truth, classes, average="macro")),
        }
        if "f1" in self.metrics:
            out["f1"] = float(binary_f1_score(answers, truth))
        if self.deciding.name == "mcc":

            def mcc(index: np.ndarray[Any, Any]) -> float:
                picked = torch.from_numpy(index)
                return _matthews(answers[picked], truth[picked], classes)

            out["mcc_95"] = list(bootstrap_interval(mcc, total, seed=0))
        return out

    def units(self, outputs: Found, examples: Encoded, split: Split) -> Any:
        """The answer to each example, (examples,)."""
        assert isinstance(outputs, Tensor)
        return outputs.argmax(-1).numpy()

    def answers(self, outputs: Tensor) -> list[Answer]:
        """The most probable label of each text."""
        best = outputs.softmax(-1).max(-1)
        found = zip(best.values.tolist(), best.indices.tolist(), strict=True)
        return [Answer(self.labels[number], p) for p, number in found]

    def floor(self, split: Split) -> float:
        """The accuracy of always answering the largest class; 0 for Matthews correlation."""
        if self.deciding.name != "accuracy":
            return 0.0
        return float(np.bincount(split.labels).max() / len(split))


def _matthews(answers: Tensor, truth: Tensor, classes: int) -> float:
    # Undefined for one class; torchmetrics gives a value other than 0 there for two classes.
    several = min(len(truth.unique()), len(answers.unique())) > 1
    return float(multiclass_matthews_corrcoef(answers, truth, classes)) if several else 0.0
