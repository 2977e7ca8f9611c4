"""From scores to bool masks, in which True means not pruned."""

from collections.abc import Sequence

import torch
from torch import Tensor

CHUNK = 2**18
"""Entries processed at a time, so that they stay in the processor's cache."""

SAMPLE = 2**18
"""Largest sample for the estimate of a threshold; at most one entry in 32 is sampled."""


def largest(scores: Tensor, keep: int) -> Tensor:
    """Mask of exactly the ``keep`` largest entries of ``scores`` (LadaBERT section 3.3).

    Of equal entries the first ones are taken.

    Args:
        scores: any shape, real; entries with higher scores are kept.
        keep: how many entries are True, from 0 to ``scores.numel()``.

    Returns:
        Bool tensor of the shape of ``scores``.

    Raises:
        ValueError: ``keep`` is out of range, or a score is NaN.
    """
    total = scores.numel()
    if not 0 <= keep <= total:
        raise ValueError(f"cannot keep {keep} of {total} entries")
    # The maximum is NaN if any entry is, and takes a fiftieth of the time of what follows.
    if total and bool(scores.detach().amax().isnan()):
        raise ValueError("a score is NaN")
    if keep == total:
        return torch.ones_like(scores, dtype=torch.bool)
    if not keep:
        return torch.zeros_like(scores, dtype=torch.bool)
    flat = scores.detach().reshape(-1)
    low, high = _bounds(flat, keep)
    # Entries above `high` are kept, those below `low` are not; only those between, a few percent,
    # are compared further. That is many times faster than selecting among all.
    mask = torch.empty_like(flat, dtype=torch.bool)
    missing = keep
    near, places, start = [], [], 0
    for part, out in zip(flat.split(CHUNK), mask.split(CHUNK), strict=True):
        missing -= int(torch.count_nonzero(torch.gt(part, high, out=out)))
        between = _where(torch.ge(part, low).logical_xor_(out))
        near.append(part[between])
        places.append(between + start)
        start += len(part)
    scored, place = torch.cat(near), torch.cat(places)
    if not 0 < missing <= len(scored):  # the sample was misleading
        scored, place, missing = flat, torch.arange(total, device=flat.device), keep
        mask.zero_()
    least = torch.kthvalue(scored, len(scored) - missing + 1).values
    above = scored > least
    mask[place[above]] = True
    mask[place[scored == least][: missing - int(torch.count_nonzero(above))]] = True
    return mask.view(scores.shape)


def _bounds(flat: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Two entries between which the k-th largest very probably is, estimated from a sample."""
    total = len(flat)
    size = min(SAMPLE, total // 32)
    generator = torch.Generator(flat.device).manual_seed(0)
    chosen = torch.randint(total, (size,), generator=generator, device=flat.device)
    sample = flat[chosen].sort(descending=True).values
    place, slack = k * size // total, 2 * int(size**0.5)  # four standard deviations
    high = sample[place - slack] if place > slack else flat.max()
    low = sample[place + slack] if place + slack < size else flat.min()
    return low, high


def _where(mask: Tensor) -> Tensor:
    """Indices of the true entries of a vector with few of them, in order.

    Eight entries are tested at a time, since torch's ``nonzero`` is slow on a CPU.
    """
    whole = len(mask) // 8 * 8
    words = mask[:whole].view(torch.int64).nonzero()
    places = (words * 8 + torch.arange(8, device=mask.device)).view(-1)
    return torch.cat([places[mask[places]], mask[whole:].nonzero()[:, 0] + whole])


def largest_overall(scores: Sequence[Tensor], keep: int) -> list[Tensor]:
    """Masks of the ``keep`` largest entries of all tensors, by a common threshold.

    Raises:
        ValueError: ``keep`` is out of range, a score is NaN, or there are no tensors.
    """
    if not scores:
        raise ValueError("no tensors to choose from")
    mask = largest(torch.cat([s.reshape(-1) for s in scores]), keep)
    parts = mask.split([s.numel() for s in scores])
    return [part.view(s.shape) for part, s in zip(parts, scores, strict=True)]
