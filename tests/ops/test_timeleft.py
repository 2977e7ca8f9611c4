"""The time that is left of runs whose true times are known."""

import random

import pytest

from lada.ops.timeleft import TimeLeft, shown

GUESSED = {
    "teacher": 3000.0, "teacher checks": 150.0, "outputs": 1000.0, "student": 8000.0,
    "checks": 300.0, "evaluation": 600.0,
}  # fmt: skip


def simulated(
    true: dict[str, float], first: str, resumed_at: float = 0.0
) -> tuple[list[tuple[float, float]], float]:
    """A run of hundred pieces of each kind, in order.

    Args:
        true: seconds of a unit of each kind.
        first: the kind that it begins with; those before it were done before.
        resumed_at: the share of ``first`` that was done before.

    Returns:
        Seconds so far and the whole time predicted then, for each piece; the whole time.
    """
    kinds = list(GUESSED)[list(GUESSED).index(first) :]
    left = TimeLeft(GUESSED)
    for kind in GUESSED:
        if kind not in kinds:
            left.expect(kind, 0.0)
    left.expect(first, GUESSED[first] * (1 - resumed_at))
    now, found = 0.0, []
    draw = random.Random(1)
    for kind in kinds:
        amount = GUESSED[kind] * (1 - resumed_at if kind == first else 1)
        for piece in range(100):
            # The first steps are slow, others vary.
            seconds = amount / 100 * true[kind] * draw.uniform(0.8, 1.2)
            seconds *= 3 if piece == 0 else 1
            now += seconds
            left.did(kind, amount / 100, seconds)
            remaining = left.seconds()
            assert remaining is not None
            assert left.share() == pytest.approx(now / (now + remaining))
            found.append((now, now + remaining))
    return found, now


EVEN = dict.fromkeys(GUESSED, 0.01)


@pytest.mark.parametrize("first", ["teacher", "outputs", "student"])
@pytest.mark.parametrize("resumed_at", [0.0, 0.6])
@pytest.mark.parametrize(
    "true",
    [EVEN, EVEN | {"student": 0.0115}, EVEN | {"evaluation": 0.02, "checks": 0.006}],
)
def test_right_within_a_fifth_after_a_tenth(
    true: dict[str, float], first: str, resumed_at: float
) -> None:
    """Where the guesses are off by what was seen in real runs."""
    found, whole = simulated(true, first, resumed_at)
    for now, predicted in found:
        if now >= whole / 10:
            assert abs(predicted - whole) < 0.2 * whole, (now, predicted, whole)


def test_a_speed_that_was_measured_replaces_its_guess() -> None:
    """A student five times as slow as was guessed: right a tenth of its own time after it began."""
    found, whole = simulated(EVEN | {"student": 0.05}, "teacher")
    began = 4150 * 0.01 * 1.1
    for now, predicted in found:
        if now >= began + 0.1 * 400:
            assert abs(predicted - whole) < 0.1 * whole


def test_nothing_is_left_at_the_end_and_nothing_is_told_before_a_start() -> None:
    left = TimeLeft(GUESSED)
    assert left.seconds() is None
    assert left.share() == 0.0
    left.spent(5.0)
    assert left.seconds() is None
    for kind, amount in GUESSED.items():
        left.did(kind, 2 * amount, 1.0)  # more than was expected
    assert left.seconds() == 0.0
    assert left.share() == 1.0


def test_work_that_is_not_needed_takes_no_time() -> None:
    left = TimeLeft({"teacher": 10.0, "student": 10.0})
    left.did("student", 5.0, 5.0)
    assert left.seconds() == 15.0
    left.finish("teacher")
    assert left.seconds() == 5.0
    left.expect("student", 25.0)
    assert left.seconds() == 20.0


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "under a minute"), (59.9, "under a minute"), (60, "1 min"), (3599, "1 h"),
     (7260, "2 h 1 min"), (36_000, "10 h")],
)  # fmt: skip
def test_times_are_told_as_people_do(seconds: float, text: str) -> None:
    assert shown(seconds) == text
