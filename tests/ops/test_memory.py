"""Scores with a memory, against written-out loops over steps and entries."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from lada.ops.memory import MEMORIES, Memory

STEPS = 12


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def after(memory: Memory, products: list[Tensor]) -> tuple[Tensor, ...]:
    state = tuple(torch.zeros_like(products[0]) for _ in memory.parts)
    for product in products:
        state = memory.step(state, product)
    return state


def written_out(name: str, products: list[float]) -> float:
    """The score of one entry."""
    if name == "movement":
        return -sum(products)
    if name == "grain":
        ages = range(len(products) - 1, -1, -1)
        return sum(0.002 * 0.998**age * abs(p) for age, p in zip(ages, products, strict=True))
    importance = uncertainty = 0.0
    for product in products:
        importance = 0.85 * importance + 0.15 * abs(product)
        uncertainty = 0.95 * uncertainty + 0.05 * abs(abs(product) - importance)
    return importance * uncertainty


@pytest.mark.parametrize("name", list(MEMORIES))
def test_each_entry_by_a_loop(name: str) -> None:
    products = [draw(3, 4, seed=seed) * (10.0 if seed == 5 else 0.1) for seed in range(STEPS)]
    state = after(MEMORIES[name], products)
    found = MEMORIES[name].score(state)
    for row in range(3):
        for column in range(4):
            wanted = written_out(name, [float(p[row, column]) for p in products])
            assert float(found[row, column]) == pytest.approx(wanted, rel=1e-4)


def test_what_scores_high() -> None:
    """Entries that steps against the gradient move away from zero; that matter, if at times."""
    away, back, still = torch.tensor([[-1.0]]), torch.tensor([[1.0]]), torch.tensor([[0.0]])
    moved = [float(after(MEMORIES["movement"], [p] * 5)[0]) for p in (away, still, back)]
    assert moved == [5.0, 0.0, -5.0]
    platon = MEMORIES["platon"]
    steady = after(platon, [torch.tensor([[1.0]])] * STEPS)
    uneven = after(platon, [torch.tensor([[2.0 * (k % 2)]]) for k in range(STEPS)])
    assert float(platon.score(uneven)) > float(platon.score(steady)) > 0
    assert float(platon.score(after(platon, [still] * STEPS))) == 0


@pytest.mark.parametrize("name", list(MEMORIES))
@given(seed=st.integers(0, 100))
def test_scaled_factors_of_the_same_product(name: str, seed: int) -> None:
    """A D and B D^-1 have the scores of A and B, at each step of the same way."""
    scale = torch.exp(draw(3, seed=seed))
    plain, scaled = ([[], []] for _ in range(2))
    for step in range(4):
        a, b, x, y = (
            draw(*shape, seed=10 * seed + step + 1000 * k)
            for k, shape in enumerate([(6, 3), (5, 3), (7, 5), (7, 6)])
        )
        for products, pair in ((plain, (a, b)), (scaled, (a * scale, b / scale))):
            p, q = (factor.clone().requires_grad_() for factor in pair)
            (x @ q @ p.T - y).square().mean().backward()
            for kept, factor in zip(products, (p, q), strict=True):
                kept.append((factor * factor.grad).detach())
    memory = MEMORIES[name]
    for before, other in zip(plain, scaled, strict=True):
        wanted, found = (memory.score(after(memory, way)) for way in (before, other))
        assert wanted.abs().max() > 0
        torch.testing.assert_close(found, wanted, rtol=1e-3, atol=1e-4 * float(wanted.abs().max()))
