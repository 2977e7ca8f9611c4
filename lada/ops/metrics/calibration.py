"""How well probabilities agree with how often they are right (Guo et al. 2017, arXiv 1706.04599).

Predictions are put into bins of equal width by their probability. The expected calibration error is
the mean over predictions of the distance, in their bin, between the mean probability and the share
that is right. It depends on the number of bins.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

BINS = 15
"""As in their experiments."""


class Bin(NamedTuple):
    """Predictions of similar probability.

    Attributes:
        size: how many there are.
        probability: the mean of theirs; 0 where there are none.
        right: the share that is right; 0 where there are none.
    """

    size: int
    probability: float
    right: float


def reliability(probabilities: ArrayLike, right: ArrayLike, bins: int = BINS) -> list[Bin]:
    """The bins ``((m - 1) / bins, m / bins]`` of a reliability diagram; 0 belongs to the first.

    Args:
        probabilities: (n,), in [0, 1].
        right: (n,), 0 or 1: whether each prediction is right.

    Raises:
        ValueError: the shapes differ, a probability is not in [0, 1], or there is no bin.

    Example:
        >>> low, high = reliability([0.4, 0.9, 0.7], [0, 1, 0], bins=2)
        >>> low.size, high.size, round(high.probability, 3), high.right
        (1, 2, 0.8, 0.5)
    """
    p, r = np.asarray(probabilities, np.float64), np.asarray(right, np.float64)
    if p.ndim != 1 or p.shape != r.shape or bins < 1:
        raise ValueError(f"shapes {p.shape} and {r.shape}, {bins} bins, not (n,) twice")
    if not ((p >= 0) & (p <= 1)).all():
        raise ValueError("a probability is not in [0, 1]")
    places = np.clip(np.ceil(p * bins).astype(np.int64) - 1, 0, bins - 1)
    counts = np.bincount(places, minlength=bins)
    some = np.maximum(1, counts)
    means = np.bincount(places, p, bins) / some
    shares = np.bincount(places, r, bins) / some
    return [
        Bin(int(n), float(mean), float(share))
        for n, mean, share in zip(counts, means, shares, strict=True)
    ]


def calibration_error(found: list[Bin]) -> float:
    """The expected calibration error of bins, in [0, 1]; 0 where there are no predictions.

    Example:
        >>> round(calibration_error([Bin(1, 0.4, 0.0), Bin(3, 0.8, 1.0)]), 3)
        0.25
    """
    total = sum(each.size for each in found)
    return sum(each.size * abs(each.right - each.probability) for each in found) / max(1, total)
