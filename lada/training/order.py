"""Whether a classifier's answers fit the labels better with its classes in another order."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def likely_order(logits: Tensor, labels: NDArray[np.int64]) -> tuple[list[int], float]:
    """The order of a classifier's outputs that fits its answers best.

    Args:
        logits: (examples, classes).
        labels: class ids, (examples,).

    Returns:
        For each class the output that would stand for it, found greedily from the most frequent
        pair of label and answer on; and the accuracy with that order, in [0, 1].
    """
    classes = logits.shape[1]
    answers = logits.argmax(-1)
    pairs = torch.bincount(torch.from_numpy(labels) * classes + answers, minlength=classes**2)
    counts = pairs.view(classes, classes)
    left, order, right = counts.clone(), [-1] * classes, 0
    # Where no other output fits better, a class keeps its own.
    left = left * 2 + torch.eye(classes, dtype=torch.int64)
    for _ in range(classes):
        label, output = divmod(int(left.argmax()), classes)
        order[label] = output
        right += int(counts[label, output])
        left[label, :] = -1
        left[:, output] = -1
    return order, right / len(labels)
