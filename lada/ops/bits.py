"""Few bits per value: whole numbers of a few levels, with a scale for every group of values.

A matrix is cut along one axis: each index of it has groups of consecutive entries, and each group,
of about `GROUP` unpruned values (`group_of`), a scale. An entry is ``q * scale`` with a whole
number q of at most `LARGEST` in magnitude; with one bit q is 1 or -1, and the scale the mean
magnitude (XNOR-Net, Rastegari et al. 2016, arXiv 1603.05279, Eq. 6). In training the values are
quantized in every forward pass, and gradients go straight through (Bengio et al. 2013, arXiv
1308.3432).
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

LARGEST = {"int4": 7, "int3": 3, "int2": 1, "int1": 1}
"""The largest whole number of each type. ``int2`` has three values, ``int1`` two."""

SHRINKAGES = {
    "int4": (1.0, 0.9, 0.8),
    "int3": (1.0, 0.85, 0.7),
    "int2": (1.0, 0.6, 0.45),
}
"""What the largest magnitude of a group is multiplied by: the one with the least error is taken. 1
is among them, so that values that have been quantized are quantized to themselves."""

GROUP = 64
"""Unpruned values that share a scale, on average."""

LARGEST_GROUP = 65535
"""That a file can name."""

LEAST_STEP = 2.0**-14
"""The smallest scale, in units of the tensor's largest: fp16's smallest normal number."""


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
    group = group_of(mask)
    numbers, scales, exponent = _by_groups(weight.detach(), kind, axis, mask, group)
    whole = _ungrouped(numbers, axis, weight.shape).to(torch.int8)
    return Quantized(whole, scales, exponent, group)


def dequantize(found: Quantized, axis: int) -> Tensor:
    """The matrix (m, n) that the numbers and scales stand for, float32 and exact."""
    groups = _grouped(found.numbers.float(), axis, found.group) * found.scales[..., None]
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
        with torch.autocast(weight.device.type, enabled=False):  # as the file is written
            numbers, scales, _ = _by_groups(weight, kind, axis, mask, group)
        found = _ungrouped(numbers.mul_(scales[..., None]), axis, weight.shape)
        return (found if mask is None else found.mul_(mask)).to(weight.dtype)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None, None, None]:
        return grads[0], None, None, None, None


def _whole(groups: Tensor, scales: Tensor, most: int) -> Tensor:
    steps = torch.where(scales > 0, scales, 1.0)[..., None]
    return (groups / steps).round_().clamp_(-most, most)


def _by_groups(
    weight: Tensor, kind: str, axis: int, mask: Tensor | None, group: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Numbers (indices, groups, group), float32; scales (indices, groups) and their exponent."""
    groups = _grouped(weight.float(), axis, group)
    if kind == "int1":
        counted = torch.ones_like(weight) if mask is None else mask.to(weight.dtype)
        count = _grouped(counted.float(), axis, group).sum(-1).clamp_min(1)
        scales, exponent = _in_range(_to_11_bits(groups.abs().sum(-1) / count))
        numbers = torch.where(groups < 0, -1.0, 1.0)
    else:
        most = LARGEST[kind]
        scales, exponent = _in_range(_best_scales(groups.abs(), most, SHRINKAGES[kind]))
        numbers = _whole(groups, scales, most)
        used = numbers.abs().amax(-1) > 0
        scales = torch.where(used, scales, 0.0)  # as if quantized again
    return numbers, scales, exponent


def _best_scales(sizes: Tensor, most: int, shrinkages: tuple[float, ...]) -> Tensor:
    """The scale of each group, (indices, groups), with the least squared error.

    Args:
        sizes: magnitudes (indices, groups, group).
    """
    largest = sizes.amax(-1)
    best = least = torch.tensor(())
    whole = torch.empty_like(sizes)
    for shrinkage in shrinkages:
        tried = _to_11_bits(shrinkage * largest / most)
        inverse = torch.where(tried > 0, tried, 1.0).reciprocal_()[..., None]
        torch.mul(sizes, inverse, out=whole).round_().clamp_(max=most)
        # The squared error, but for that of zeros, which is the same for all scales.
        both, square = _dot(whole, sizes), _dot(whole, whole)
        error = tried * (tried * square - 2 * both)
        if shrinkage == 1.0:
            best, least = tried, error
        else:
            best = torch.where(error < least, tried, best)
            least = torch.minimum(error, least)
    return best


def _dot(a: Tensor, b: Tensor) -> Tensor:
    """The dot product of each group; of contiguous tensors."""
    length = a.shape[-1]
    return torch.bmm(a.view(-1, 1, length), b.view(-1, length, 1)).view(a.shape[:-1])


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
    """(m, n) -> (indices, groups, group), with zeros after the last value of an index."""
    lines = (matrix if axis == 0 else matrix.T).contiguous()
    count, length = lines.shape
    groups = -(-length // group)
    missing = groups * group - length
    padded = torch.nn.functional.pad(lines, (0, missing)) if missing else lines
    return padded.reshape(count, groups, group)


def _ungrouped(groups: Tensor, axis: int, shape: torch.Size) -> Tensor:
    """The contrary of `_grouped`."""
    lines = groups.reshape(len(groups), -1)[:, : shape[1 - axis]]
    return (lines if axis == 0 else lines.T).contiguous()
