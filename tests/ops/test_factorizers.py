"""Factors of the least weighted error, against numpy's SVD of the weighted matrix."""

from typing import get_args

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from lada.methods.settings import NEED_EXAMPLES, RankSettings
from lada.ops.factorize import Weights, refactorize, svd_factors, weighted_factors
from lada.ops.factorizers import FACTORIZERS, whitened
from lada.ops.statistics import NOTHING, Seen

SHAPES = [(8, 8), (12, 5), (5, 12), (40, 6)]


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def weights_of(m: int, n: int, kind: str) -> Weights:
    inputs = torch.linalg.cholesky(draw(n, 3 * n, seed=1) @ draw(n, 3 * n, seed=1).T / n)
    rows = draw(m, seed=2).abs() + 0.1
    return Weights(rows if kind != "inputs" else None, inputs if kind != "rows" else None)


def best(weight: Tensor, rank: int, weights: Weights) -> np.ndarray:
    """The best product of this rank, written out."""
    m, n = weight.shape
    left = np.eye(m) if weights.rows is None else np.diag(weights.rows.numpy())
    right = np.eye(n) if weights.inputs is None else weights.inputs.numpy()
    u, s, vh = np.linalg.svd(left @ weight.numpy() @ right, full_matrices=False)
    cut = (u[:, :rank] * s[:rank]) @ vh[:rank]
    return np.linalg.inv(left) @ cut @ np.linalg.inv(right)


@pytest.mark.parametrize("kind", ["rows", "inputs", "both"])
@pytest.mark.parametrize(("m", "n"), SHAPES)
def test_the_weighted_error_is_the_least_at_every_rank(m: int, n: int, kind: str) -> None:
    weight, weights = draw(m, n), weights_of(m, n, kind)
    most = min(m, n)
    a, b = weighted_factors(weight, most, weights)
    for rank in range(1, most + 1):  # leading columns are the best of a lower rank
        product = (a[:, :rank] @ b[:, :rank].T).numpy()
        np.testing.assert_allclose(product, best(weight, rank, weights), rtol=0, atol=1e-9)


@pytest.mark.parametrize("kind", ["rows", "inputs", "both"])
def test_of_a_product(kind: str) -> None:
    old_a, old_b, weights = draw(9, 4, seed=3), draw(7, 4, seed=4), weights_of(9, 7, kind)
    a, b = refactorize(old_a, old_b, 2, weights)
    expected = best(old_a @ old_b.T, 2, weights)
    np.testing.assert_allclose((a @ b.T).numpy(), expected, rtol=0, atol=1e-10)


def test_even_moments_give_the_svd() -> None:
    weight = draw(9, 7).float()
    seen = Seen(second=5 * torch.eye(7))
    a, b = weighted_factors(weight, 3, whitened(seen))
    plain_a, plain_b = svd_factors(weight, 3)
    torch.testing.assert_close(a @ b.T, plain_a @ plain_b.T, rtol=1e-4, atol=1e-5)
    for name, factorizer in FACTORIZERS.items():
        a, b = weighted_factors(weight, 3, factorizer(NOTHING))
        assert torch.equal(a, plain_a) and torch.equal(b, plain_b), name


def test_dtype_and_layout() -> None:
    a, b = weighted_factors(draw(9, 7).bfloat16(), 3, weights_of(9, 7, "both"))
    assert (a.dtype, b.dtype) == (torch.bfloat16, torch.bfloat16)
    assert a.is_contiguous() and b.is_contiguous()
    with pytest.raises(ValueError, match="outside"):
        weighted_factors(draw(9, 7), 8, weights_of(9, 7, "both"))


@given(st.integers(0, 50), st.integers(1, 5))
def test_outputs_are_nearer_than_by_svd(seed: int, rank: int) -> None:
    """On inputs of uneven size that the statistics saw, up to what damping costs."""
    weight = draw(8, 6, seed=seed)
    x = draw(200, 6, seed=seed + 1) * torch.logspace(-2, 1, 6, dtype=torch.float64)

    def error(a: Tensor, b: Tensor) -> float:
        return float((x @ (weight - a @ b.T).T).square().sum())

    seen = Seen(second=x.T @ x / len(x))
    ours = error(*weighted_factors(weight, rank, whitened(seen)))
    assert ours <= 1.05 * error(*svd_factors(weight, rank)) + 1e-9


def test_rows_of_word_embeddings_weigh_as_their_counts() -> None:
    table = draw(6, 4).float()
    counts = torch.tensor([0, 0, 399, 0, 99, 0])
    a, b = weighted_factors(table, 2, whitened(Seen(counts=counts)))
    plain_a, plain_b = svd_factors(table, 2)
    ours, plain = ((table - product).square().sum(1) for product in (a @ b.T, plain_a @ plain_b.T))
    assert ours[2] < 1e-2 * plain[2]
    weights = whitened(Seen(counts=counts)).rows
    assert weights is not None
    torch.testing.assert_close(weights / weights[0], torch.tensor([1.0, 1, 20, 1, 10, 1]))
    assert float(weights.square().mean()) == pytest.approx(1, rel=1e-5)


def test_inputs_that_never_occur_and_none_at_all() -> None:
    second = torch.zeros(5, 5)
    weight = draw(7, 5).float()
    a, b = weighted_factors(weight, 2, whitened(Seen(second=second)))
    assert torch.equal(a, svd_factors(weight, 2)[0])
    second[0, 0] = 4.0
    a, b = weighted_factors(weight, 2, whitened(Seen(second=second)))
    assert bool(torch.isfinite(a).all()) and bool(torch.isfinite(b).all())
    torch.testing.assert_close((a @ b.T)[:, 0], weight[:, 0], rtol=0, atol=0.05)


def test_settings_name_them() -> None:
    names = get_args(RankSettings.__annotations__["factorizer"])
    assert names == tuple(FACTORIZERS)
    seen = Seen(second=torch.diag(torch.arange(1.0, 6)), counts=torch.arange(5))
    for name, factorizer in FACTORIZERS.items():
        uses = factorizer(seen) is not factorizer(NOTHING)
        assert uses == (name in NEED_EXAMPLES), name
