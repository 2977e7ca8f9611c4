"""Low-rank factors of a weight matrix. Every function takes and returns plain tensors."""

from dataclasses import dataclass

import torch
from torch import Tensor

GRAM_TOLERANCE = 1e-3
"""Largest cosine between two columns of ``U sqrt(S)``; an SVD in float32 gives about 1e-6."""


@dataclass(frozen=True)
class Weights:
    """How the errors of a matrix (m, n) count: ``|diag(rows) E inputs|`` is to be least.

    Attributes:
        rows: positive, (m,); None: all count the same.
        inputs: lower triangular with a positive diagonal, (n, n); None: the identity.
    """

    rows: Tensor | None = None
    inputs: Tensor | None = None

    def applied(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        """``diag(rows) A`` and ``inputs^T B``: factors of the weighted product."""
        if self.rows is not None:
            a = a * self.rows.to(a)[:, None]
        return a, b if self.inputs is None else self.inputs.to(b).T @ b

    def undone(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        """The factors of which `applied` gives these."""
        if self.rows is not None:
            a = a / self.rows.to(a)[:, None]
        if self.inputs is not None:
            b = torch.linalg.solve_triangular(self.inputs.to(b).T, b, upper=True)
        return a, b


EVEN = Weights()
"""All errors count the same: a plain SVD."""


def weighted_factors(weight: Tensor, rank: int, weights: Weights) -> tuple[Tensor, Tensor]:
    """The product ``A @ B.T`` of rank ``rank`` whose weighted error is the least.

    It is the SVD of ``diag(rows) W inputs``, with the weights divided out of its factors (SVD-LLM,
    Wang et al. 2024, arXiv 2403.07378, for ``inputs``; FWSVD, Hsu et al. 2022, arXiv 2207.00112,
    for ``rows``). Columns fall by the singular values of that matrix, so that leading ones are the
    best of any lower rank.

    Args:
        weight: (m, n), any floating dtype; computed in at least float32.
        rank: from 1 to min(m, n).
        weights: `EVEN` gives `svd_factors`.

    Returns:
        A (m, rank) and B (n, rank), contiguous, in the dtype of ``weight``.

    Raises:
        ValueError: ``weight`` is not a matrix or ``rank`` is out of range.

    Example:
        >>> weight = torch.diag(torch.tensor([3.0, 2.0]))
        >>> a, b = weighted_factors(weight, 1, Weights(rows=torch.tensor([1.0, 9.0])))
        >>> (a @ b.T).abs().round(decimals=4).tolist()
        [[0.0, 0.0], [0.0, 2.0]]
    """
    if weights.rows is None and weights.inputs is None:
        return svd_factors(weight, rank)
    wide = weight.detach().to(torch.promote_types(weight.dtype, torch.float32))
    if weights.rows is not None:
        wide = wide * weights.rows.to(wide)[:, None]
    if weights.inputs is not None:
        wide = wide @ weights.inputs.to(wide)
    a, b = weights.undone(*svd_factors(wide, rank))
    return a.to(weight.dtype).contiguous(), b.to(weight.dtype).contiguous()


def svd_factors(weight: Tensor, rank: int) -> tuple[Tensor, Tensor]:
    """The best rank-``rank`` approximation of ``weight`` as a product ``A @ B.T``.

    LadaBERT Eq. 1-2 (arXiv 2004.04124): ``A = U_r sqrt(S_r)``, ``B = V_r sqrt(S_r)``; columns in
    descending order of singular value, so that removing trailing columns gives the best
    approximation of any lower rank.

    Args:
        weight: (m, n), any floating dtype; computed in at least float32.
        rank: r, from 1 to min(m, n).

    Returns:
        A of shape (m, r) and B of shape (n, r), contiguous, in the dtype of ``weight``.

    Raises:
        ValueError: ``weight`` is not a matrix or ``rank`` is out of range.
    """
    if weight.ndim != 2:
        raise ValueError(f"a matrix is needed, not a tensor of shape {tuple(weight.shape)}")
    m, n = weight.shape
    if not 1 <= rank <= min(m, n):
        raise ValueError(f"rank {rank} is outside 1..{min(m, n)} for a {m} x {n} matrix")
    wide = weight.detach().to(torch.promote_types(weight.dtype, torch.float32))
    factors = _by_gram(wide, rank)
    if factors is None:
        u, s, vh = _svd(wide)
        root = s[:rank].sqrt()
        factors = u[:, :rank] * root, vh[:rank].T * root
    a, b = (factor.to(weight.dtype).contiguous() for factor in factors)
    return a, b


def _by_gram(weight: Tensor, rank: int) -> tuple[Tensor, Tensor] | None:
    """Factors from the eigenvectors V of the smaller of ``W W^T`` and ``W^T W``, or None.

    Two to three times faster than an SVD. Squaring loses the small singular values: then the
    columns of ``W V`` are not orthogonal. This is checked, and None is returned if they deviate by
    more than `GRAM_TOLERANCE`.
    """
    if weight.shape[1] > weight.shape[0]:
        turned = _by_gram(weight.T, rank)
        return None if turned is None else (turned[1], turned[0])
    v = torch.linalg.eigh(_lower_gram(weight)).eigenvectors[:, -rank:].flip(1)
    projected = weight @ v
    products = _lower_gram(projected).tril_()
    norms = products.diagonal().sqrt()
    off = (products / norms / norms[:, None]).fill_diagonal_(0.0).abs().max()
    # Not "off > ...": a column of zeros makes it NaN.
    if not bool(off <= GRAM_TOLERANCE) or not bool((norms[1:] <= norms[:-1]).all()):
        return None
    root = norms.sqrt()
    return projected / root, v * root


def _lower_gram(weight: Tensor) -> Tensor:
    """The lower triangle of ``W^T W``, a third cheaper than all of it; the rest is undefined."""
    width = weight.shape[1]
    gram = weight.new_empty(width, width)
    step = -(-width // 4)
    for start in range(0, width, step):
        end = min(start + step, width)
        gram[start:end, :end] = weight[:, start:end].T @ weight[:, :end]
    return gram


def _svd(weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Thin SVD; a tall or wide matrix is first reduced by QR, which is several times faster."""
    m, n = weight.shape
    if m > 4 * n:
        q, r = torch.linalg.qr(weight)
        u, s, vh = torch.linalg.svd(r, full_matrices=False)
        return q @ u, s, vh
    if n > 4 * m:
        v, s, uh = _svd(weight.T)
        return uh.T, s, v.T
    return torch.linalg.svd(weight, full_matrices=False)  # type: ignore[no-any-return]


def refactorize(a: Tensor, b: Tensor, rank: int, weights: Weights = EVEN) -> tuple[Tensor, Tensor]:
    """The factors of rank ``rank`` of the product ``a @ b.T``, without forming the product.

    QR of both factors leaves an SVD of an (r, r) matrix only.

    Args:
        a: (m, r); b: (n, r); rank: from 1 to min(m, n, r).
        weights: of the errors, as in `weighted_factors`.

    Returns:
        New A (m, rank) and B (n, rank), as in `weighted_factors`.

    Raises:
        ValueError: the factors do not match or ``rank`` is out of range.
    """
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1]:
        raise ValueError(f"factors {tuple(a.shape)} and {tuple(b.shape)} do not make a product")
    most = min(a.shape[0], b.shape[0], a.shape[1])
    if not 1 <= rank <= most:
        raise ValueError(f"rank {rank} is outside 1..{most}")
    wide = torch.promote_types(a.dtype, torch.float32)
    weighted_a, weighted_b = weights.applied(a.detach().to(wide), b.detach().to(wide))
    qa, ra = torch.linalg.qr(weighted_a)
    qb, rb = torch.linalg.qr(weighted_b)
    u, s, vh = torch.linalg.svd(ra @ rb.T, full_matrices=False)
    root = s[:rank].sqrt()
    new_a, new_b = weights.undone(qa @ (u[:, :rank] * root), qb @ (vh[:rank].T * root))
    return new_a.to(a.dtype).contiguous(), new_b.to(b.dtype).contiguous()
