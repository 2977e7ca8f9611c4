"""Scores -> bool masks. True means kept."""

from collections.abc import Sequence

import torch
from torch import Tensor

CHUNK = 2**18
"""Entries that are looked at at a time, so that they stay in a processor's cache."""

SAMPLE = 2**16
"""Entries that tell about where a threshold lies."""


def largest(scores: Tensor, keep: int) -> Tensor:
    """Mask of exactly the ``keep`` largest entries of ``scores`` (LadaBERT section 3.3).

    Of equal entries the first ones are kept.

    Args:
        scores: any shape, real; higher means more worth keeping.
        keep: how many entries are True, from 0 to ``scores.numel()``.

    Returns:
        Bool tensor of the shape of ``scores``.

    Raises:
        ValueError: ``keep`` is out of range.
    """
    total = scores.numel()
    if not 0 <= keep <= total:
        raise ValueError(f"cannot keep {keep} of {total} entries")
    if keep == total:
        return torch.ones_like(scores, dtype=torch.bool)
    if not keep:
        return torch.zeros_like(scores, dtype=torch.bool)
    flat = scores.detach().reshape(-1)
    least = _kth_largest(flat, keep)
    mask = torch.empty_like(flat, dtype=torch.bool)
    missing = keep
    for part, out in zip(flat.split(CHUNK), mask.split(CHUNK), strict=True):
        missing -= int(torch.count_nonzero(torch.gt(part, least, out=out)))
    for part, out in zip(flat.split(CHUNK), mask.split(CHUNK), strict=True):
        if not missing:
            break
        ties = (part == least).nonzero()[:missing, 0]
        out[ties] = True
        missing -= len(ties)
    return mask.view(scores.shape)


def _kth_largest(flat: Tensor, k: int) -> Tensor:
    """The k-th largest entry of a vector, exactly, as a scalar on its device."""
    total = len(flat)
    if total > 16 * SAMPLE:
        # A sample tells between which two values it lies; only entries between them are looked at
        # further. That is many times faster than a selection among all.
        generator = torch.Generator(flat.device).manual_seed(0)
        places = torch.randint(total, (SAMPLE,), generator=generator, device=flat.device)
        sample = flat[places].sort(descending=True).values
        place, slack = k * SAMPLE // total, 2 * int(SAMPLE**0.5)  # four standard deviations
        high = sample[max(0, place - slack)] if place > slack else flat.max()
        low = sample[place + slack] if place + slack < SAMPLE else flat.min()
        parts = flat.split(CHUNK)
        left = k - sum(int(torch.count_nonzero(part > high)) for part in parts)
        near = torch.cat([part[(part <= high) & (part >= low)] for part in parts])
        if 0 < left <= len(near):
            return torch.kthvalue(near, len(near) - left + 1).values
    return torch.kthvalue(flat, total - k + 1).values


def largest_overall(scores: Sequence[Tensor], keep: int) -> list[Tensor]:
    """One threshold over all the tensors: masks of the ``keep`` largest entries among them all.

    Raises:
        ValueError: ``keep`` is out of range or there are no tensors.
    """
    if not scores:
        raise ValueError("no tensors to choose from")
    mask = largest(torch.cat([s.reshape(-1) for s in scores]), keep)
    parts = mask.split([s.numel() for s in scores])
    return [part.view(s.shape) for part, s in zip(parts, scores, strict=True)]
