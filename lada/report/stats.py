"""Intervals for scores. Pure numbers."""

import math


def wilson(correct: int, total: int, z: float = 1.959964) -> tuple[float, float]:
    """Wilson score interval of a proportion, 95 % by default (Wilson 1927).

    Args:
        correct: successes, from 0 to ``total``.
        total: trials, at least 1.

    Returns:
        (low, high) in [0, 1].

    Raises:
        ValueError: the counts are impossible.
    """
    if total < 1 or not 0 <= correct <= total:
        raise ValueError(f"{correct} of {total} is no proportion")
    p = correct / total
    centre = p + z * z / (2 * total)
    spread = z * math.sqrt(p * (1 - p) / total + z * z / (4 * total * total))
    scale = 1 + z * z / total
    # Rounding must not push the ends of 0 % and 100 % outside [0, 1].
    return max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)
