"""The rule of halving, compared with one that is written out."""

import random

from lada.search.halving import continues


def by_order(score: float, before: list[float], keep: float) -> bool:
    """Sort all, take the best, see whether the score is among them."""
    numbers = sorted([*before, score], reverse=True)
    count = 0
    while (count + 1) / len(numbers) <= keep + 1e-12:
        count += 1
    return score in numbers[: max(count, 1)]


def test_the_best_fraction_continues() -> None:
    draw = random.Random(1)
    for _ in range(2000):
        before = [draw.randrange(8) / 8 for _ in range(draw.randrange(12))]
        score, keep = draw.randrange(8) / 8, draw.choice([0.1, 0.25, 1 / 3, 0.5, 0.9])
        assert continues(score, before, keep) == by_order(score, before, keep)


def test_of_few_only_the_best() -> None:
    assert continues(0.1, [], 0.25)
    assert not continues(0.1, [0.2], 0.25)
    assert continues(0.2, [0.2, 0.1], 0.25)  # as good as the best


def test_nan() -> None:
    nan = float("nan")
    assert not continues(nan, [0.5], 0.5)
    assert continues(0.1, [nan, nan], 0.5)
