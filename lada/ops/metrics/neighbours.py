"""Nearest neighbours by cosine, and how many of another model's are found."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

_CHUNK = 1024
"""Vectors whose similarities to all others are held at a time."""


def nearest(vectors: ArrayLike, k: int) -> NDArray[np.int64]:
    """The k nearest other vectors of each vector, by cosine.

    Args:
        vectors: (n, width) numbers. A vector of zeros has cosine 0 with all others.
        k: at most n - 1.

    Returns:
        (n, k) numbers of vectors, the nearest first; of equally near ones the first come first.

    Raises:
        ValueError: there are no k others.

    Example:
        >>> nearest([[1, 0], [2, 1], [0, 1]], 1).tolist()
        [[1], [0], [1]]
    """
    given = np.asarray(vectors, dtype=np.float32)
    if given.ndim != 2 or not 1 <= k < len(given):
        raise ValueError(f"{k} nearest of vectors of shape {given.shape}")
    lengths = np.linalg.norm(given, axis=1, keepdims=True)
    unit = given / np.where(lengths > 0, lengths, 1)
    found = np.empty((len(unit), k), dtype=np.int64)
    for begin in range(0, len(unit), _CHUNK):
        part = unit[begin : begin + _CHUNK] @ unit.T
        part[np.arange(len(part)), np.arange(begin, begin + len(part))] = -np.inf
        found[begin : begin + len(part)] = np.argsort(-part, axis=1, kind="stable")[:, :k]
    return found


def neighbour_recall(found: ArrayLike, wanted: ArrayLike) -> NDArray[np.float64]:
    """The share of the wanted neighbours that were found, of each vector, in any order.

    Args:
        found: (n, k) numbers of vectors, as `nearest` gives them.
        wanted: (n, k), of another model.

    Returns:
        (n,) shares in [0, 1].

    Raises:
        ValueError: shapes differ.

    Example:
        >>> neighbour_recall([[1, 2], [0, 3]], [[2, 1], [3, 2]])
        array([1. , 0.5])
    """
    a, b = np.asarray(found), np.asarray(wanted)
    if a.ndim != 2 or a.shape != b.shape:
        raise ValueError(f"neighbours {a.shape} and {b.shape} are not two of one shape (n, k)")
    shares: NDArray[np.float64] = (a[:, :, None] == b[:, None, :]).any(2).mean(1)
    return shares
