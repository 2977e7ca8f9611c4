"""A narrower model out of a wider one: directions of its states, of its heads, and units.

States h (n,) of the wide model become ``V^T h`` (k,) with orthonormal V (n, k). Pure functions of
tensors, computed in float64. None of this is in TinyBERT (arXiv 1909.10351), whose students start
from other weights; least squares by an SVD in the metric of second moments is that of SVD-LLM
(arXiv 2403.07378, section 3.1).
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from lada.ops.factorizers import DAMPING


def principal_directions(seconds: Sequence[Tensor], width: int) -> tuple[Tensor, float]:
    """The directions that lose least of states of several places, each in units of its own energy.

    They are the leading eigenvectors of the sum of the second moments over their traces: a
    principal component analysis without subtracting means.

    Args:
        seconds: mean ``h h^T`` of the states of each place, (n, n).
        width: k, from 1 to n.

    Returns:
        V (n, k), with orthonormal columns in falling order, of a sign by which the largest entry of
        each is positive; and the share of the energy that they keep, a mean over the places.

    Raises:
        ValueError: ``width`` is out of range, or there are no states.

    Example:
        >>> v, kept = principal_directions([torch.diag(torch.tensor([1.0, 3.0]))], 1)
        >>> v.tolist(), round(kept, 4)
        ([[0.0], [1.0]], 0.75)
    """
    if not seconds:
        raise ValueError("there are no states")
    n = len(seconds[0])
    if not 1 <= width <= n:
        raise ValueError(f"{width} directions of {n} are not possible")
    total = torch.stack([s.double() / s.double().trace() for s in seconds]).mean(0)
    v = torch.linalg.eigh(total).eigenvectors[:, -width:].flip(1)
    largest = v.gather(0, v.abs().argmax(0, keepdim=True))
    v = v * largest.sign()
    return v, float((v * (total @ v)).sum() / total.trace())


def _root(second: Tensor) -> Tensor:
    """Lower triangular L with ``L L^T`` the second moments, slightly damped."""
    second = second.double()
    mean = second.diagonal().mean()
    even = torch.eye(len(second), dtype=second.dtype, device=second.device)
    root: Tensor = torch.linalg.cholesky(second + (DAMPING * mean + 1e-30) * even)
    return root


def narrow_scores(query: Tensor, key: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Maps of a head's queries and keys to fewer channels that keep their products best.

    Of all maps it is the pair with the least mean of ``(q . k - (T_q q) . (T_k k))^2`` over
    independent queries and keys with these second moments: with ``L L^T`` the moments, the SVD of
    ``L_q^T L_k``, cut at ``size``, with the roots of its values on both sides.

    Args:
        query, key: mean ``q q^T`` and ``k k^T``, (d, d).
        size: from 1 to d.

    Returns:
        T_q and T_k, (size, d).

    Example:
        >>> even = torch.eye(2)
        >>> t_q, t_k = narrow_scores(even, even * torch.tensor([1.0, 4.0]), 2)
        >>> (t_q.T @ t_k).round(decimals=3).tolist()
        [[1.0, 0.0], [0.0, 1.0]]
    """
    l_q, l_k = _root(query), _root(key)
    u, s, vh = torch.linalg.svd(l_q.T @ l_k)
    root = s[:size].sqrt()[:, None]
    t_q = torch.linalg.solve_triangular(l_q.T, u[:, :size], upper=True).T * root
    t_k = torch.linalg.solve_triangular(l_k.T, vh[:size].T, upper=True).T * root
    return t_q, t_k


def narrow_values(output: Tensor, value: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Maps of a head's values to fewer channels and back that keep its output best.

    It is the pair with the least mean of ``|W (v - T_o T_v v)|^2`` over values with these second
    moments.

    Args:
        output: W, what the layer multiplies the head's values by, (n, d).
        value: mean ``v v^T``, (d, d).
        size: from 1 to d.

    Returns:
        ``W T_o`` (n, size) and T_v (size, d).
    """
    l_v = _root(value)
    u, s, vh = torch.linalg.svd(output.double() @ l_v, full_matrices=False)
    rank = min(size, len(s))  # fewer outputs than channels: the others are zero
    root = s[:rank].sqrt()
    back = output.new_zeros(len(output), size, dtype=torch.float64)
    there = output.new_zeros(size, len(l_v), dtype=torch.float64)
    back[:, :rank] = u[:, :rank] * root
    there[:rank] = torch.linalg.solve_triangular(l_v.T, vh[:rank].T, upper=True).T * root[:, None]
    return back, there


def largest_units(sizes: Tensor, output: Tensor, count: int) -> Tensor:
    """The units that add most to a layer's output.

    Args:
        sizes: of each unit's value, such as their root mean square, (units,).
        output: what they are multiplied by, (n, units).

    Returns:
        Their numbers, ascending, (count,) int64; of equal units the first.

    Example:
        >>> sizes, output = torch.tensor([1.0, 5.0, 2.0]), torch.tensor([[3.0, 0.1, 2.0]])
        >>> largest_units(sizes, output, 2).tolist()
        [0, 2]
    """
    added = sizes.double() * output.double().norm(dim=0)
    chosen: Tensor = added.argsort(descending=True, stable=True)[:count].sort().values
    return chosen


def narrow_norm(weight: Tensor, directions: Tensor, kept: float) -> Tensor:
    """The weight of a LayerNorm of narrow states, (k,), from that of the wide ones, (n,).

    The wide norm gives ``diag(weight) z`` with z of unit variance. Of it ``V^T`` is taken, and the
    narrow norm has ``V^T z`` over its root mean square, ``sqrt(kept n / k)``; the channels of
    ``V^T diag(weight) z`` that belong to the same channel of ``V^T z`` remain.

    Args:
        directions: V, (n, k).
        kept: the share of the energy that they keep.
    """
    n, k = directions.shape
    found: Tensor = directions.double().square().T @ weight.double() * (kept * n / k) ** 0.5
    return found
