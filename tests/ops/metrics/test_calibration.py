"""Bins and calibration error against a loop that follows the definition."""

import math

import numpy as np
import pytest

from lada.ops.metrics.calibration import Bin, calibration_error, reliability


@pytest.mark.parametrize("bins", [1, 10, 15])
def test_it_is_what_the_definition_says(bins: int) -> None:
    draw = np.random.default_rng(0)
    p = np.concatenate([draw.random(300), np.arange(bins + 1) / bins])  # edges too
    right = draw.random(len(p)) < p**2
    error, found = 0.0, reliability(p, right, bins)
    for m in range(1, bins + 1):
        inside = [
            n for n in range(len(p))
            if (m - 1) / bins < p[n] <= m / bins or (m == 1 and p[n] == 0)
        ]  # fmt: skip
        mean = math.fsum(p[n] for n in inside) / max(1, len(inside))
        share = sum(bool(right[n]) for n in inside) / max(1, len(inside))
        error += len(inside) / len(p) * abs(share - mean)
        assert found[m - 1].size == len(inside)
        assert found[m - 1][1:] == (pytest.approx(mean), pytest.approx(share))
    assert calibration_error(found) == pytest.approx(error)


def test_what_is_as_often_right_as_it_says_has_no_error() -> None:
    assert calibration_error(reliability([0.25] * 4 + [1.0] * 3, [1, 0, 0, 0, 1, 1, 1])) == 0
    assert calibration_error(reliability([], [])) == 0
    assert reliability([0.0], [1], 2) == [Bin(1, 0.0, 1.0), Bin(0, 0.0, 0.0)]


@pytest.mark.parametrize(
    ("p", "right", "bins"),
    [([0.5], [1, 0], 5), ([[0.5]], [[1]], 5), ([1.1], [1], 5), ([math.nan], [1], 5), ([1], [1], 0)],
)
def test_what_is_not_a_probability_is_rejected(p: list, right: list, bins: int) -> None:
    with pytest.raises(ValueError, match=r"probability|shapes"):
        reliability(p, right, bins)
