"""Weights of a loss's terms that are in units of their gradients."""

import torch
from torch import Tensor

LARGEST = 100.0
"""A term that is nearly learned has a small gradient; it is raised by no more than this."""


def multipliers(norms: Tensor, reference: Tensor, before: Tensor) -> Tensor:
    """What each term is multiplied by, so that its gradient is as long as the reference.

    Args:
        norms: of the gradient of each term, (terms,), not negative.
        reference: norm of the gradient that they are measured by, ().
        before: the multipliers so far, (terms,).

    Returns:
        (terms,): ``reference / norms``, at most `LARGEST`; ``before``, where one of them is zero,
        NaN or infinite.

    Example:
        >>> norms = torch.tensor([91.0, 0.01, 0.0])
        >>> multipliers(norms, torch.tensor(4.55), torch.ones(3)).tolist()
        [0.05000000074505806, 100.0, 1.0]
    """
    known = torch.isfinite(norms) & (norms > 0) & torch.isfinite(reference) & (reference > 0)
    return torch.where(known, (reference / norms).clamp(max=LARGEST), before)
