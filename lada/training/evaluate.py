"""Scores of a model on a split, by plain loops in float32: what a user of the model would get."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchmetrics.functional.classification import (
    binary_f1_score,
    multiclass_f1_score,
    multiclass_matthews_corrcoef,
)
from transformers import PreTrainedModel

from lada.data.batches import BucketBatches, collate
from lada.data.tokens import Encoded
from lada.nn.classes import class_count
from lada.nn.early_exit import EarlyExit, leave_at
from lada.report.stats import mcnemar, wilson

INPUTS = ("input_ids", "attention_mask", "token_type_ids")
THRESHOLDS = (0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0)
"""The entropy thresholds of early exits at which their curve is drawn."""


@torch.no_grad()
def predict(model: PreTrainedModel, examples: Encoded, pad_id: int, device: str = "cpu") -> Tensor:
    """Logits (examples, classes) float32 on the CPU, in the order of ``examples``."""
    was_training = model.training
    model.eval().to(device)
    out = torch.empty(len(examples), class_count(model.config))
    for index in BucketBatches(examples.lengths, 64, 0, shuffle=False).epoch(0):
        batch = collate(examples, index, pad_id)
        logits = model(**{name: batch[name].to(device) for name in INPUTS}).logits
        out[batch["examples"]] = logits.float().cpu()
    model.train(was_training)
    return out


def score(logits: Tensor, labels: NDArray[np.int64], metrics: tuple[str, ...]) -> dict[str, Any]:
    """Metrics of logits (examples, classes) against labels (examples,).

    Returns:
        ``accuracy`` in [0, 1], its 95 % Wilson interval as ``accuracy_95``, ``correct``, ``rows``
        (how many examples there are), and ``f1`` (of class 1) where ``metrics`` names it.
        ``examples`` and ``answers``: counts by class. ``majority``, the baseline that always
        answers the largest class: its ``class``, its ``accuracy``, and the ``p_value`` of McNemar's
        exact test against it. ``mcc``, Matthews correlation (0 where truth or answers are one
        class). ``macro_f1``, over the classes that occur in truth or answers.
    """
    truth, answers = torch.from_numpy(labels), logits.argmax(-1)
    total, classes = logits.shape
    right = answers == truth
    correct = int(right.sum())
    examples, given = (torch.bincount(x, minlength=classes) for x in (truth, answers))
    largest = int(examples.argmax())
    by_majority = truth == largest
    # Undefined for one class; torchmetrics gives a value other than 0 there for two classes.
    several = min(int((count > 0).sum()) for count in (examples, given)) > 1
    mcc = multiclass_matthews_corrcoef(answers, truth, classes) if several else 0.0
    out: dict[str, Any] = {
        "rows": total,
        "correct": correct,
        "accuracy": correct / total,
        "accuracy_95": list(wilson(correct, total)),
        "examples": examples.tolist(),
        "answers": given.tolist(),
        "majority": {
            "class": largest,
            "accuracy": int(examples[largest]) / total,
            "p_value": mcnemar(
                int((right & ~by_majority).sum()), int((by_majority & ~right).sum())
            ),
        },
        "mcc": float(mcc),
        "macro_f1": float(multiclass_f1_score(answers, truth, classes, average="macro")),
    }
    if "f1" in metrics:
        out["f1"] = float(binary_f1_score(answers, truth))
    return out


@torch.no_grad()
def predict_exits(model: EarlyExit, examples: Encoded, pad_id: int, device: str = "cpu") -> Tensor:
    """Logits of all exits (layers, examples, classes) float32 on the CPU, in the order given."""
    model.eval().to(device)
    out = torch.empty(model.config.num_hidden_layers, len(examples), class_count(model.config))
    for index in BucketBatches(examples.lengths, 64, 0, shuffle=False).epoch(0):
        batch = collate(examples, index, pad_id)
        inputs = (batch[name].to(device) for name in INPUTS)
        out[:, batch["examples"]] = model.exits(*inputs).float().cpu()
    return out


def score_exits(
    logits: Tensor, labels: NDArray[np.int64], threshold: float
) -> list[dict[str, float]]:
    """Accuracy against the number of layers run: DeeBERT's figure, arXiv 2004.12993.

    Args:
        logits: (layers, examples, classes), of all exits.
        threshold: that of the artifact, added to the fixed ones.

    Returns:
        By falling threshold: ``threshold``, ``mean_layers`` run per example, and ``accuracy``.
    """
    truth, out = torch.from_numpy(labels), []
    for limit in sorted({*THRESHOLDS, threshold}, reverse=True):
        layers = leave_at(logits, limit)
        given = logits[layers - 1, torch.arange(len(truth))]
        accuracy = float((given.argmax(-1) == truth).double().mean())
        mean = float(layers.double().mean())
        out.append({"threshold": limit, "mean_layers": mean, "accuracy": accuracy})
    return out
