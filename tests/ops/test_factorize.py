"""SVD factors against numpy's SVD."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from lada.ops.factorize import refactorize, svd_factors

# 40 x 6 and 6 x 40 are reduced by QR first, 24 x 6 and 6 x 24 lie just within the plain path.
SHAPES = [(8, 8), (12, 9), (9, 12), (24, 6), (6, 24), (25, 6), (6, 25), (40, 6), (6, 40), (1, 5),
          (5, 1), (1, 1)]  # fmt: skip
CASES = [(m, n, r) for m, n in SHAPES for r in sorted({1, (min(m, n) + 1) // 2, min(m, n)})]


def _matrix(m: int, n: int, seed: int = 0) -> Tensor:
    return torch.randn(m, n, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def _numpy_best(weight: Tensor, rank: int) -> tuple[np.ndarray, np.ndarray]:
    """The best approximation by numpy, and all singular values."""
    u, s, vh = np.linalg.svd(weight.double().numpy(), full_matrices=False)
    return (u[:, :rank] * s[:rank]) @ vh[:rank], s


@pytest.mark.parametrize(("m", "n", "rank"), CASES)
def test_the_product_is_the_best_approximation(m: int, n: int, rank: int) -> None:
    weight = _matrix(m, n)
    a, b = svd_factors(weight, rank)
    assert (a.shape, b.shape) == ((m, rank), (n, rank))
    best, s = _numpy_best(weight, rank)
    np.testing.assert_allclose((a @ b.T).numpy(), best, rtol=0, atol=1e-12)
    error = np.linalg.norm(weight.numpy() - (a @ b.T).numpy())
    assert error == pytest.approx(np.sqrt((s[rank:] ** 2).sum()), abs=1e-12)


@pytest.mark.parametrize(("m", "n", "rank"), CASES)
def test_both_factors_carry_the_root_of_each_singular_value(m: int, n: int, rank: int) -> None:
    weight = _matrix(m, n, seed=1)
    a, b = svd_factors(weight, rank)
    s = np.linalg.svd(weight.numpy(), compute_uv=False)[:rank]
    np.testing.assert_allclose((a.T @ a).numpy(), np.diag(s), rtol=0, atol=1e-12)
    np.testing.assert_allclose((b.T @ b).numpy(), np.diag(s), rtol=0, atol=1e-12)


@pytest.mark.parametrize(("m", "n"), [(8, 8), (30, 6), (6, 30)])
def test_columns_fall_and_leading_ones_are_the_lower_rank(m: int, n: int) -> None:
    weight = _matrix(m, n, seed=2)
    a, b = svd_factors(weight, 6)
    norms = a.norm(dim=0)
    assert bool((norms[:-1] > norms[1:]).all())
    for rank in range(1, 6):
        best, _ = _numpy_best(weight, rank)
        truncated = (a[:, :rank] @ b[:, :rank].T).numpy()
        np.testing.assert_allclose(truncated, best, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("dtype", "tolerance"),
    [
        (torch.float64, 1e-13),
        (torch.float32, 2e-6),
        (torch.float16, 4e-3),
        (torch.bfloat16, 3e-2),
    ],
)
@pytest.mark.parametrize(("m", "n"), [(10, 8), (50, 8), (8, 50)])
def test_dtypes(dtype: torch.dtype, tolerance: float, m: int, n: int) -> None:
    weight = _matrix(m, n, seed=3).to(dtype)
    a, b = svd_factors(weight, 4)
    assert a.dtype is dtype
    assert b.dtype is dtype
    assert a.is_contiguous()
    assert b.is_contiguous()
    best, s = _numpy_best(weight, 4)
    np.testing.assert_allclose(
        (a.double() @ b.double().T).numpy(), best, rtol=0, atol=tolerance * s[0]
    )


def test_half_precision_factors_are_those_of_float32_rounded() -> None:
    weight = _matrix(12, 7, seed=4).half()
    a, b = svd_factors(weight, 3)
    wide_a, wide_b = svd_factors(weight.float(), 3)
    assert torch.equal(a, wide_a.half())
    assert torch.equal(b, wide_b.half())


def test_a_matrix_of_low_rank_is_reproduced_and_finite() -> None:
    weight = _matrix(9, 2, seed=5) @ _matrix(2, 7, seed=6)
    for rank in (2, 5, 7):
        a, b = svd_factors(weight, rank)
        assert bool(torch.isfinite(a).all())
        assert bool(torch.isfinite(b).all())
        torch.testing.assert_close(a @ b.T, weight, rtol=0, atol=1e-12)
    a, b = svd_factors(torch.zeros(4, 6), 3)
    assert torch.equal(a @ b.T, torch.zeros(4, 6))


def test_a_parameter_is_neither_changed_nor_tracked() -> None:
    weight = torch.nn.Parameter(_matrix(6, 5, seed=7))
    before = weight.detach().clone()
    a, b = svd_factors(weight, 5)
    assert not a.requires_grad
    assert not b.requires_grad
    a.zero_()
    assert torch.equal(weight, before)


@pytest.mark.parametrize("rank", [-1, 0, 5, 100])
def test_a_rank_out_of_range_is_rejected(rank: int) -> None:
    with pytest.raises(ValueError, match=rf"rank {rank} is outside 1\.\.4 for a 4 x 9 matrix"):
        svd_factors(torch.zeros(4, 9), rank)


@pytest.mark.parametrize("shape", [(), (4,), (2, 3, 4)])
def test_no_matrix_is_rejected(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="a matrix is needed"):
        svd_factors(torch.zeros(shape), 1)


sizes = st.integers(1, 14)


@settings(max_examples=60)
@given(m=sizes, n=sizes, r=sizes, share=st.floats(0, 1), seed=st.integers(0, 10**6))
def test_refactorize_is_the_svd_of_the_product(
    m: int, n: int, r: int, share: float, seed: int
) -> None:
    a, b = _matrix(m, r, seed), _matrix(n, r, seed + 1)
    most = min(m, n, r)
    rank = 1 + round(share * (most - 1))
    new_a, new_b = refactorize(a, b, rank)
    assert (new_a.shape, new_b.shape) == ((m, rank), (n, rank))
    best, s = _numpy_best(a @ b.T, rank)
    np.testing.assert_allclose((new_a @ new_b.T).numpy(), best, rtol=0, atol=1e-9)
    np.testing.assert_allclose((new_a.T @ new_a).numpy(), np.diag(s[:rank]), rtol=0, atol=1e-9)
    np.testing.assert_allclose((new_b.T @ new_b).numpy(), np.diag(s[:rank]), rtol=0, atol=1e-9)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_refactorize_keeps_the_dtype(dtype: torch.dtype) -> None:
    a, b = _matrix(9, 5).to(dtype), _matrix(7, 5, seed=1).to(dtype)
    new_a, new_b = refactorize(a, b, 3)
    assert new_a.dtype is dtype
    assert new_b.dtype is dtype
    assert new_a.is_contiguous()
    assert new_b.is_contiguous()
    best, s = _numpy_best(a.double() @ b.double().T, 3)
    product = (new_a.double() @ new_b.double().T).numpy()
    np.testing.assert_allclose(product, best, rtol=0, atol=16 * torch.finfo(dtype).eps * s[0])


def test_refactorize_of_masked_factors_is_finite() -> None:
    a, b = _matrix(9, 4), _matrix(7, 4, seed=1)
    a[:, 2], b[:, 2] = 0.0, 0.0  # a dead column
    a[a < 0] = 0.0
    new_a, new_b = refactorize(a, b, 4)
    torch.testing.assert_close(new_a @ new_b.T, a @ b.T, rtol=0, atol=1e-12)


@pytest.mark.parametrize("rank", [0, 4, -2])
def test_refactorize_rejects_a_rank_out_of_range(rank: int) -> None:
    with pytest.raises(ValueError, match=rf"rank {rank} is outside 1\.\.3"):
        refactorize(torch.zeros(9, 3), torch.zeros(7, 3), rank)


@pytest.mark.parametrize(
    ("a", "b"), [((9, 3), (7, 4)), ((9,), (7, 3)), ((9, 3), (7,)), ((2, 9, 3), (7, 3))]
)
def test_refactorize_rejects_factors_that_do_not_fit(
    a: tuple[int, ...], b: tuple[int, ...]
) -> None:
    with pytest.raises(ValueError, match="do not make a product"):
        refactorize(torch.zeros(a), torch.zeros(b), 1)


@pytest.mark.parametrize(("m", "n"), [(40, 12), (12, 40), (30, 30), (300, 20)])
def test_small_singular_values_are_not_lost(m: int, n: int) -> None:
    """Squared in float32, those below 3e-4 of the largest drown; then an SVD is taken."""
    u = torch.linalg.qr(torch.randn(m, min(m, n), dtype=torch.float64)).Q
    v = torch.linalg.qr(torch.randn(n, min(m, n), dtype=torch.float64)).Q
    s = torch.logspace(0, -6, min(m, n), dtype=torch.float64)
    weight = ((u * s) @ v.T).float()
    a, b = svd_factors(weight, min(m, n))
    found = (a.norm(dim=0) * b.norm(dim=0)).double()
    torch.testing.assert_close(found, s, rtol=1e-2, atol=2e-7)
    cosines = F.normalize(a, dim=0).T @ F.normalize(a, dim=0)
    assert cosines.fill_diagonal_(0).abs().max() < 1e-3


@pytest.mark.parametrize("spectrum", ["flat", "falling", "steep"])
def test_as_good_as_an_svd(spectrum: str) -> None:
    torch.manual_seed(0)
    weight = torch.randn(96, 64)
    if spectrum != "flat":
        weight *= torch.logspace(0, -2 if spectrum == "falling" else -5, 64)
    for rank in (1, 20, 63, 64):
        a, b = svd_factors(weight, rank)
        best = torch.linalg.svdvals(weight.double())[rank:].norm()
        error = (weight.double() - (a.double() @ b.double().T)).norm()
        assert error <= best * (1 + 5e-5) + 2e-6 * weight.norm()
