"""Correlations of predicted numbers with true ones."""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray


def _pair(a: ArrayLike, b: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    x, y = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if x.ndim != 1 or x.shape != y.shape:
        raise ValueError(f"shapes {x.shape} and {y.shape}, not two equal lengths")
    return x, y


def pearson(a: ArrayLike, b: ArrayLike) -> float:
    """Pearson's correlation of two lists of numbers.

    Args:
        a: (n,) numbers.
        b: (n,) numbers.

    Returns:
        A value in [-1, 1]. If all numbers of a list are the same, the correlation is not defined;
        0.0 is returned then, since such numbers say nothing of the others. NaN if a number is NaN
        or infinite.

    Raises:
        ValueError: these are not two lists of the same length.

    Example:
        >>> pearson([1, 2, 3], [2, 4, 6])
        1.0
        >>> pearson([1, 1, 1], [2, 4, 6])
        0.0
    """
    x, y = _pair(a, b)
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        return math.nan
    # Constant numbers are asked for as they are: their mean may round to something else.
    if len(x) < 2 or (x == x[0]).all() or (y == y[0]).all():
        return 0.0
    parts = []
    for values in (x, y):
        # Scaled twice, so that squares of huge or tiny numbers neither overflow nor vanish.
        scaled = values / np.abs(values).max()
        centred = scaled - scaled.mean()
        centred /= np.abs(centred).max()
        parts.append(centred / np.linalg.norm(centred))
    return float(np.clip(parts[0] @ parts[1], -1.0, 1.0))


def average_ranks(values: ArrayLike) -> NDArray[np.float64]:
    """Ranks from 1; equal numbers share the mean of their ranks.

    Args:
        values: (n,) numbers without NaN.

    Example:
        >>> average_ranks([10, 30, 10])
        array([1.5, 3. , 1.5])
    """
    _, places, counts = np.unique(np.asarray(values), return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks: NDArray[np.float64] = (last - (counts - 1) / 2)[places]
    return ranks


def spearman(a: ArrayLike, b: ArrayLike) -> float:
    """Spearman's rank correlation: Pearson's correlation of the ranks, averaged over ties.

    Arguments, errors and special cases are those of `pearson`.

    Example:
        >>> spearman([1, 2, 3], [1, 10, 100])
        1.0
    """
    x, y = _pair(a, b)
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        return math.nan
    return pearson(average_ranks(x), average_ranks(y))
