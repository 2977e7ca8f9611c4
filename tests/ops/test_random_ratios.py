"""Random points of the ratios that meet a target."""

import math

import pytest
import torch
from inventories import BASE, MINILM
from torch import Tensor

from lada.ops.budget import LEAST_KEPT, BudgetError, Inventory, exact_ratio
from lada.ops.random_ratios import draw_fractions, place_fractions

MODELS = pytest.mark.parametrize("inventory", [BASE, MINILM], ids=["base", "minilm"])


@MODELS
@pytest.mark.parametrize("target", [1.0, 1.02, 2.5, 7.5, 20.0, 35.0])
def test_every_point_meets_the_target(inventory: Inventory, target: float) -> None:
    for draw in range(50):
        found = draw_fractions(inventory, target, draw)
        assert exact_ratio(inventory, found) == pytest.approx(target, rel=1e-9)
        for fraction in (found.embedding, found.hybrid):
            assert LEAST_KEPT - 1e-12 <= fraction <= 1.0 + 1e-9
        assert found.hybrid <= min(found.svd, found.density) + 1e-12
        assert max(found.svd, found.density) <= 1.0


def test_a_number_is_a_point() -> None:
    assert draw_fractions(BASE, 7.5, 3) == draw_fractions(BASE, 7.5, 3)
    assert len({draw_fractions(BASE, 7.5, draw) for draw in range(100)}) == 100
    # The points stay the same from version to version: a search can be repeated.
    found = draw_fractions(BASE, 7.5, 0)
    assert (found.embedding, found.svd, found.density) == pytest.approx(FIRST, rel=1e-12)


FIRST = (0.38667367059725755, 0.2623554409322134, 0.1985797951219473)


@pytest.mark.slow
@MODELS
@pytest.mark.parametrize("target", [1.5, 7.5, 20.0])
def test_areas_have_points_as_they_are_large(inventory: Inventory, target: float) -> None:
    """Compared with the mean over a grid on the plane of two ratios, weighed by the slope."""
    drawn = [draw_fractions(inventory, target, draw) for draw in range(4000)]
    points = torch.tensor([[f.embedding, f.svd, f.density] for f in drawn], dtype=torch.float64)
    grid, weights = surface(inventory, target)
    for of in (lambda x: x, torch.square):
        mean = (of(grid) * weights[:, None]).sum(0) / weights.sum()
        error = of(points).std(0) / math.sqrt(len(points))
        assert bool(((of(points).mean(0) - mean).abs() < 4 * error + 1e-3 * mean).all())


def surface(inventory: Inventory, target: float) -> tuple[Tensor, Tensor]:
    """Points on the surface, and the area that each of them stands for."""
    side = (torch.arange(3000, dtype=torch.float64) + 0.5) / 3000
    svd, density = (x.flatten() for x in torch.meshgrid(side, side, indexing="ij"))
    left = inventory.total / target - inventory.kept_whole
    embedding = (left - svd * density * inventory.encoder) / inventory.embedding
    fits = (embedding >= LEAST_KEPT) & (embedding <= 1) & (svd * density >= LEAST_KEPT)
    slope = inventory.encoder / inventory.embedding
    area = (1 + (slope * svd) ** 2 + (slope * density) ** 2).sqrt()
    return torch.stack([embedding, svd, density], 1)[fits], area[fits]


@MODELS
def test_out_of_reach(inventory: Inventory) -> None:
    with pytest.raises(BudgetError, match="x500 is out of reach; the largest is x") as caught:
        draw_fractions(inventory, 500.0, 0)
    largest = math.floor(caught.value.reach * 100) / 100
    assert exact_ratio(inventory, draw_fractions(inventory, largest, 0)) == pytest.approx(largest)
    with pytest.raises(BudgetError, match="enlarges"):
        draw_fractions(inventory, 0.9, 0)


@MODELS
@pytest.mark.parametrize("target", [1.0, 1.02, 2.5, 7.5, 20.0, 35.0])
def test_every_place_meets_the_target(inventory: Inventory, target: float) -> None:
    places = [i / 4 for i in range(5)]
    for encoder in places:
        for by_rank in places:
            found = place_fractions(inventory, target, encoder, by_rank)
            assert exact_ratio(inventory, found) == pytest.approx(target, rel=1e-9)
            for fraction in (found.embedding, found.hybrid):
                assert LEAST_KEPT - 1e-12 <= fraction <= 1.0 + 1e-9
            assert max(found.svd, found.density) <= 1.0


@MODELS
@pytest.mark.parametrize("target", [2.5, 7.5, 20.0])
def test_every_point_has_a_place(inventory: Inventory, target: float) -> None:
    """The coordinates of drawn points, by the formulas turned around, give these points."""
    ends = [place_fractions(inventory, target, end, 0.5).hybrid for end in (0.0, 1.0)]
    for draw in range(50):
        drawn = draw_fractions(inventory, target, draw)
        encoder = (drawn.hybrid - ends[0]) / (ends[1] - ends[0])
        by_rank = math.log(drawn.svd) / math.log(drawn.hybrid)
        assert 0.0 <= encoder <= 1.0 and 0.0 <= by_rank <= 1.0
        found = place_fractions(inventory, target, encoder, by_rank)
        for name in ("embedding", "svd", "density"):
            assert getattr(found, name) == pytest.approx(getattr(drawn, name), rel=1e-9)


def test_the_ends_are_extreme() -> None:
    """Either part has all it can, and the encoder is compressed in one way alone."""
    most = place_fractions(MINILM, 7.5, 1.0, 0.0)
    assert most.embedding == pytest.approx(LEAST_KEPT)
    assert most.svd == 1.0
    least = place_fractions(MINILM, 7.5, 0.0, 1.0)
    assert least.hybrid == pytest.approx(LEAST_KEPT)
    assert least.density == 1.0
