"""Scores of a model on a split: plain loops in float32, as a user of the model would get them."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchmetrics.functional.classification import binary_f1_score
from transformers import BertForSequenceClassification

from lada.data.batches import BucketBatches, collate
from lada.data.tokens import Encoded
from lada.report.stats import wilson


@torch.no_grad()
def predict(
    model: BertForSequenceClassification, rows: Encoded, pad_id: int, device: str = "cpu"
) -> Tensor:
    """Logits (rows, classes) float32 on the CPU, in the order of ``rows``."""
    was_training = model.training
    model.eval().to(device)
    out = torch.empty(len(rows), model.config.num_labels)
    for index in BucketBatches(rows.lengths, 64, 0, shuffle=False).epoch(0):
        batch = collate(rows, index, pad_id)
        logits = model(
            input_ids=batch["input_ids"].to(device),
            attention_mask=batch["attention_mask"].to(device),
            token_type_ids=batch["token_type_ids"].to(device),
        ).logits
        out[batch["rows"]] = logits.float().cpu()
    model.train(was_training)
    return out


def score(logits: Tensor, labels: NDArray[np.int64], metrics: tuple[str, ...]) -> dict[str, Any]:
    """Metrics of logits (rows, classes) against labels (rows,).

    Returns:
        ``accuracy`` in [0, 1], its 95 % Wilson interval as ``accuracy_95``, ``correct``, ``rows``,
        and ``f1`` (of class 1) where ``metrics`` names it.
    """
    truth = torch.from_numpy(labels)
    rows = len(logits)
    correct = int((logits.argmax(-1) == truth).sum())
    out: dict[str, Any] = {
        "rows": rows,
        "correct": correct,
        "accuracy": correct / rows,
        "accuracy_95": list(wilson(correct, rows)),
    }
    if "f1" in metrics:
        out["f1"] = float(binary_f1_score(logits.argmax(-1), truth))
    return out
