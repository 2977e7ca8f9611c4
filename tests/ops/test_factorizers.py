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
from lada.ops.factorizers import FACTORIZERS, fisher, fisher_whitened, whitened
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
    seen = Seen(
        second=torch.diag(torch.arange(1.0, 6)), counts=torch.arange(5), gradients=torch.arange(5.0)
    )
    for name, factorizer in FACTORIZERS.items():
        uses = factorizer(seen) is not factorizer(NOTHING)
        assert uses == (name in NEED_EXAMPLES), name


def weighted_error(wrong: Tensor, rows: Tensor) -> float:
    return float((rows[:, None] * wrong.square()).sum())


def test_even_gradients_give_the_svd() -> None:
    weight = draw(9, 7).float()
    plain_a, plain_b = svd_factors(weight, 3)
    for seen in (Seen(gradients=torch.full((9,), 0.2)), Seen(gradients=torch.zeros(9))):
        a, b = weighted_factors(weight, 3, fisher(seen))
        torch.testing.assert_close(a @ b.T, plain_a @ plain_b.T, rtol=1e-4, atol=1e-5)


@given(st.integers(0, 50), st.integers(1, 4))
def test_rows_with_large_gradients_have_small_errors(seed: int, rank: int) -> None:
    """No factors near them, and not those of the SVD, have a smaller error weighted by them."""
    weight, generator = draw(8, 5, seed=seed), torch.Generator().manual_seed(seed)
    gradients = draw(8, seed=seed + 1).exp()
    a, b = weighted_factors(weight, rank, fisher(Seen(gradients=gradients)))
    rows = gradients + 1e-4 * gradients.mean()
    least = weighted_error(weight - a @ b.T, rows)
    plain_a, plain_b = svd_factors(weight, rank)
    assert least <= weighted_error(weight - plain_a @ plain_b.T, rows) + 1e-12
    for size in (1e-3, 1e-2, 1e-1):
        near_a, near_b = (
            x + size * torch.randn(x.shape, generator=generator, dtype=x.dtype) for x in (a, b)
        )
        assert least <= weighted_error(weight - near_a @ near_b.T, rows) + 1e-12
    columns = (a * rows.sqrt()[:, None]).norm(dim=0) * b.norm(dim=0)
    assert bool((columns[1:] <= columns[:-1] * (1 + 1e-9)).all())


def test_rows_of_words_that_no_example_has_count_once() -> None:
    counts, gradients = torch.tensor([3, 1, 0]), torch.tensor([7.0, 1.0, 0.0])
    rows = fisher(Seen(counts=counts, gradients=gradients)).rows
    assert rows is not None
    torch.testing.assert_close(rows.square() / rows[2].square(), torch.tensor([4.5, 1.5, 1.0]),
                               rtol=1e-3, atol=0)  # fmt: skip


def test_both_of_outputs_and_of_words() -> None:
    seen = Seen(second=torch.diag(torch.tensor([9.0, 1.0])), gradients=torch.tensor([4.0, 1.0]))
    found, inputs, rows = fisher_whitened(seen), whitened(seen).inputs, fisher(seen).rows
    assert found.inputs is not None and inputs is not None and torch.equal(found.inputs, inputs)
    assert found.rows is not None and rows is not None and torch.equal(found.rows, rows)
    words = Seen(counts=torch.tensor([3, 0]), gradients=torch.tensor([0.0, 1.0]))
    found, plain = fisher_whitened(words), whitened(words)
    assert found.inputs is None and found.rows is not None and plain.rows is not None
    assert torch.equal(found.rows, plain.rows)
