"""Few bits per value, against scales tried one by one."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from lada.methods.settings import FEW_BITS
from lada.ops import bits
from lada.ops.bits import (
    GROUP,
    LARGEST,
    SHRINKAGES,
    dequantize,
    group_of,
    quantize,
    straight_through,
)


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def reference(values: np.ndarray, kind: str) -> np.ndarray:
    """One group of nonzero values, written out; scales are not rounded."""
    if kind == "int1":
        return np.where(values < 0, -1, 1) * np.abs(values).mean()
    most, tried = LARGEST[kind], []
    for shrinkage in SHRINKAGES[kind]:
        scale = shrinkage * np.abs(values).max() / most
        tried.append(scale * np.clip(np.rint(values / scale), -most, most))
    return min(tried, key=lambda found: ((found - values) ** 2).sum())


@pytest.mark.parametrize("kind", list(LARGEST))
@pytest.mark.parametrize("axis", [0, 1])
def test_every_group_has_the_best_scale(kind: str, axis: int) -> None:
    weight = draw(150, 130)
    found = dequantize(quantize(weight, kind, axis), axis).numpy()
    lines = weight.numpy() if axis == 0 else weight.numpy().T
    ours = found if axis == 0 else found.T
    for line, here in zip(lines[:20], ours[:20], strict=True):
        for start in range(0, len(line), GROUP):
            expected = reference(line[start : start + GROUP], kind)
            # A scale that is rounded to 11 bits may turn a value that lies between two numbers.
            near = np.isclose(here[start : start + GROUP], expected, rtol=1e-3)
            assert near.mean() > 0.97, (kind, axis, start)


@pytest.mark.parametrize("kind", list(LARGEST))
@given(
    shape=st.tuples(st.integers(1, 70), st.integers(1, 70)),
    seed=st.integers(0, 99),
    axis=st.integers(0, 1),
    spread=st.sampled_from([0.0, 4.0]),
    density=st.sampled_from([0.0, 0.3, 1.0]),
)
def test_a_quantized_matrix_is_quantized_to_itself(
    kind: str, shape: tuple[int, int], seed: int, axis: int, spread: float, density: float
) -> None:
    mask = torch.rand(shape, generator=torch.Generator().manual_seed(seed)) < density
    weight = draw(*shape, seed=seed) * torch.exp(spread * draw(*shape, seed=seed + 1)) * mask
    group = group_of(mask)
    once = straight_through(weight, kind, axis, mask, group)
    assert not once[~mask].any()
    assert torch.equal(straight_through(once, kind, axis, mask, group), once)
    found = quantize(weight, kind, axis, mask)
    assert int(found.numbers.abs().max()) <= LARGEST[kind]
    assert found.group == group
    assert found.scales.shape == (shape[axis], -(-shape[1 - axis] // group))
    units = torch.ldexp(found.scales, -found.exponent)
    assert torch.equal(units, units.half().float()) and bool((units >= 0).all())


@pytest.mark.parametrize("kind", list(LARGEST))
def test_gradients_go_straight_through(kind: str) -> None:
    weight = draw(5, 80).requires_grad_()
    straight_through(weight, kind, 0).square().sum().backward()
    expected = 2 * dequantize(quantize(weight, kind, 0), 0)
    assert weight.grad is not None
    torch.testing.assert_close(weight.grad, expected)


@pytest.mark.parametrize("kind", list(LARGEST))
def test_mixed_precision_chooses_the_same(kind: str) -> None:
    weight = draw(70, 200)
    with torch.autocast("cpu", torch.bfloat16):
        found = straight_through(weight, kind, 1)
    assert torch.equal(found, dequantize(quantize(weight, kind, 1), 1))


def test_more_bits_are_nearer() -> None:
    weight = draw(256, 256)
    errors = [
        float((dequantize(quantize(weight, kind, 0), 0) - weight).square().mean())
        for kind in LARGEST
    ]
    assert errors == sorted(errors)
    # Of normal values; the least that any scale reaches is 1 - 2 / pi with one bit.
    assert errors[-1] == pytest.approx(1 - 2 / np.pi, rel=0.03)
    assert errors[0] < 0.02


@pytest.mark.parametrize("kind", list(LARGEST))
@pytest.mark.parametrize("axis", [0, 1])
def test_a_matrix_in_blocks_is_the_same(
    kind: str, axis: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    weight, mask = draw(300, 150), draw(300, 150, seed=1) > 0
    before, group = weight.clone(), group_of(mask)
    at_once = quantize(weight, kind, axis, mask)
    passed = straight_through(weight, kind, axis, mask, group)
    monkeypatch.setattr(bits, "BLOCK", 1000)
    in_blocks = quantize(weight, kind, axis, mask)
    assert torch.equal(at_once.numbers, in_blocks.numbers)
    assert torch.equal(at_once.scales, in_blocks.scales)
    assert torch.equal(straight_through(weight, kind, axis, mask, group), passed)
    assert torch.equal(weight, before)


def test_zeros() -> None:
    for kind in LARGEST:
        assert not dequantize(quantize(torch.zeros(3, 70), kind, 0), 0).any()


def test_settings_name_them() -> None:
    assert tuple(LARGEST) == FEW_BITS
