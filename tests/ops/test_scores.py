"""Scores of entries, against what happens when each of them is removed."""

from collections.abc import Callable
from typing import get_args

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from lada.methods.settings import NEED_EXAMPLES, NEED_GRADIENTS, ThresholdSettings
from lada.ops.memory import MEMORIES
from lada.ops.scores import SCORES, activation, product
from lada.ops.statistics import NOTHING, Seen

INVARIANT = sorted(set(SCORES) - {"magnitude"})


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def removed(parts: list[Tensor], change: Callable[[list[Tensor]], Tensor]) -> list[Tensor]:
    """For each entry of each part: ``change`` of the parts without it."""
    out = []
    for place, part in enumerate(parts):
        found = torch.zeros_like(part)
        for row in range(part.shape[0]):
            for column in range(part.shape[1]):
                without = [p.clone() for p in parts]
                without[place][row, column] = 0
                found[row, column] = change(without)
        out.append(found)
    return out


def whole(parts: list[Tensor]) -> Tensor:
    weight = torch.zeros(()) if len(parts) == 1 else parts[0] @ parts[1].T
    return weight if len(parts) == 2 else weight + parts[-1]


FORMS = [[(5, 4)], [(5, 2), (4, 2)], [(5, 2), (4, 2), (5, 4)]]


@pytest.mark.parametrize("shapes", FORMS)
def test_the_change_of_the_product(shapes: list[tuple[int, int]]) -> None:
    parts = [draw(*shape, seed=seed) for seed, shape in enumerate(shapes)]
    expected = removed(parts, lambda without: (whole(parts) - whole(without)).norm())
    torch.testing.assert_close(product(parts, NOTHING), expected)


@pytest.mark.parametrize("shapes", FORMS)
def test_the_change_of_the_outputs(shapes: list[tuple[int, int]]) -> None:
    """Of all outputs together, in root mean square over the inputs."""
    parts = [draw(*shape, seed=seed) for seed, shape in enumerate(shapes)]
    x = draw(64, 4, seed=9) * torch.tensor([0.1, 1.0, 3.0, 0.0])

    def change(without: list[Tensor]) -> Tensor:
        return (x @ (whole(parts) - whole(without)).T).square().sum(1).mean().sqrt()

    found = activation(parts, Seen(second=x.T @ x / len(x)))
    torch.testing.assert_close(found, removed(parts, change), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shapes", FORMS)
def test_the_change_of_what_is_looked_up(shapes: list[tuple[int, int]]) -> None:
    """Every row once, and once more for each time that it was looked up."""
    parts = [draw(*shape, seed=seed) for seed, shape in enumerate(shapes)]
    counts = torch.tensor([0, 3, 0, 8, 1])

    def change(without: list[Tensor]) -> Tensor:
        rows = (whole(parts) - whole(without)).square().sum(1)
        return ((counts + 1) * rows).sum().sqrt()

    found = activation(parts, Seen(counts=counts))
    torch.testing.assert_close(found, removed(parts, change), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", list(SCORES))
@given(seed=st.integers(0, 100))
def test_scaled_factors_of_the_same_product(name: str, seed: int) -> None:
    """A D and B D^-1: all but magnitude score them as A and B."""
    a, b = draw(6, 3, seed=seed), draw(5, 3, seed=seed + 1)
    scale = torch.exp(2 * draw(3, seed=seed + 2))
    x = draw(20, 5, seed=seed + 3)
    seen = Seen(second=x.T @ x / 20)
    before, after = SCORES[name]([a, b], seen), SCORES[name]([a * scale, b / scale], seen)
    same = [torch.allclose(p, q, rtol=1e-3, atol=1e-4) for p, q in zip(before, after, strict=True)]
    assert all(same) == (name in INVARIANT)


@pytest.mark.parametrize("name", list(SCORES))
def test_pruned_entries_score_zero(name: str) -> None:
    a, b = draw(6, 3), draw(5, 3)
    a[1, 2] = b[4, 0] = 0
    first, second = SCORES[name]([a, b], Seen(second=torch.eye(5)))
    assert first[1, 2] == 0 and second[4, 0] == 0
    assert int((first == 0).sum() + (second == 0).sum()) == 2


def test_settings_name_them() -> None:
    assert get_args(ThresholdSettings.__annotations__["score"]) == (*SCORES, *MEMORIES)
    assert set(MEMORIES) == NEED_GRADIENTS
    parts = [draw(5, 2), draw(4, 2)]
    seen = Seen(second=torch.diag(torch.arange(1.0, 5)))
    for name, score in SCORES.items():
        pairs = zip(score(parts, seen), score(parts, NOTHING), strict=True)
        uses = not all(torch.equal(with_it, without) for with_it, without in pairs)
        assert uses == (name in NEED_EXAMPLES), name
