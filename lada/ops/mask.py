"""From scores to bool masks, in which True means not pruned: ``method.threshold``."""

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


def proportional_counts(scores: Sequence[Tensor], keep: int, least: Sequence[int]) -> list[int]:
    """How many entries each tensor keeps, so that its density is proportional to its mean score.

    The mean is of sigmoids, as in SMP (Jiang et al. 2022, arXiv 2210.06210, by the authors' code;
    the paper's text was not at hand). Two deviations: there scores are learned, here they are first
    divided by the root mean square of all of them, so that their unit does not matter; and there
    the layers' matrices of one place (all queries, ...) share a budget, here all tensors do.

    Args:
        scores: any shapes, real. An entry that is pruned already has -inf: it counts as a score of
            0, and none is kept again unless ``keep`` takes more than all others.
        keep: of all tensors together.
        least: what each tensor keeps at least, if it has so many entries to keep.

    Returns:
        Counts that sum to ``keep``.

    Raises:
        ValueError: ``keep`` is out of range, or a score is NaN.

    Example:
        >>> low, high = torch.zeros(10), torch.full((10,), 100.0)
        >>> proportional_counts([low, high], 9, [1, 1])
        [3, 6]
        >>> proportional_counts([low, high], 9, [4, 1])
        [4, 5]
    """
    if any(bool(part.isnan().any()) for part in scores):
        raise ValueError("a score is NaN")
    most = [int(part.isfinite().sum()) for part in scores]
    if sum(most) < keep:
        most = [part.numel() for part in scores]
    least = [min(pair) for pair in zip(least, most, strict=True)]
    # One tensor at a time: in float64 all of them would take a few times the model's memory.
    squares = sum(float(_known(part).square().sum()) for part in scores)
    unit = (squares / max(1, sum(most))) ** 0.5 or 1.0
    wanted = [float((_known(part) / unit).sigmoid().sum()) for part in scores]
    return apportioned(wanted, keep, least, most)


def apportioned(
    wanted: Sequence[float], keep: int, least: Sequence[int], most: Sequence[int]
) -> list[int]:
    """Counts in proportion to ``wanted`` within bounds, with the sum ``keep``.

    Args:
        wanted: positive.
        least, most: bounds of each count.

    Raises:
        ValueError: ``keep`` is out of range.

    Example:
        >>> apportioned([1.0, 9.0], 150, [1, 1], [100, 100])
        [50, 100]
    """
    if not sum(least) <= keep <= sum(most):
        raise ValueError(f"cannot keep {keep} entries: {sum(least)} to {sum(most)} are possible")
    counts = _within(wanted, keep, least, most)
    out = [int(count) for count in counts]
    below = [i for i in range(len(out)) if out[i] < most[i]]
    for i in sorted(below, key=lambda i: out[i] - counts[i])[: keep - sum(out)]:
        out[i] += 1  # the largest fractions are rounded up
    return out


def _known(scores: Tensor) -> Tensor:
    return scores.masked_fill(scores.isneginf(), 0.0).double()


def _within(
    wanted: Sequence[float], total: int, least: Sequence[int], most: Sequence[int]
) -> list[float]:
    """Numbers in proportion to ``wanted`` within bounds, with this sum."""
    factors = sorted({bound / w for bounds in (least, most)
                      for w, bound in zip(wanted, bounds, strict=True)})  # fmt: skip

    def at(factor: float) -> list[float]:
        return [min(max(factor * w, low), high)
                for w, low, high in zip(wanted, least, most, strict=True)]  # fmt: skip

    # Between two of these factors the sum is linear: none reaches a bound.
    low = max((f for f in factors if sum(at(f)) <= total), default=factors[0])
    high = min((f for f in factors if sum(at(f)) >= total), default=factors[-1])
    below, above = sum(at(low)), sum(at(high))
    share = (total - below) / (above - below) if above > below else 0.0
    return at(low + share * (high - low))
