"""Scores of a model on a split, by plain loops in float32: what a user of the model would get."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import PreTrainedModel

from lada.data.batches import BucketBatches, collate
from lada.data.tokens import Encoded
from lada.heads.base import Head
from lada.nn.capture import forward, takes_types
from lada.nn.classes import class_count
from lada.nn.early_exit import EarlyExit, leave_at
from lada.training.collected import Collected

INPUTS = ("input_ids", "attention_mask", "token_type_ids")
THRESHOLDS = (0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0)
"""The entropy thresholds of early exits at which their curve is drawn."""


@torch.no_grad()
def predict(
    model: PreTrainedModel, head: Head, examples: Encoded, pad_id: int, device: str = "cpu"
) -> Tensor | list[Tensor]:
    """Outputs (examples, width) float32 on the CPU, in the order of ``examples``.

    Of a kind with outputs per token: (length, width) for each example.
    """
    was_training = model.training
    model.eval().to(device)
    found = Collected(head)
    for index in BucketBatches(examples.lengths, 64, 0, shuffle=False).epoch(0):
        batch = {n: t.to(device) for n, t in collate(examples, index, pad_id).items()}
        found.add(forward(model, batch, output=head.output).logits, batch)
    model.train(was_training)
    return found.outputs(everywhere=False)


@torch.no_grad()
def predict_exits(model: EarlyExit, examples: Encoded, pad_id: int, device: str = "cpu") -> Tensor:
    """Logits of all exits (layers, examples, classes) float32 on the CPU, in the order given."""
    model.eval().to(device)
    out = torch.empty(model.config.num_hidden_layers, len(examples), class_count(model.config))
    names = INPUTS if takes_types(model) else INPUTS[:2]
    for index in BucketBatches(examples.lengths, 64, 0, shuffle=False).epoch(0):
        batch = collate(examples, index, pad_id)
        inputs = {name: batch[name].to(device) for name in names}
        out[:, batch["examples"]] = model.exits(**inputs).float().cpu()
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
