"""Intervals and tests against values worked out by hand, and against sums written out."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lada.report.stats import holm, mcnemar, wilson

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


@settings(max_examples=100)
@given(total=st.integers(1, 10**6))
def test_ends_of_the_scale_are_ends_of_the_interval(total: int) -> None:
    assert wilson(total, total)[1] == 1.0
    assert wilson(0, total)[0] == 0.0


@settings(max_examples=100)
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


@settings(max_examples=30)
@given(correct=st.integers(0, 50), times=st.integers(2, 100))
def test_more_trials_make_it_narrower(correct: int, times: int) -> None:
    few, many = wilson(correct, 50), wilson(correct * times, 50 * times)
    assert many[1] - many[0] < few[1] - few[0]


@pytest.mark.parametrize(("correct", "total"), [(0, 0), (1, 0), (-1, 10), (11, 10), (0, -1)])
def test_impossible_counts_are_rejected(correct: int, total: int) -> None:
    with pytest.raises(ValueError, match="is not a proportion"):
        wilson(correct, total)


@settings(max_examples=100)
@given(first=st.integers(0, 60), second=st.integers(0, 60))
def test_mcnemar_is_the_sum_over_splits_as_uneven(first: int, second: int) -> None:
    rows = first + second
    chances = [math.comb(rows, k) * 0.5**rows for k in range(rows + 1)]
    as_uneven = sum(c for k, c in enumerate(chances) if abs(2 * k - rows) >= abs(first - second))
    assert mcnemar(first, second) == pytest.approx(as_uneven, rel=1e-9)
    assert mcnemar(first, second) == mcnemar(second, first)


def test_mcnemar_by_hand_and_far_out() -> None:
    assert mcnemar(0, 0) == 1.0
    assert mcnemar(5, 5) == 1.0
    assert mcnemar(0, 5) == 2 / 32
    assert mcnemar(1, 9) == pytest.approx(2 * (1 + 10) / 1024)
    # Thousands of rows: near the normal curve, z = (|d| - 1) / sqrt(n).
    z = (200 - 1) / math.sqrt(10_000)
    assert mcnemar(5_100, 4_900) == pytest.approx(math.erfc(z / math.sqrt(2)), rel=1e-3)
    assert mcnemar(0, 3_000) == 0.0
    with pytest.raises(ValueError, match="not counts"):
        mcnemar(-1, 3)


def test_mcnemar_is_scipy_s_binomial_test() -> None:
    scipy_stats = pytest.importorskip("scipy.stats")
    for first, second in ((3, 9), (40, 61), (812, 700)):
        theirs = scipy_stats.binomtest(first, first + second).pvalue
        assert mcnemar(first, second) == pytest.approx(theirs, rel=1e-9)


def test_holm_by_hand() -> None:
    # Sorted .01 .02 .03 .04: times 4, 3, 2, 1 is .04 .06 .06 .04, and never under one before.
    assert holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([0.02]) == [0.02]
    assert holm([]) == []
    with pytest.raises(ValueError, match="not p-values"):
        holm([0.1, 1.5])


@settings(max_examples=100)
@given(p_values=st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_finds_what_its_steps_find(p_values: list[float]) -> None:
    """The smallest against level / m, the next against level / (m - 1), until one fails."""
    level, left, found = 0.05, len(p_values), set()
    for index in sorted(range(left), key=lambda i: p_values[i]):
        if p_values[index] * left > level:
            break
        found.add(index)
        left -= 1
    assert {i for i, p in enumerate(holm(p_values)) if p <= level} == found
