"""Factorized layers against dense ones whose weight is the product."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lada.nn.compressed import compressed_layers
from lada.nn.factors import LOWERINGS, FactorizedEmbedding, FactorizedLinear, Factors
from lada.ops.mask import largest

ROWS, COLS, RANK = 9, 7, 6
KINDS = ("linear", "embedding")
Make = Callable[..., Factors]


def _random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _layer(kind: str, rank: int = RANK, seed: int = 0) -> Factors:
    """Float64 factors of a random 9 x 7 weight."""
    if kind == "linear":
        linear = nn.Linear(COLS, ROWS, dtype=torch.float64)
        linear.weight.data.copy_(_random(ROWS, COLS, seed=seed))
        linear.bias.data.copy_(_random(ROWS, seed=seed + 1))
        return FactorizedLinear.from_linear(linear, rank)
    table = nn.Embedding(ROWS, COLS, dtype=torch.float64)
    table.weight.data.copy_(_random(ROWS, COLS, seed=seed))
    return FactorizedEmbedding.from_embedding(table, rank)


def _input(kind: str) -> Tensor:
    if kind == "linear":
        return _random(2, 3, COLS, seed=8)
    return torch.tensor([[0, 8, 3], [3, 1, 5]])


def _dense(layer: Factors, x: Tensor) -> Tensor:
    """The same output from the full weight, of all columns and by the masks."""
    weight = (layer.factor_a * layer.mask_a) @ (layer.factor_b * layer.mask_b).T
    if isinstance(layer, FactorizedLinear):
        return F.linear(x, weight, layer.bias)
    return F.embedding(x, weight)


def _prune(layer: Factors, share: float) -> None:
    a, b = layer.factor_a.detach(), layer.factor_b.detach()
    a, b = a[:, : layer.rank].abs(), b[:, : layer.rank].abs()
    layer.set_masks_(largest(a, round(share * a.numel())), largest(b, round(share * b.numel())))


def _best(weight: Tensor, rank: int) -> np.ndarray:
    u, s, vh = np.linalg.svd(weight.detach().numpy(), full_matrices=False)
    return (u[:, :rank] * s[:rank]) @ vh[:rank]


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_full_rank_is_the_layer_itself() -> None:
    linear, x = nn.Linear(7, 9), torch.randn(4, 7)
    torch.testing.assert_close(
        FactorizedLinear.from_linear(linear, 7)(x), linear(x), rtol=1e-5, atol=1e-6
    )
    table, ids = nn.Embedding(9, 7), torch.tensor([[0, 8], [4, 4]])
    torch.testing.assert_close(
        FactorizedEmbedding.from_embedding(table, 7)(ids), table(ids), rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("rank", [1, 4, 7])
def test_forward_is_that_of_the_best_approximation(kind: str, rank: int) -> None:
    layer, x = _layer(kind, rank), _input(kind)
    best = torch.from_numpy(_best(_random(ROWS, COLS), rank))
    if isinstance(layer, FactorizedLinear):
        expected = F.linear(x, best, layer.bias)
    else:
        expected = best[x]
    torch.testing.assert_close(layer(x), expected)
    np.testing.assert_allclose(layer.product().detach().numpy(), best.numpy(), atol=1e-12)


def test_forward_of_a_lowered_and_pruned_layer(kind: str) -> None:
    layer, x = _layer(kind), _input(kind)
    layer.lower_rank_(4, "truncate")
    _prune(layer, 0.6)
    assert layer(x).shape == _dense(layer, x).shape
    torch.testing.assert_close(layer(x), _dense(layer, x))
    weight = layer.factor_a @ layer.factor_b.T
    torch.testing.assert_close(layer.product(), weight)


def test_a_linear_without_bias() -> None:
    linear = nn.Linear(7, 9, bias=False, dtype=torch.float64)
    layer = FactorizedLinear.from_linear(linear, 7)
    assert layer.bias is None
    x = _random(3, 7)
    torch.testing.assert_close(layer(x), linear(x))


def test_the_source_is_left_be() -> None:
    linear = nn.Linear(7, 9)
    layer = FactorizedLinear.from_linear(linear, 7)
    assert layer.bias is not None
    layer.bias.data.add_(1.0)
    layer.factor_a.data.zero_()
    assert not torch.equal(layer.bias, linear.bias)
    assert bool((linear.weight != 0).any())


def test_sizes() -> None:
    linear, table = _layer("linear"), _layer("embedding")
    assert isinstance(linear, FactorizedLinear)
    assert isinstance(table, FactorizedEmbedding)
    assert (linear.out_features, linear.in_features) == (9, 7)
    assert (table.num_embeddings, table.embedding_dim) == (9, 7)
    assert linear.kept == 6 * (9 + 7)
    assert repr(linear) == "FactorizedLinear(9 x 7, rank 6, unpruned 96)"


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_masked_entries_are_zero_and_can_be_made_so_again(kind: str, share: float) -> None:
    layer = _layer(kind)
    before_a, before_b = layer.factor_a.detach().clone(), layer.factor_b.detach().clone()
    _prune(layer, share)
    assert layer.kept == round(share * ROWS * RANK) + round(share * COLS * RANK)
    for value in (0.0, 1.0, -3.0):
        layer.factor_a.data[~layer.mask_a] = value
        layer.factor_b.data[~layer.mask_b] = value
        layer.apply_masks_()
        for factor, mask, before in (
            (layer.factor_a, layer.mask_a, before_a), (layer.factor_b, layer.mask_b, before_b),
        ):  # fmt: skip
            assert bool((factor[~mask] == 0.0).all())
            assert torch.equal(factor[mask], before[mask])


def test_truncate_before_training_is_the_best_approximation(kind: str) -> None:
    layer = _layer(kind, 7)
    for rank in (5, 4, 1):
        layer.lower_rank_(rank, "truncate")
        product = layer.product().detach().numpy()
        np.testing.assert_allclose(product, _best(_random(ROWS, COLS), rank), atol=1e-12)


def test_truncate_keeps_values_and_masks_of_the_remaining_columns(kind: str) -> None:
    layer = _layer(kind)
    _prune(layer, 0.5)
    a, b = layer.factor_a.detach().clone(), layer.factor_b.detach().clone()
    mask_a, mask_b = layer.mask_a.clone(), layer.mask_b.clone()
    layer.lower_rank_(4, "truncate")
    for factor, was, mask, mask_was in (
        (layer.factor_a, a, layer.mask_a, mask_a), (layer.factor_b, b, layer.mask_b, mask_b),
    ):  # fmt: skip
        assert torch.equal(factor[:, :4], was[:, :4])
        assert torch.equal(mask[:, :4], mask_was[:, :4])
        assert bool((factor[:, 4:] == 0.0).all())
        assert not mask[:, 4:].any()
    assert layer.rank == int(layer.active_rank) == 4


def test_refactorize_is_the_best_approximation_of_the_present_product(kind: str) -> None:
    layer = _layer(kind)
    _prune(layer, 0.5)
    layer.factor_a.data += 0.1 * _random(ROWS, RANK, seed=9)
    layer.apply_masks_()
    previous = layer.product().detach().clone()
    layer.lower_rank_(4, "refactorize")
    np.testing.assert_allclose(layer.product().detach().numpy(), _best(previous, 4), atol=1e-12)
    assert layer.mask_a[:, :4].all()
    assert layer.mask_b[:, :4].all()
    assert layer.kept == 4 * (ROWS + COLS)
    assert bool((layer.factor_a[:, 4:] == 0.0).all())
    assert bool((layer.factor_b[:, 4:] == 0.0).all())
    # Again, from a rank below the stored one.
    previous = layer.product().detach().clone()
    layer.lower_rank_(2, "refactorize")
    np.testing.assert_allclose(layer.product().detach().numpy(), _best(previous, 2), atol=1e-12)


@pytest.mark.parametrize("how", LOWERINGS)
def test_the_present_rank_changes_nothing(kind: str, how: str) -> None:
    layer = _layer(kind)
    layer.lower_rank_(4, "truncate")
    _prune(layer, 0.5)
    before = {k: v.clone() for k, v in layer.state_dict().items()}
    layer.lower_rank_(4, how)
    assert all(torch.equal(v, before[k]) for k, v in layer.state_dict().items())


@pytest.mark.parametrize("how", LOWERINGS)
def test_parameters_stay_the_same_objects(kind: str, how: str) -> None:
    layer = _layer(kind)
    params = dict(layer.named_parameters())
    where = {name: (p.data_ptr(), p.shape) for name, p in params.items()}
    optimizer = torch.optim.AdamW(layer.parameters(), lr=0.01)
    for rank in (5, 3, 1):
        layer.lower_rank_(rank, how)
        _prune(layer, 0.5)
        layer(_input(kind)).square().sum().backward()
        optimizer.step()
        layer.apply_masks_()
        now = dict(layer.named_parameters())
        assert list(now) == list(params)
        assert all(now[name] is params[name] for name in params)
        assert {n: (p.data_ptr(), p.shape) for n, p in now.items()} == where
        assert all(p.requires_grad and p.is_leaf for p in now.values())


def test_no_gradient_outside_the_active_rank(kind: str) -> None:
    layer = _layer(kind)
    layer.lower_rank_(3, "truncate")
    layer(_input(kind)).square().sum().backward()
    for factor in (layer.factor_a, layer.factor_b):
        assert factor.grad is not None
        assert bool((factor.grad[:, 3:] == 0.0).all())
        assert bool((factor.grad[:, :3] != 0.0).any(0).all())


def test_gradients_are_those_of_the_dense_product(kind: str) -> None:
    layer, x = _layer(kind), _input(kind)
    layer.lower_rank_(4, "truncate")
    layer(x).pow(3).sum().backward()
    a = layer.factor_a.detach().clone().requires_grad_()
    b = layer.factor_b.detach().clone().requires_grad_()
    weight = a @ b.T
    dense = F.linear(x, weight, layer.bias) if isinstance(layer, FactorizedLinear) else weight[x]
    dense.pow(3).sum().backward()
    assert a.grad is not None
    assert b.grad is not None
    torch.testing.assert_close(layer.factor_a.grad[:, :4], a.grad[:, :4])
    torch.testing.assert_close(layer.factor_b.grad[:, :4], b.grad[:, :4])


def test_a_strict_load_restores_rank_and_masks(kind: str) -> None:
    layer = _layer(kind)
    layer.lower_rank_(4, "truncate")
    _prune(layer, 0.4)
    a, b = torch.ones(ROWS, RANK).double(), torch.ones(COLS, RANK).double()
    fresh: Factors
    if kind == "linear":
        fresh = FactorizedLinear(a, b, torch.zeros(ROWS).double())
    else:
        fresh = FactorizedEmbedding(a, b)
    # Within a model, so that the prefix counts.
    outer, other = nn.ModuleDict({"x": layer}), nn.ModuleDict({"x": fresh})
    state = outer.state_dict()
    names = {"x.factor_a", "x.factor_b", "x.mask_a", "x.mask_b", "x.active_rank"}
    assert set(state) == names | ({"x.bias"} if kind == "linear" else set())
    other.load_state_dict(state, strict=True)
    assert fresh.rank == int(fresh.active_rank) == 4
    assert torch.equal(fresh.mask_a, layer.mask_a)
    assert torch.equal(fresh.mask_b, layer.mask_b)
    assert fresh.kept == layer.kept
    assert torch.equal(fresh(_input(kind)), layer(_input(kind)))


def test_masks_work_on_after_a_load(kind: str) -> None:
    """A resumed run starts from layers that were never given masks by hand."""
    layer, fresh = _layer(kind), _layer(kind, seed=5)
    _prune(layer, 0.4)
    fresh.load_state_dict(layer.state_dict())
    before = fresh.product().detach().clone()
    fresh(_input(kind)).square().sum().backward()
    for factor, mask in ((fresh.factor_a, fresh.mask_a), (fresh.factor_b, fresh.mask_b)):
        assert factor.grad is not None
        assert bool((factor.grad[~mask] == 0.0).all())
        assert bool((factor.grad != 0.0).any())
        factor.data[~mask] = 1.0
    fresh.apply_masks_()
    assert torch.equal(fresh.product(), before)
    # And the other way round: dense again after the load of a dense one.
    fresh.load_state_dict(_layer(kind).state_dict())
    fresh.apply_masks_()
    assert torch.equal(fresh.product(), _layer(kind).product())
    assert fresh.kept == RANK * (ROWS + COLS)


def test_gradients_of_masked_entries_become_zero(kind: str) -> None:
    layer = _layer(kind)
    layer.lower_rank_(4, "truncate")
    _prune(layer, 0.5)
    whole: dict[str, Tensor] = {}
    for name in layer.masks:
        # A score may see the gradients of pruned entries: a tensor hook comes before.
        getattr(layer, name).register_hook(lambda g, name=name: whole.update({name: g.clone()}))
    layer(_input(kind)).square().sum().backward()
    for name, mask_name in layer.masks.items():
        gradient, mask = getattr(layer, name).grad, getattr(layer, mask_name)
        assert bool((whole[name][~mask] != 0.0).any())
        assert torch.equal(gradient, whole[name] * mask)


def test_one_masked_factor_is_enough(kind: str) -> None:
    """Masks may drop entries of A alone, or of B alone."""
    for drop_a in (True, False):
        layer = _layer(kind)
        mask_a = torch.ones(ROWS, RANK, dtype=torch.bool)
        mask_b = torch.ones(COLS, RANK, dtype=torch.bool)
        (mask_a if drop_a else mask_b)[1, 2] = False
        layer.set_masks_(mask_a, mask_b)
        factor = layer.factor_a if drop_a else layer.factor_b
        assert factor[1, 2] == 0.0
        factor.data[1, 2] = 4.0
        layer.apply_masks_()
        assert factor[1, 2] == 0.0
        layer(_input(kind)).square().sum().backward()
        assert factor.grad is not None
        assert factor.grad[1, 2] == 0.0


def test_a_new_svd_is_not_masked(kind: str) -> None:
    layer = _layer(kind)
    _prune(layer, 0.5)
    layer.lower_rank_(5, "refactorize")
    before = layer.product().detach().clone()
    layer(_input(kind)).square().sum().backward()
    assert layer.factor_a.grad is not None
    rows = slice(None) if kind == "linear" else _input(kind).unique()
    assert bool((layer.factor_a.grad[rows, :5] != 0.0).all())
    layer.apply_masks_()
    assert torch.equal(layer.product(), before)


@pytest.mark.parametrize("missing", ["mask_a", "mask_b", "active_rank", "factor_a", "factor_b"])
def test_a_strict_load_needs_all(kind: str, missing: str) -> None:
    state = _layer(kind).state_dict()
    del state[missing]
    with pytest.raises(RuntimeError, match=missing):
        _layer(kind).load_state_dict(state)


@pytest.mark.parametrize("how", LOWERINGS)
@pytest.mark.parametrize("rank", [0, -1, 5, 100])
def test_a_rank_out_of_range_is_rejected(kind: str, how: str, rank: int) -> None:
    layer = _layer(kind)
    layer.lower_rank_(4, "truncate")
    before = {k: v.clone() for k, v in layer.state_dict().items()}
    with pytest.raises(ValueError, match=rf"rank {rank} is outside 1\.\.4"):
        layer.lower_rank_(rank, how)
    assert all(torch.equal(v, before[k]) for k, v in layer.state_dict().items())


def test_what_cannot_be_is_rejected() -> None:
    with pytest.raises(ValueError, match="'drop' is not one of truncate, refactorize"):
        _layer("linear").lower_rank_(2, "drop")
    with pytest.raises(ValueError, match="rank 8 is outside"):
        FactorizedLinear.from_linear(nn.Linear(7, 9), 8)
    with pytest.raises(ValueError, match="rank 0 is outside"):
        FactorizedEmbedding.from_embedding(nn.Embedding(9, 7), 0)


def test_layers_by_name_in_order() -> None:
    model = nn.Sequential()
    model.add_module("b", _layer("linear"))
    model.add_module("plain", nn.Linear(2, 2))
    model.add_module("a", nn.Sequential(_layer("embedding")))
    assert list(compressed_layers(model).items()) == [("b", model[0]), ("a.0", model[2][0])]
