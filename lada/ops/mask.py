"""Scores -> bool masks. True means kept."""

from collections.abc import Sequence

import torch
from torch import Tensor

CHUNK = 2**18
"""Entries that are looked at at a time, so that they stay in a processor's cache."""

SAMPLE = 2**18
"""Entries, at most, that tell about where a threshold lies; one in 32 of fewer."""


def largest(scores: Tensor, keep: int) -> Tensor:
    """Mask of exactly the ``keep`` largest entries of ``scores`` (LadaBERT section 3.3).

    Of equal entries the first ones are kept.

    Args:
        scores: any shape, real; higher means more worth keeping.
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
    # Above `high` is kept, below `low` is not; only what lies between, a few in a hundred, is
    # looked at further. That is many times faster than a selection among all.
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
    if not 0 < missing <= len(scored):  # the sample misled
        scored, place, missing = flat, torch.arange(total, device=flat.device), keep
        mask.zero_()
    least = torch.kthvalue(scored, len(scored) - missing + 1).values
    above = scored > least
    mask[place[above]] = True
    mask[place[scored == least][: missing - int(torch.count_nonzero(above))]] = True
    return mask.view(scores.shape)


def _bounds(flat: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Two entries between which the k-th largest very probably lies, by a sample."""
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
    """Places of the true entries of a vector, in order, where few are.

    Looked for eight at a time, since torch's ``nonzero`` is slow on a CPU.
    """
    whole = len(mask) // 8 * 8
    words = mask[:whole].view(torch.int64).nonzero()
    places = (words * 8 + torch.arange(8, device=mask.device)).view(-1)
    return torch.cat([places[mask[places]], mask[whole:].nonzero()[:, 0] + whole])


def largest_overall(scores: Sequence[Tensor], keep: int) -> list[Tensor]:
    """One threshold over all the tensors: masks of the ``keep`` largest entries among them all.

    Raises:
        ValueError: ``keep`` is out of range, a score is NaN, or there are no tensors.
    """
    if not scores:
        raise ValueError("no tensors to choose from")
    mask = largest(torch.cat([s.reshape(-1) for s in scores]), keep)
    parts = mask.split([s.numel() for s in scores])
    return [part.view(s.shape) for part, s in zip(parts, scores, strict=True)]
