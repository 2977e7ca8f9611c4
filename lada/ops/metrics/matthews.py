"""Matthews correlation of given and true classes, from their counts."""

import math

import numpy as np
from numpy.typing import ArrayLike


def matthews(counts: ArrayLike) -> float:
    """Matthews correlation; for several classes as by Gorodkin (2004).

    Args:
        counts: (classes, classes) of examples: by the class given, and by the true one.

    Returns:
        A value in [-1, 1]. It is not defined where all examples have one class, or get one; 0.0 is
        returned then.

    Raises:
        ValueError: ``counts`` is not square.

    Example:
        >>> matthews([[3, 0], [0, 2]])
        1.0
        >>> matthews([[3, 2], [0, 0]])
        0.0
    """
    table = np.asarray(counts, np.float64)
    if table.ndim != 2 or table.shape[0] != table.shape[1]:
        raise ValueError(f"counts of shape {table.shape}, not (classes, classes)")
    given, true, total = table.sum(1), table.sum(0), table.sum()
    spread = (total**2 - given @ given) * (total**2 - true @ true)
    if spread <= 0:
        return 0.0
    return float((np.trace(table) * total - given @ true) / math.sqrt(spread))
