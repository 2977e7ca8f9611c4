"""Schedules by their formulas, and where the rounds fall."""

from itertools import pairwise

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from lada.ops.schedule import (
    REWARM,
    SHAPES,
    cubic,
    first_step,
    geometric,
    kept_fraction,
    linear,
    rate,
    round_steps,
    staged_rate,
)

finals = st.floats(0.001, 1.0)
progress = st.floats(0.0, 1.0)


@pytest.mark.parametrize(
    ("shape", "final", "t", "expected"),
    [
        ("geometric", 0.25, 0.5, 0.5),
        ("geometric", 0.001, 1 / 3, 0.1),
        ("geometric", 0.5, 0.0, 1.0),
        ("linear", 0.2, 0.25, 0.8),
        ("linear", 0.5, 0.5, 0.75),
        ("cubic", 0.2, 0.5, 0.3),  # 0.2 + 0.8 / 8
        ("cubic", 0.0625, 0.25, 0.0625 + 0.9375 * 0.421875),  # 0.75^3 = 0.421875
        ("cubic", 0.1, 0.9, 0.1009),
    ],
)
def test_values_by_hand(shape: str, final: float, t: float, expected: float) -> None:
    assert kept_fraction(shape, final, t) == pytest.approx(expected, rel=1e-12)


def test_the_shapes_are_these() -> None:
    assert {"geometric": geometric, "linear": linear, "cubic": cubic} == SHAPES


@settings(max_examples=60)
@given(final=finals, t=progress, shape=st.sampled_from(sorted(SHAPES)))
def test_ends_and_range(final: float, t: float, shape: str) -> None:
    assert kept_fraction(shape, final, 0.0) == 1.0
    assert kept_fraction(shape, final, 1.0) == pytest.approx(final, rel=1e-9)
    assert final * (1 - 1e-9) <= kept_fraction(shape, final, t) <= 1.0
    assert kept_fraction(shape, 1.0, t) == 1.0


@settings(max_examples=60)
@given(final=st.floats(0.001, 0.99), a=progress, b=progress, shape=st.sampled_from(sorted(SHAPES)))
def test_falls_as_compression_proceeds(final: float, a: float, b: float, shape: str) -> None:
    assume(b - a > 1e-3)
    early, late = kept_fraction(shape, final, a), kept_fraction(shape, final, b)
    assert late <= early
    if b < 0.98:
        assert late < early


@settings(max_examples=40)
@given(final=finals, t=st.floats(0.01, 0.99))
def test_cubic_is_ahead_of_geometric_is_ahead_of_linear_where_it_should_be(
    final: float, t: float
) -> None:
    # By convexity both curves lie below the straight line between the same ends.
    straight = kept_fraction("linear", final, t)
    assert kept_fraction("cubic", final, t) <= straight + 1e-12
    assert kept_fraction("geometric", final, t) <= straight + 1e-12


def test_each_geometric_round_keeps_the_same_share() -> None:
    kept = [kept_fraction("geometric", 0.1, k / 5) for k in range(6)]
    shares = [after / before for before, after in pairwise(kept)]
    assert shares == pytest.approx([0.1**0.2] * 5, rel=1e-12)


@pytest.mark.parametrize("final", [0.0, -0.1, 1.0001, float("nan")])
def test_a_final_fraction_out_of_range_is_rejected(final: float) -> None:
    with pytest.raises(ValueError, match="final fraction"):
        kept_fraction("linear", final, 0.5)


@pytest.mark.parametrize("t", [-0.01, 1.01, float("nan")])
def test_a_progress_out_of_range_is_rejected(t: float) -> None:
    with pytest.raises(ValueError, match="progress"):
        kept_fraction("linear", 0.5, t)


def test_an_unknown_shape_is_rejected() -> None:
    with pytest.raises(ValueError, match="'square' is not one of geometric, linear, cubic"):
        kept_fraction("square", 0.5, 0.5)


@pytest.mark.parametrize(
    ("total", "recovery", "rounds", "expected"),
    [
        (100, 0.5, 1, [0]),
        (100, 0.5, 2, [0, 50]),
        (100, 0.5, 6, [0, 10, 20, 30, 40, 50]),
        (100, 0.75, 3, [0, 12, 25]),
        (10, 0.0, 10, list(range(10))),
        (1, 0.9, 1, [0]),
        (8, 0.5, 5, [0, 1, 2, 3, 4]),
    ],
)
def test_rounds_by_hand(total: int, recovery: float, rounds: int, expected: list[int]) -> None:
    assert round_steps(total, recovery, rounds=rounds, every=None) == expected


@pytest.mark.parametrize(
    ("total", "recovery", "every", "expected"),
    [
        (100, 0.5, 20, [0, 20, 40]),
        (100, 0.5, 25, [0, 25, 50]),
        (100, 0.5, 51, [0]),
        (10, 0.0, 5, [0, 5]),
        (4, 0.0, 1, [0, 1, 2, 3]),
    ],
)
def test_every_by_hand(total: int, recovery: float, every: int, expected: list[int]) -> None:
    assert round_steps(total, recovery, rounds=None, every=every) == expected


