"""Masked layers, and factors with a sparse rest."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lada.nn.masked import MaskedEmbedding, MaskedLinear
from lada.nn.residual import ResidualEmbedding, ResidualLinear


@pytest.fixture
def linear() -> nn.Linear:
    torch.manual_seed(0)
    return nn.Linear(7, 5)


@pytest.fixture
def table() -> nn.Embedding:
    torch.manual_seed(0)
    return nn.Embedding(11, 6)


def some(*shape: int) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(1)) < 0.6


def test_masked_linear(linear: nn.Linear) -> None:
    layer, x = MaskedLinear.from_linear(linear), torch.randn(3, 7)
    assert torch.equal(layer(x), linear(x))
    mask = some(5, 7)
    layer.set_masks_(mask)
    assert torch.equal(layer.product(), linear.weight * mask)
    assert torch.equal(layer(x), F.linear(x, linear.weight * mask, linear.bias))
    assert layer.kept == int(mask.sum())
    assert layer.form() == {"kind": "masked"}
    assert linear.weight.all()  # the original is left be


def test_masked_embedding(table: nn.Embedding) -> None:
    layer, ids = MaskedEmbedding.from_embedding(table), torch.tensor([[0, 3], [10, 3]])
    assert torch.equal(layer(ids), table(ids))
    mask = some(11, 6)
    layer.set_masks_(mask)
    assert torch.equal(layer(ids), (table.weight * mask)[ids])


@pytest.mark.parametrize("rank", [1, 3, 5])
def test_residual_is_the_weight_at_any_rank(linear: nn.Linear, rank: int) -> None:
    """LoSparse starts from the whole weight."""
    layer, x = ResidualLinear.from_linear(linear, rank), torch.randn(3, 7)
    torch.testing.assert_close(layer.product(), linear.weight)
    torch.testing.assert_close(layer(x), linear(x))
    singular = torch.linalg.svdvals(linear.weight.detach())
    torch.testing.assert_close(layer.rest.norm(), singular[rank:].norm(), atol=1e-5, rtol=1e-4)
    assert layer.form() == {"kind": "residual", "rank": rank}


def test_residual_masks_and_rank(linear: nn.Linear) -> None:
    layer, x = ResidualLinear.from_linear(linear, 4), torch.randn(3, 7)
    layer.lower_rank_(2, "truncate")
    a, b, rest = some(5, 2), some(7, 2), some(5, 7)
    layer.set_masks_(a, b, rest)
    expected = (layer.factor_a[:, :2] * a) @ (layer.factor_b[:, :2] * b).T + layer.rest * rest
    torch.testing.assert_close(layer.product(), expected)
    torch.testing.assert_close(layer(x), F.linear(x, expected, linear.bias))
    assert layer.kept == int(a.sum() + b.sum() + rest.sum())
    assert not layer.rest[~rest].any()


def test_residual_embedding(table: nn.Embedding) -> None:
    layer, ids = ResidualEmbedding.from_embedding(table, 2), torch.tensor([[0, 3], [10, 3]])
    torch.testing.assert_close(layer(ids), table(ids))
    rest = some(11, 6)
    layer.set_masks_(layer.mask_a.clone(), layer.mask_b.clone(), rest)
    torch.testing.assert_close(layer(ids), layer.product()[ids])


@pytest.mark.parametrize("kind", ["masked", "residual"])
def test_masked_entries_stay_zero_while_training(linear: nn.Linear, kind: str) -> None:
    layer = (
        MaskedLinear.from_linear(linear)
        if kind == "masked"
        else ResidualLinear.from_linear(linear, 3)
    )
    masks = [some(*getattr(layer, name).shape) for name in layer.masks]
    layer.set_masks_(*masks)
    optimizer = torch.optim.AdamW(layer.parameters(), lr=0.1)
    before = [getattr(layer, name).detach().clone() for name in layer.masks]
    for _ in range(3):
        layer(torch.randn(4, 7)).square().sum().backward()
        for name, mask in zip(layer.masks, masks, strict=True):
            gradient = getattr(layer, name).grad
            assert not gradient[~mask].any()
            assert gradient[mask].any()
        optimizer.step()
        optimizer.zero_grad()
        for name, mask in zip(layer.masks, masks, strict=True):
            assert not getattr(layer, name)[~mask].any()
    for name, old in zip(layer.masks, before, strict=True):
        assert not torch.equal(getattr(layer, name), old)


@pytest.mark.parametrize("kind", ["masked", "residual"])
def test_a_strict_load_restores_masks(linear: nn.Linear, kind: str) -> None:
    if kind == "masked":
        layer, fresh = MaskedLinear.from_linear(linear), MaskedLinear.from_linear(nn.Linear(7, 5))
    else:
        layer = ResidualLinear.from_linear(linear, 3)
        fresh = ResidualLinear.from_linear(nn.Linear(7, 5), 3)
        layer.lower_rank_(2, "truncate")
    layer.set_masks_(*(some(*layer.active(name).shape) for name in layer.masks))
    assert not fresh.masked
    fresh.load_state_dict(copy.deepcopy(layer.state_dict()), strict=True)
    assert fresh.masked
    assert fresh.form() == layer.form()
    assert torch.equal(fresh.product(), layer.product())
    assert fresh.kept == layer.kept
