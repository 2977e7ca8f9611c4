"""Few bits per value: whole numbers of a few levels, with a scale for every group of values.

A matrix is cut along one axis: each index of it has groups of consecutive entries, and each group,
of about `GROUP` unpruned values (`group_of`), a scale. An entry is ``q * scale`` with a whole
number q of at most `LARGEST` in magnitude; with one bit q is 1 or -1, and the scale the mean
magnitude (XNOR-Net, Rastegari et al. 2016, arXiv 1603.05279, Eq. 6). In training the values are
quantized in every forward pass, and gradients go straight through (Bengio et al. 2013, arXiv
1308.3432).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

LARGEST = {"int4": 7, "int3": 3, "int2": 1, "int1": 1}
"""The largest whole number of each type. ``int2`` has three values, ``int1`` two."""

SHRINKAGES = {
    "int4": (1.0, 0.9),
    "int3": (1.0, 0.75),
    "int2": (1.0, 0.45),
}
"""What the largest magnitude of a group is multiplied by: the one with the least error is taken. 1
is among them, so that values that have been quantized are quantized to themselves. Few, as
each costs time in every step.
"""

GROUP = 64
"""Unpruned values that share a scale, on average."""

LARGEST_GROUP = 65535
"""That a file can name."""

LEAST_STEP = 2.0**-14
"""The smallest scale, in units of the tensor's largest: fp16's smallest normal number."""


BLOCK = 1 << 17
"""Values that are quantized at once on a CPU: what fits into its cache."""


@dataclass(frozen=True)
class Quantized:
    """A matrix of few bits.

    Attributes:
        numbers: int8, (m, n).
        scales: float32, (indices, groups), each exact in fp16 after division by ``2^exponent``.
        exponent: of the scales, int32 ().
        group: entries that share a scale.
    """

    numbers: Tensor
    scales: Tensor
    exponent: Tensor
    group: int


def group_of(mask: Tensor | None) -> int:
    """How many entries of a matrix share a scale: the fewer remain, the more.

    Args:
        mask: True for unpruned entries; None: all are.

    Example:
        >>> group_of(None), group_of(torch.tensor([[True, False, False, True]]))
        (64, 128)
    """
    if mask is None:
        return GROUP
    return min(LARGEST_GROUP, round(GROUP * mask.numel() / max(1, int(mask.sum()))))


def quantize(weight: Tensor, kind: str, axis: int, mask: Tensor | None = None) -> Quantized:
    """The nearest matrix of few bits.

    Args:
        weight: (m, n), finite; pruned entries are zero.
        kind: one of `LARGEST`.
        axis: whose indices have groups of their own: 1 for columns.
        mask: True for entries that count; None: all. Of the others the numbers have no meaning.

    Example:
        >>> found = quantize(torch.tensor([[0.7, -0.2, 0.1]]), "int4", axis=0)
        >>> found.numbers.tolist(), found.scales[0, 0].item()
        ([[7, -2, 1]], 0.0999755859375)
    """
    group, weight = group_of(mask), weight.detach()
    scales, exponent = _scales(weight, kind, axis, mask, group)
    whole = torch.empty(weight.shape, dtype=torch.int8, device=weight.device)
    for rows, part in _blocks(weight, axis, group):
        numbers = _numbers(weight[rows], scales[part], kind, axis, group)
        scales[part] *= numbers.abs().amax(2 - axis) > 0  # as if quantized again
        whole[rows] = _ungrouped(numbers, axis, weight[rows].shape)
    return Quantized(whole, scales if axis == 0 else scales.T.contiguous(), exponent, group)


def dequantize(found: Quantized, axis: int) -> Tensor:
    """The matrix (m, n) that the numbers and scales stand for, float32 and exact."""
    scales = found.scales if axis == 0 else found.scales.T
    groups = _grouped(found.numbers.float(), axis, found.group) * _each(scales, axis)
    return _ungrouped(groups, axis, found.numbers.shape)


def straight_through(
    weight: Tensor, kind: str, axis: int, mask: Tensor | None = None, group: int = GROUP
) -> Tensor:
    """The nearest matrix of few bits, with the gradient of ``weight`` itself.

    Pruned entries stay zero.

    Args:
        group: `group_of` the mask, which takes time to count.
    """
    out: Tensor = _StraightThrough.apply(weight, kind, axis, mask, group)
    return out


class _StraightThrough(torch.autograd.Function):
    """`straight_through`. ``weight + (found - weight)`` would not be exact."""

    @staticmethod
    def forward(
        ctx: Any, weight: Tensor, kind: str, axis: int, mask: Tensor | None, group: int
    ) -> Tensor:
        out = torch.empty(weight.shape, dtype=weight.dtype, device=weight.device)
        with torch.autocast(weight.device.type, enabled=False):  # as the file is written
            scales, _ = _scales(weight, kind, axis, mask, group)
            for rows, part in _blocks(weight, axis, group):
                found = _numbers(weight[rows], scales[part], kind, axis, group)
                found.mul_(_each(scales[part], axis))
                out[rows] = _ungrouped(found, axis, weight[rows].shape)
                if mask is not None:
                    out[rows] *= mask[rows]
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None, None, None]:
        return grads[0], None, None, None, None


def _blocks(weight: Tensor, axis: int, group: int) -> Iterator[tuple[slice, slice]]:
    """Rows of a matrix that are quantized at once, and where their scales are."""
    rows, columns = weight.shape
    size = group if axis == 1 else 1
    step = rows if weight.device.type != "cpu" else size * max(1, BLOCK // max(1, columns * size))
    for start in range(0, rows, step):
        yield slice(start, start + step), slice(start // size, -(-(start + step) // size))


def _scales(
    weight: Tensor, kind: str, axis: int, mask: Tensor | None, group: int
) -> tuple[Tensor, Tensor]:
    """The scale of each group, as `_grouped` cuts them, and the exponent of all."""
    found = []
    for rows, _ in _blocks(weight, axis, group):
        sizes = _grouped(weight[rows].float(), axis, group).abs()
        if kind == "int1":
            part = torch.ones_like(weight[rows]) if mask is None else mask[rows]
            count = _grouped(part.float(), axis, group).sum(2 - axis).clamp_min(1)
            found.append(_to_11_bits(sizes.sum(2 - axis) / count))
        else:
            found.append(_best_scales(sizes, LARGEST[kind], SHRINKAGES[kind], axis))
    return _in_range(torch.cat(found))


def _numbers(weight: Tensor, scales: Tensor, kind: str, axis: int, group: int) -> Tensor:
    """The nearest whole numbers, as `_grouped` cuts them, float32."""
    groups = _grouped(weight.float(), axis, group)
    if kind == "int1":
        return torch.where(groups < 0, -1.0, 1.0)
    steps = torch.where(scales > 0, scales, 1.0)
    most = LARGEST[kind]
    return (groups / _each(steps, axis)).round_().clamp_(-most, most)


def _best_scales(sizes: Tensor, most: int, shrinkages: tuple[float, ...], axis: int) -> Tensor:
    """The scale of each group with the least squared error.

    Args:
        sizes: magnitudes, as `_grouped` cuts them.
    """
    largest = sizes.amax(2 - axis)
    tried = _to_11_bits(torch.stack([largest * (shrinkage / most) for shrinkage in shrinkages]))
    inverse = torch.where(tried > 0, tried, 1.0).reciprocal_()
    whole, product = torch.empty_like(sizes), torch.empty_like(sizes)
    best = least = torch.tensor(())
    for scale, factor in zip(tried, inverse, strict=True):
        torch.mul(sizes, _each(factor, axis), out=whole).round_().clamp_(max=most)
        # The squared error without the sum of squares, which is the same for all scales.
        both = torch.mul(whole, sizes, out=product).sum(2 - axis)
        error = scale * (scale * whole.square_().sum(2 - axis) - 2 * both)
        best = torch.where(error < least, scale, best) if len(best) else scale
        least = torch.minimum(error, least) if len(least) else error
    return best


def _to_11_bits(scales: Tensor) -> Tensor:
    """The nearest numbers of fp16's precision, at any magnitude."""
    mantissas, exponents = torch.frexp(scales)
    return torch.ldexp((mantissas * 2048).round_() / 2048, exponents)