@settings(max_examples=150)
@given(
    total=st.integers(1, 5000),
    recovery=st.floats(0.0, 0.99),
    rounds=st.integers(1, 60),
    by_every=st.booleans(),
)
def test_rounds_begin_at_0_rise_and_leave_the_recovery(
    total: int, recovery: float, rounds: int, by_every: bool
) -> None:
    last = min(int(total * (1.0 - recovery)), total - 1)
    if by_every:
        steps = round_steps(total, recovery, rounds=None, every=rounds)
        assert len(steps) == last // rounds + 1
        assert all(b - a == rounds for a, b in pairwise(steps))
    else:
        assume(rounds <= last + 1)
        steps = round_steps(total, recovery, rounds=rounds, every=None)
        assert len(steps) == rounds
        gaps = [b - a for a, b in pairwise(steps)]
        if gaps:
            assert max(gaps) - min(gaps) <= 2
            assert steps[-1] == last
    assert steps[0] == 0
    assert all(a < b for a, b in pairwise(steps))
    assert all(isinstance(s, int) for s in steps)
    assert total - steps[-1] >= recovery * total - 1e-6
    assert steps[-1] < total


@pytest.mark.parametrize(
    ("total", "recovery", "rounds", "every", "match"),
    [
        (0, 0.5, 2, None, "0 training steps"),
        (10, 1.0, 2, None, "recovery share 1.0"),
        (10, -0.1, 2, None, "recovery share -0.1"),
        (10, float("nan"), 2, None, "recovery share nan"),
        (10, 0.5, None, None, "exactly one"),
        (10, 0.5, 2, 2, "exactly one"),
        (10, 0.5, 0, None, "0 rounds"),
        (10, 0.5, None, 0, "every 0 steps"),
        (10, 0.5, 7, None, "7 rounds do not fit into 6 steps"),
    ],
)
def test_what_cannot_be_is_rejected(
    total: int, recovery: float, rounds: int | None, every: int | None, match: str
) -> None:
    with pytest.raises(ValueError, match=match):
        round_steps(total, recovery, rounds=rounds, every=every)


class TestRate:
    @pytest.mark.parametrize(
        ("total", "up", "renewals", "expected"),
        [
            (4, 0, [], [1, 3 / 4, 2 / 4, 1 / 4, 0, 0]),
            (4, 1, [], [1 / 2, 1, 2 / 3, 1 / 3, 0, 0]),
            # Half of the four steps to the end: 1/3 and 2/3 of 4/8 and 3/8.
            (8, 0, [4], [1, 7 / 8, 6 / 8, 5 / 8, 4 / 24, 6 / 24, 2 / 8, 1 / 8, 0]),
            # Two steps apart: one step at half the rate.
            (8, 0, [2, 4], [1, 7 / 8, 3 / 8, 5 / 8, 4 / 24, 6 / 24, 2 / 8, 1 / 8, 0]),
            # One step apart leaves no room.
            (4, 0, [1, 2], [1, 3 / 4, 1 / 4, 1 / 4, 0]),
            # Amid the first warm-up both count.
            (6, 3, [2], [1 / 4, 2 / 4, 1 / 4, 2 / 3, 2 / 3, 1 / 3, 0]),
        ],
    )
    def test_by_hand(self, total: int, up: int, renewals: list[int], expected: list[float]) -> None:
        found = [rate(step, total, up, renewals) for step in range(len(expected))]
        assert found == pytest.approx(expected, abs=1e-12)

    @given(
        total=st.integers(1, 2000),
        up=st.floats(0, 1),
        renewals=st.sets(st.integers(0, 1999), max_size=8),
    )
    def test_what_holds_anywhere(self, total: int, up: float, renewals: set[int]) -> None:
        steps = sorted(step for step in renewals if step < total)
        plain = [rate(step, total, int(total * up)) for step in range(total)]
        found = [rate(step, total, int(total * up), steps) for step in range(total)]
        lowered = {step for step in range(total) if found[step] < plain[step]}
        expected = set()
        for start, end in pairwise([*steps, total]):
            length = min(REWARM, (end - start) // 2)
            expected |= set(range(start, start + length))
            shares = [found[s] / plain[s] for s in range(start, start + length)]
            assert all(a < b for a, b in pairwise(shares))
            if length:
                assert shares[0] == pytest.approx(1 / (length + 1))
        assert lowered == expected
        assert all(found[s] == plain[s] for s in range(total) if s not in lowered)
        assert all(0 < factor <= 1 for factor in found)


class TestStages:
    @given(share=st.floats(0, 1), total=st.integers(1, 3000))
    def test_the_first_step_is_that_of_the_share(self, share: float, total: int) -> None:
        reached = [step for step in range(total) if step / total >= share]
        assert first_step(share, total) == (reached[0] if reached else total)

    @given(
        lengths=st.lists(st.integers(0, 60), min_size=1, max_size=4),
        warmup=st.floats(0, 1),
        renewals=st.sets(st.integers(0, 200)),
    )
    def test_each_is_a_training_of_its_own(
        self, lengths: list[int], warmup: float, renewals: set[int]
    ) -> None:
        total, expected, starts = sum(lengths), [], []
        for length in lengths:
            start = len(expected)
            starts.append(start)
            within = sorted(r - start for r in renewals if start <= r < start + length)
            expected += [rate(s, length, int(length * warmup), within) for s in range(length)]
        renewed = sorted(renewals)
        found = [staged_rate(s, total, warmup, renewed, starts[1:]) for s in range(total + 2)]
        assert found == [*expected, 0.0, 0.0]
