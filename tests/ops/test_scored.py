"""Counts by scores, their penalty, and its weight."""

import math
import random

import pytest
import torch

from lada.ops.mask import apportioned
from lada.ops.scored import penalty, strength


def counts_of(weights: list[float], sizes: list[int], budget: int) -> list[int]:
    wanted = [weight * size for weight, size in zip(weights, sizes, strict=True)]
    return apportioned(wanted, budget, [1] * len(sizes), sizes)


def by_halving(weights: list[float], sizes: list[int], budget: int) -> list[float]:
    """The same without rounding: the unit by which all keep ``budget`` together, by bisection."""
    low, high = 0.0, 1.0 / min(weights)
    for _ in range(200):
        unit = (low + high) / 2
        kept = sum(min(1.0, unit * w) * s for w, s in zip(weights, sizes, strict=True))
        low, high = (unit, high) if kept < budget else (low, unit)
    return [min(1.0, low * w) * s for w, s in zip(weights, sizes, strict=True)]


def test_shares_are_in_proportion_up_to_all() -> None:
    draw = random.Random(0)
    capped = 0
    for _ in range(300):
        count = draw.randint(1, 8)
        weights = [draw.uniform(0.01, 1.0) for _ in range(count)]
        sizes = [draw.choice([50, 400, 1600]) for _ in range(count)]
        budget = draw.randint(10 * count, sum(sizes))
        found = counts_of(weights, sizes, budget)
        assert sum(found) == budget
        assert all(1 <= n <= size for n, size in zip(found, sizes, strict=True))
        for n, wanted in zip(found, by_halving(weights, sizes, budget), strict=True):
            assert abs(n - wanted) <= 1.0 + 1e-6 or wanted < 1.0 or min(weights) * 20 < max(weights)
        capped += any(n == size for n, size in zip(found, sizes, strict=True))
    assert 30 < capped < 300


@pytest.mark.parametrize("budget", [3, 4, 6])
def test_each_keeps_one_at_least(budget: int) -> None:
    found = counts_of([1e-9, 1.0, 1e-9], [10, 10, 10], budget)
    assert found == [1, budget - 2, 1]


@pytest.mark.parametrize("budget", [2, 31])
def test_a_budget_out_of_range(budget: int) -> None:
    with pytest.raises(ValueError, match=f"cannot keep {budget} entries: 3 to 30 are possible"):
        counts_of([1.0] * 3, [10] * 3, budget)


def test_the_penalty_and_its_gradient() -> None:
    """A mean of means, not of all entries."""
    torch.manual_seed(0)
    scores = [torch.randn(2, 3, requires_grad=True), torch.randn(5, 7, requires_grad=True)]
    found = penalty(scores)
    probabilities = [[1 / (1 + math.exp(-x)) for x in s.flatten().tolist()] for s in scores]
    means = [sum(p) / len(p) for p in probabilities]
    assert float(found.detach()) == pytest.approx(sum(means) / 2)
    found.backward()
    for s, p in zip(scores, probabilities, strict=True):
        expected = [q * (1 - q) / len(p) / 2 for q in p]
        assert s.grad is not None
        assert s.grad.flatten().tolist() == pytest.approx(expected, rel=1e-4)


def test_its_weight_never_falls() -> None:
    weights = [strength(3.0, t / 50) for t in range(51)]
    assert weights[0] == 0.0
    assert weights[-1] == 3.0
    assert weights == sorted(weights)
    assert weights[10] == pytest.approx(3 * (1 - 0.8**3))
