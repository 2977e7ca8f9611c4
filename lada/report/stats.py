"""Intervals of scores and tests of their differences. Pure functions of numbers."""

import math
from collections.abc import Sequence


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
        raise ValueError(f"{correct} of {total} is not a proportion")
    p = correct / total
    centre = p + z * z / (2 * total)
    spread = z * math.sqrt(p * (1 - p) / total + z * z / (4 * total * total))
    scale = 1 + z * z / total
    # Rounding must not move the bounds at 0 % and 100 % out of [0, 1] or past the proportion.
    low, high = (centre - spread) / scale, (centre + spread) / scale
    return max(0.0, min(low, p)), min(1.0, max(high, p))


def mcnemar(first: int, second: int) -> float:
    """Two-sided p-value of McNemar's exact test (McNemar 1947, by the binomial distribution).

    Args:
        first: number of examples that only the first model has right.
        second: number that only the second has right. Those that both have right or wrong do not
            matter.

    Returns:
        The probability, if both were equally good, of counts at least as uneven; 1 if both are 0.

    Raises:
        ValueError: a count is negative.
    """
    if first < 0 or second < 0:
        raise ValueError(f"{first} and {second} are not counts")
    total, fewer = first + second, min(first, second)
    # In integers: thousands of examples would exceed the range of floats.
    ways = one = 1
    for k in range(fewer):
        one = one * (total - k) // (k + 1)
        ways += one
    return min(1.0, 2 * ways / (1 << total))


def holm(p_values: Sequence[float]) -> list[float]:
    """The p-values, adjusted for multiple testing (Holm 1979), in the order given.

    If those under a level are called significant, the probability of any false one is under it.

    Raises:
        ValueError: one is not in [0, 1].
    """
    if not all(0.0 <= p <= 1.0 for p in p_values):
        raise ValueError(f"{list(p_values)} are not p-values")
    adjusted = [0.0] * len(p_values)
    so_far = 0.0
    for place, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        so_far = max(so_far, min(1.0, (len(p_values) - place) * p_values[index]))
        adjusted[index] = so_far
    return adjusted