def _in_range(scales: Tensor) -> tuple[Tensor, Tensor]:
    """Scales that fp16 holds after division by a common power of 2, and its exponent.

    Those that are too small for it become the least: groups of such small values matter little.
    """
    exponent = torch.frexp(scales.max()).exponent
    least = torch.ldexp(torch.tensor(LEAST_STEP, device=scales.device), exponent)
    return torch.where(scales > 0, torch.maximum(scales, least), 0.0), exponent


def _grouped(matrix: Tensor, axis: int, group: int) -> Tensor:
    """Cut a matrix (m, n) into groups, with zeros after the last value of an index.

    (m, groups, group) for axis 0, (groups, group, n) for axis 1: nothing is transposed.
    """
    rows, columns = matrix.shape
    length = columns if axis == 0 else rows
    groups = -(-length // group)
    if missing := groups * group - length:
        matrix = torch.nn.functional.pad(matrix, (0, missing) if axis == 0 else (0, 0, 0, missing))
    return matrix.reshape((rows, groups, group) if axis == 0 else (groups, group, columns))


def _each(values: Tensor, axis: int) -> Tensor:
    """A number for each group, (m, groups) or (groups, n), in a shape that `_grouped` meets."""
    return values.unsqueeze(2 - axis)


def _ungrouped(groups: Tensor, axis: int, shape: torch.Size) -> Tensor:
    """The contrary of `_grouped`."""
    rows, columns = shape
    if axis == 0:
        return groups.reshape(rows, -1)[:, :columns].contiguous()
    return groups.reshape(-1, columns)[:rows].contiguous()
