"""Narrower states, heads and units, against the least errors that there can be."""

import itertools

import numpy as np
import pytest
import torch
from torch import Tensor

from lada.ops.narrow import (
    largest_units,
    narrow_norm,
    narrow_scores,
    narrow_values,
    principal_directions,
)


def _random(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _second(size: int, seed: int) -> Tensor:
    x = _random(5 * size, size, seed=seed) * torch.arange(1, size + 1)
    return x.T @ x / len(x)


def _root(second: Tensor) -> Tensor:
    """The symmetric root of second moments."""
    values, vectors = torch.linalg.eigh(second)
    return vectors @ torch.diag(values.sqrt()) @ vectors.T


def test_directions_keep_the_most_of_all_places() -> None:
    """Each place in units of its own energy."""
    seconds = [_second(6, 0), 1000 * _second(6, 1)]
    v, kept = principal_directions(seconds, 2)
    torch.testing.assert_close(v.T @ v, torch.eye(2, dtype=torch.float64))
    total = sum((s / s.trace()).numpy() for s in seconds) / 2
    values = np.linalg.eigvalsh(total)
    assert kept == pytest.approx(values[-2:].sum())
    shares = [float((v.T @ s @ v).trace() / s.trace()) for s in seconds]
    assert kept == pytest.approx(np.mean(shares))
    again, _ = principal_directions(seconds, 6)
    torch.testing.assert_close(again[:, :2], v)
    for width in (0, 7):
        with pytest.raises(ValueError, match=f"{width} directions of 6"):
            principal_directions(seconds, width)


@pytest.mark.parametrize("size", [1, 3, 5])
def test_scores_change_as_little_as_possible(size: int) -> None:
    """``E (q^T D k)^2 = tr(C_q D C_k D^T)``; its least is the tail of an SVD."""
    c_q, c_k = _second(5, 2), _second(5, 3)
    t_q, t_k = narrow_scores(c_q, c_k, size)
    assert t_q.shape == t_k.shape == (size, 5)
    d = torch.eye(5, dtype=torch.float64) - t_q.T @ t_k
    error = float((c_q @ d @ c_k @ d.T).trace())
    tail = torch.linalg.svdvals(_root(c_q) @ _root(c_k))[size:].square().sum()
    assert error == pytest.approx(float(tail), rel=1e-3, abs=1e-5 * float((c_q @ c_k).trace()))


@pytest.mark.parametrize("outputs", [2, 8])
@pytest.mark.parametrize("size", [1, 3, 5])
def test_values_change_as_little_as_possible(size: int, outputs: int) -> None:
    weight, second = _random(outputs, 5, seed=4), _second(5, 5)
    back, there = narrow_values(weight, second, size)
    assert (back.shape, there.shape) == ((outputs, size), (size, 5))
    lost = weight - back @ there
    error = float((lost @ second @ lost.T).trace())
    tail = torch.linalg.svdvals(weight @ _root(second))[size:].square().sum()
    whole = float((weight @ second @ weight.T).trace())
    assert error == pytest.approx(float(tail), rel=1e-3, abs=1e-5 * whole)


def test_units_are_those_that_add_most() -> None:
    sizes, output = _random(6, seed=6).abs(), _random(3, 6, seed=7)
    added = [float(sizes[i] * output[:, i].norm()) for i in range(6)]
    best = max(itertools.combinations(range(6), 3), key=lambda units: sum(added[i] for i in units))
    assert largest_units(sizes, output, 3).tolist() == list(best)


def test_a_norm_of_one_weight_is_projected_exactly() -> None:
    """``V^T (w z)`` for states that lie in the directions; z has a mean of zero."""
    rotation = torch.linalg.qr(_random(8, 8, seed=8)).Q
    v = rotation[:, :4]
    x = _random(100, 4, seed=9) @ v.T
    z = x / x.square().mean(1, keepdim=True).sqrt()
    weight = narrow_norm(torch.full((8,), 0.7), v, 1.0)
    narrow = x @ v
    ours = weight * narrow / narrow.square().mean(1, keepdim=True).sqrt()
    torch.testing.assert_close(ours, 0.7 * z @ v)
