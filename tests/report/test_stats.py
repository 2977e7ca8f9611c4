"""Wilson's interval against values worked out by hand."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lada.report.stats import wilson

Z2 = 1.959964**2


@pytest.mark.parametrize(
    ("correct", "total", "low", "high"),
    [
        # None and all: z^2 / (n + z^2) from the end.
        (0, 10, 0.0, Z2 / (10 + Z2)),
        (10, 10, 10 / (10 + Z2), 1.0),
        (1, 1, 1 / (1 + Z2), 1.0),
        # Half: 1/2 +- z / (2 sqrt(n + z^2)).
        (5, 10, 0.5 - math.sqrt(Z2 / (10 + Z2)) / 2, 0.5 + math.sqrt(Z2 / (10 + Z2)) / 2),
        # Worked out to four places.
        (5, 10, 0.2366, 0.7634),
        (8, 10, 0.4902, 0.9433),
        (1, 10, 0.0179, 0.4042),
        (90, 100, 0.8256, 0.9448),
    ],
)
def test_by_hand(correct: int, total: int, low: float, high: float) -> None:
    assert wilson(correct, total) == pytest.approx((low, high), abs=5e-5)


def test_another_level() -> None:
    # z = 1: (p + 1/2n -+ sqrt(p q / n + 1/4n^2)) / (1 + 1/n) with p = 3/4, n = 4
    low, high = wilson(3, 4, z=1.0)
    spread = math.sqrt(0.75 * 0.25 / 4 + 1 / 64)
    assert low == pytest.approx((0.875 - spread) / 1.25)
    assert high == pytest.approx((0.875 + spread) / 1.25)
    assert wilson(3, 4, z=0.0) == (0.75, 0.75)


@settings(deadline=None, max_examples=100)
@given(total=st.integers(1, 10**6), share=st.floats(0, 1))
def test_ends_solve_wilson_s_equation(total: int, share: float) -> None:
    correct = round(share * total)
    p = correct / total
    low, high = wilson(correct, total)
    assert 0.0 <= low <= p + 1e-12
    assert p - 1e-12 <= high <= 1.0
    assert low < high
    for end in (low, high):
        # |p - end| = z sqrt(end (1 - end) / n)
        assert (p - end) ** 2 == pytest.approx(Z2 * end * (1 - end) / total, rel=1e-6, abs=1e-12)
    mirrored = wilson(total - correct, total)
    assert mirrored == pytest.approx((1 - high, 1 - low), abs=1e-12)


@settings(deadline=None, max_examples=30)
@given(correct=st.integers(0, 50), times=st.integers(2, 100))
def test_more_trials_make_it_narrower(correct: int, times: int) -> None:
    few, many = wilson(correct, 50), wilson(correct * times, 50 * times)
    assert many[1] - many[0] < few[1] - few[0]


@pytest.mark.parametrize(("correct", "total"), [(0, 0), (1, 0), (-1, 10), (11, 10), (0, -1)])
def test_impossible_counts_are_refused(correct: int, total: int) -> None:
    with pytest.raises(ValueError, match="is no proportion"):
        wilson(correct, total)
