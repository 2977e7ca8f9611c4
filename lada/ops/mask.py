"""Scores -> bool masks. True means kept."""

from collections.abc import Sequence

import torch
from torch import Tensor


def largest(scores: Tensor, keep: int) -> Tensor:
    """Mask of exactly the ``keep`` largest entries of ``scores`` (LadaBERT section 3.3).

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
    mask = torch.zeros(total, dtype=torch.bool, device=scores.device)
    # topk over the smaller side: at low density the kept entries, at high density the dropped ones.
    flat = scores.reshape(-1)
    if 2 * keep <= total:
        mask[torch.topk(flat, keep, sorted=False).indices] = True
    else:
        mask[torch.topk(flat, total - keep, largest=False, sorted=False).indices] = True
        mask.logical_not_()
    return mask.view(scores.shape)


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
