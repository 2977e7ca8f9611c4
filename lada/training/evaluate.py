"""Scores of a model on a split: plain loops in float32, as a user of the model would get them."""

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
"""Of off-ramps, where their curve is drawn."""


@torch.no_grad()
def predict(model: PreTrainedModel, rows: Encoded, pad_id: int, device: str = "cpu") -> Tensor:
    """Logits (rows, classes) float32 on the CPU, in the order of ``rows``."""
    was_training = model.training
    model.eval().to(device)
    out = torch.empty(len(rows), class_count(model.config))
    for index in BucketBatches(rows.lengths, 64, 0, shuffle=False).epoch(0):
        batch = collate(rows, index, pad_id)
        logits = model(**{name: batch[name].to(device) for name in INPUTS}).logits
        out[batch["rows"]] = logits.float().cpu()
    model.train(was_training)
    return out


def score(logits: Tensor, labels: NDArray[np.int64], metrics: tuple[str, ...]) -> dict[str, Any]:
    """Metrics of logits (rows, classes) against labels (rows,).

    Returns:
        ``accuracy`` in [0, 1], its 95 % Wilson interval as ``accuracy_95``, ``correct``, ``rows``,
        and ``f1`` (of class 1) where ``metrics`` names it. ``examples`` and ``answers`` of each
        class; ``majority``, the baseline that always answers the largest: its ``class``, its
        ``accuracy``, and the ``p_value`` of McNemar's exact test against it; ``mcc``, Matthews
        correlation (0 where truth or answers are one class); ``macro_f1``, over the classes that
        either has.
    """
    truth, answers = torch.from_numpy(labels), logits.argmax(-1)
    rows, classes = logits.shape
    right = answers == truth
    correct = int(right.sum())
    examples, given = (torch.bincount(x, minlength=classes) for x in (truth, answers))
    largest = int(examples.argmax())
    by_majority = truth == largest
    # Undefined for one class; torchmetrics has a limit there for two classes that is not 0.
    several = min(int((count > 0).sum()) for count in (examples, given)) > 1
    mcc = multiclass_matthews_corrcoef(answers, truth, classes) if several else 0.0
    out: dict[str, Any] = {
        "rows": rows,
        "correct": correct,
        "accuracy": correct / rows,
        "accuracy_95": list(wilson(correct, rows)),
        "examples": examples.tolist(),
        "answers": given.tolist(),
        "majority": {
            "class": largest,
            "accuracy": int(examples[largest]) / rows,
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
def predict_exits(model: EarlyExit, rows: Encoded, pad_id: int, device: str = "cpu") -> Tensor:
    """Logits of all exits (layers, rows, classes) float32 on the CPU, in the order of ``rows``."""
    model.eval().to(device)
    out = torch.empty(model.config.num_hidden_layers, len(rows), class_count(model.config))
    for index in BucketBatches(rows.lengths, 64, 0, shuffle=False).epoch(0):
        batch = collate(rows, index, pad_id)
        inputs = (batch[name].to(device) for name in INPUTS)
        out[:, batch["rows"]] = model.exits(*inputs).float().cpu()
    return out


def score_exits(
    logits: Tensor, labels: NDArray[np.int64], threshold: float
) -> list[dict[str, float]]:
    """Accuracy against layers run: DeeBERT's figure, arXiv 2004.12993.

    Args:
        logits: (layers, rows, classes), of all exits.
        threshold: one more beside the fixed ones, that of the artifact.

    Returns:
        By falling threshold ``threshold``, ``mean_layers`` that a row runs, and ``accuracy``.
    """
    truth, out = torch.from_numpy(labels), []
    for limit in sorted({*THRESHOLDS, threshold}, reverse=True):
        layers = leave_at(logits, limit)
        given = logits[layers - 1, torch.arange(len(truth))]
        accuracy = float((given.argmax(-1) == truth).double().mean())
        mean = float(layers.double().mean())
        out.append({"threshold": limit, "mean_layers": mean, "accuracy": accuracy})
    return out
