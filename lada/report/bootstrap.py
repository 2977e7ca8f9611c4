"""Bootstrap intervals of any score, and of the difference of two models on the same examples.

Examples are drawn with replacement, and the score is computed anew of each such sample (Efron &
Tibshirani 1993). For a proportion of right answers, `lada.report.stats` has the exact ways.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Statistic = Callable[[NDArray[np.int64]], float]


class Difference(NamedTuple):
    """A paired comparison: score of the first minus score of the second, and how sure it is."""

    difference: float
    low: float
    high: float
    p: float


def of_sums(counts: ArrayLike, function: Callable[[NDArray[np.float64]], float]) -> Statistic:
    """A statistic that is a function of sums of numbers of the examples; it is fast to resample.

    Args:
        counts: (n, k) numbers of each example.
        function: takes the (k,) sums over the examples, and gives the score.

    Returns:
        A statistic for the other functions of this file.

    Raises:
        ValueError: ``counts`` has not two dimensions.

    Example:
        >>> f1 = of_sums([[1, 2, 1], [0, 1, 1]], lambda s: 2 * s[0] / max(1, s[1] + s[2]))
        >>> f1(np.array([0, 1]))
        0.4
    """
    values = np.asarray(counts, dtype=np.float64)
    if values.ndim != 2:
        raise ValueError(f"counts of shape {values.shape}, not (examples, counts)")

    def statistic(indices: NDArray[np.int64]) -> float:
        # How often each example was drawn, times its counts: faster than collecting their rows.
        return float(function(np.bincount(indices, minlength=len(values)) @ values))

    return statistic


def ratio_of_sums(numerators: ArrayLike, denominators: ArrayLike) -> Statistic:
    """The statistic sum of numerators / sum of denominators, 0 if the latter is 0.

    Micro-F1 is one, of 2 * correct and predicted + true; so is a mean, of values and ones.

    Args:
        numerators: (n,) numbers of the examples.
        denominators: (n,) numbers of the examples, 0 or more.

    Example:
        >>> ratio_of_sums([2, 0], [3, 1])(np.array([0, 1]))
        0.5
    """
    both = np.stack([np.asarray(numerators), np.asarray(denominators)], axis=1)
    return of_sums(both, lambda sums: sums[0] / sums[1] if sums[1] else 0.0)


def _resampled(statistic: Statistic, n: int, seed: int, samples: int) -> NDArray[np.float64]:
    if n < 1 or samples < 1:
        raise ValueError(f"{samples} samples of {n} examples")
    draw = np.random.default_rng(seed)
    return np.array([statistic(draw.integers(n, size=n)) for _ in range(samples)], dtype=np.float64)


def bootstrap_interval(
    statistic: Statistic, n: int, seed: int = 0, samples: int = 1000
) -> tuple[float, float]:
    """95 % percentile bootstrap interval of a score.

    It is too narrow for a few dozen examples, and has no width if all samples score the same, as
    they do if every answer is right.

    Args:
        statistic: takes (n,) indices of examples, with repetitions, and gives the score of these
            examples. What is resampled must be independent: queries, not their candidates.
        n: number of examples.
        seed: the same seed draws the same samples.
        samples: number of samples.

    Returns:
        (low, high), each NaN if the score of a sample is NaN.

    Raises:
        ValueError: there are no examples or no samples.

    Example:
        >>> values = np.arange(100)
        >>> low, high = bootstrap_interval(lambda indices: values[indices].mean(), 100)
        >>> 42 < low < 46 and 53 < high < 57
        True
    """
    low, high = np.quantile(_resampled(statistic, n, seed, samples), [0.025, 0.975])
    return float(low), float(high)


def paired_bootstrap(
    statistic_a: Statistic, statistic_b: Statistic, n: int, seed: int = 0, samples: int = 1000
) -> Difference:
    """Difference of the scores of two models on the same examples, resampled together.

    The p-value fits the interval: it is under 0.05 where the interval leaves 0 out, up to one
    sample. It is twice the share of samples in which the sign of the difference is the other one or
    there is no difference, counting one more sample (Davison & Hinkley 1997, section 4.2), so it is
    never under 2 / (samples + 1).

    Args:
        statistic_a: score of the first model of (n,) indices, as in `bootstrap_interval`.
        statistic_b: score of the second, of the same examples.
        n: number of examples.
        seed: the same seed draws the same samples.
        samples: number of samples.

    Returns:
        Difference first - second of all examples, its 95 % interval, and the two-sided p-value.
        Interval and p-value are NaN if a score of a sample is NaN.

    Raises:
        ValueError: there are no examples or no samples.

    Example:
        >>> right = ratio_of_sums([1] * 90 + [0] * 10, [1] * 100)
        >>> wrong = ratio_of_sums([0] * 90 + [1] * 10, [1] * 100)
        >>> found = paired_bootstrap(right, wrong, 100)
        >>> round(found.difference, 3), found.low > 0, found.p < 0.01
        (0.8, True, True)
    """

    def difference(indices: NDArray[np.int64]) -> float:
        return statistic_a(indices) - statistic_b(indices)

    drawn = _resampled(difference, n, seed, samples)
    low, high = np.quantile(drawn, [0.025, 0.975])
    fewer = min(int((drawn <= 0).sum()), int((drawn >= 0).sum()))
    p = math.nan if np.isnan(drawn).any() else min(1.0, 2 * (1 + fewer) / (samples + 1))
    return Difference(float(difference(np.arange(n))), float(low), float(high), p)
