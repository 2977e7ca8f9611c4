"""Correlations against SciPy."""

import math

import numpy as np
import pytest
from scipy import stats

from lada.ops.metrics.correlation import average_ranks, pearson, spearman

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("scale", [1.0, 1e-200, 1e200])
@pytest.mark.parametrize("values", [4, 1000])  # with many ties and with few
def test_against_scipy(scale: float, values: int) -> None:
    for length in (5, 30, 200):
        a = RNG.integers(0, values, size=length).astype(np.float64)
        b = a + RNG.integers(0, values, size=length)
        assert pearson(scale * a, b) == pytest.approx(stats.pearsonr(a, b)[0])
        assert spearman(scale * a, b) == pytest.approx(stats.spearmanr(a, b)[0])
        assert average_ranks(a) == pytest.approx(stats.rankdata(a))


def test_large_mean() -> None:
    a = 1e6 + RNG.normal(size=100)
    b = a + RNG.normal(size=100)
    assert pearson(a, b) == pytest.approx(stats.pearsonr(a, b)[0], abs=1e-9)


def test_constant_numbers() -> None:
    for constant in (0.0, 0.1, 1e300):
        assert pearson([constant] * 7, range(7)) == 0.0
        assert spearman(range(7), [constant] * 7) == 0.0
    assert pearson([1.0], [2.0]) == pearson([], []) == 0.0


def test_signs() -> None:
    a = RNG.normal(size=20)
    assert pearson(a, -a) == pytest.approx(-1)
    assert spearman(a, -(a**3)) == pytest.approx(-1)
    assert pearson(a, a) <= 1


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_not_finite(bad: float) -> None:
    assert math.isnan(pearson([1.0, bad], [1.0, 2.0]))
    assert math.isnan(spearman([1.0, 2.0], [bad, 2.0]))


def test_shapes() -> None:
    with pytest.raises(ValueError, match="not two equal lengths"):
        pearson([1, 2], [1, 2, 3])
    with pytest.raises(ValueError, match="not two equal lengths"):
        spearman([[1, 2]], [[1, 2]])
