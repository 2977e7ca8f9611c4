"""Bootstrap intervals on data whose true score is known, and against SciPy's."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from lada.report.bootstrap import (
    bootstrap_interval,
    of_sums,
    paired_bootstrap,
    ratio_of_sums,
)


def test_sums_are_those_of_the_rows_drawn() -> None:
    draw = np.random.default_rng(0)
    counts = draw.integers(0, 5, size=(40, 3))
    indices = draw.integers(40, size=40)
    statistic = of_sums(counts, lambda sums: sums[0] + 10 * sums[1] / sums[2])
    sums = counts[indices].sum(0)
    assert statistic(indices) == pytest.approx(sums[0] + 10 * sums[1] / sums[2])
    ratio = ratio_of_sums(counts[:, 0], counts[:, 1])
    assert ratio(indices) == pytest.approx(sums[0] / sums[1])
    assert ratio_of_sums([1, 1], [0, 1])(np.array([0, 0])) == 0.0


def test_any_statistic_and_its_sums_give_the_same_interval() -> None:
    values = np.random.default_rng(1).normal(size=80)
    slow = bootstrap_interval(lambda indices: float(values[indices].mean()), 80, samples=100)
    fast = bootstrap_interval(ratio_of_sums(values, np.ones(80)), 80, samples=100)
    assert slow == pytest.approx(fast)


def test_against_scipy() -> None:
    draw = np.random.default_rng(2)
    a = draw.exponential(size=150)
    b = a + draw.normal(size=150)
    theirs = stats.bootstrap(
        (a, b),
        lambda x, y, axis: stats.pearsonr(x, y, axis=axis)[0],
        paired=True,
        vectorized=True,
        n_resamples=3000,
        method="percentile",
        rng=draw,
    ).confidence_interval
    ours = bootstrap_interval(
        lambda i: float(np.corrcoef(a[i], b[i])[0, 1]), 150, seed=3, samples=3000
    )
    # Both have the error of their own samples.
    assert ours == pytest.approx([theirs.low, theirs.high], abs=0.015)


def documents(draw: np.random.Generator, n: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Numbers of words and, of those, right ones; the true ratio of their sums is 0.7."""
    words = draw.integers(1, 10, size=n)
    return draw.binomial(words, 0.7), words


def test_coverage_of_a_ratio() -> None:
    draw = np.random.default_rng(4)
    inside = 0
    for trial in range(300):
        right, words = documents(draw, 80)
        low, high = bootstrap_interval(ratio_of_sums(right, words), 80, trial, samples=200)
        inside += low <= 0.7 <= high
    assert 0.91 <= inside / 300 <= 0.985


def compare(gap: float, trials: int) -> tuple[float, float]:
    """Share of trials with p under 0.05, and of those whose interval has the true difference."""
    draw = np.random.default_rng(5)
    significant = inside = 0
    for trial in range(trials):
        hard = draw.random(100)  # of the example, for both models
        a = (draw.random(100) < 0.9 * hard + gap).astype(float)
        b = (draw.random(100) < 0.9 * hard).astype(float)
        ones = np.ones(100)
        found = paired_bootstrap(
            ratio_of_sums(a, ones), ratio_of_sums(b, ones), 100, trial, samples=200
        )
        assert found.difference == pytest.approx(a.mean() - b.mean())
        significant += found.p < 0.05
        inside += found.low <= gap <= found.high
    return significant / trials, inside / trials


def test_equal_models_rarely_differ() -> None:
    significant, inside = compare(0.0, 300)
    assert 0.01 <= significant <= 0.09
    assert 0.91 <= inside <= 0.985


def test_a_better_model_is_found() -> None:
    significant, inside = compare(0.1, 100)
    more, _ = compare(0.0, 100)
    assert significant > more + 0.1
    assert 0.89 <= inside <= 0.99


def test_p_is_near_that_of_a_paired_t_test() -> None:
    draw = np.random.default_rng(6)
    b = draw.normal(size=200)
    a = b + draw.normal(0.13, 1, size=200)
    ones = np.ones(200)
    found = paired_bootstrap(ratio_of_sums(a, ones), ratio_of_sums(b, ones), 200, samples=3000)
    expected = stats.ttest_rel(a, b)
    interval = expected.confidence_interval()
    assert found.p == pytest.approx(expected.pvalue, abs=0.03)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high), abs=0.02)
    assert 0.01 < found.p < 0.5


def test_the_order_of_models_changes_signs_alone() -> None:
    draw = np.random.default_rng(7)
    a, b = (ratio_of_sums(draw.random(50), np.ones(50)) for _ in range(2))
    one, other = paired_bootstrap(a, b, 50), paired_bootstrap(b, a, 50)
    assert other == pytest.approx((-one.difference, -one.high, -one.low, one.p))


def test_the_same_model_twice() -> None:
    a = ratio_of_sums([0, 1, 1], [1, 1, 1])
    assert paired_bootstrap(a, a, 3) == (0.0, 0.0, 0.0, 1.0)


def test_smallest_p() -> None:
    a, b = ratio_of_sums([1, 1], [1, 1]), ratio_of_sums([0, 0], [1, 1])
    assert paired_bootstrap(a, b, 2, samples=99).p == pytest.approx(2 / 100)


def test_the_seed_decides() -> None:
    a = ratio_of_sums(np.random.default_rng(8).random(30), np.ones(30))
    assert bootstrap_interval(a, 30, 1) == bootstrap_interval(a, 30, 1)
    assert bootstrap_interval(a, 30, 1) != bootstrap_interval(a, 30, 2)


def test_nan() -> None:
    values = np.array([0.5, math.nan])
    score = ratio_of_sums(values, np.ones(2))
    assert all(math.isnan(end) for end in bootstrap_interval(score, 2))
    found = paired_bootstrap(score, ratio_of_sums([0, 1], [1, 1]), 2)
    assert math.isnan(found.p) and math.isnan(found.low)


def test_bad_input() -> None:
    a = ratio_of_sums([1], [1])
    with pytest.raises(ValueError, match="1000 samples of 0 examples"):
        bootstrap_interval(a, 0)
    with pytest.raises(ValueError, match="0 samples of 1 examples"):
        paired_bootstrap(a, a, 1, samples=0)
    with pytest.raises(ValueError, match=r"counts of shape \(1,\)"):
        of_sums([1], float)
