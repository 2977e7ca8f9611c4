"""A teacher's outputs mixed with what another model says of the same examples.

Pure functions of tensors. Where the other model says nothing (NaN), the teacher's outputs stay as
they are, to the last bit.
"""

import torch
from torch import Tensor

LEAST = 1e-6
"""The smallest probability of a mixture: logits are finite."""


def mixed_logits(teacher: Tensor, given: Tensor, weight: float) -> Tensor:
    """Logits whose softmax is ``(1 - weight) softmax(teacher) + weight given``.

    Their level is the teacher's: with ``weight=0`` they are its logits, up to rounding.

    Args:
        teacher: logits, (batch, classes).
        given: probabilities that sum to 1, or NaN, (batch, classes).
        weight: of ``given``, in [0, 1].

    Example:
        >>> found = mixed_logits(torch.zeros(1, 2), torch.tensor([[1.0, 0.0]]), 0.5)
        >>> [round(p, 6) for p in found.softmax(-1)[0].tolist()]
        [0.75, 0.25]
    """
    logits = teacher.float()
    mixed = torch.lerp(logits.softmax(-1), given.nan_to_num(), weight).clamp_min(LEAST)
    mixed = mixed.log() + logits.logsumexp(-1, keepdim=True)
    return torch.where(given.isnan(), logits, mixed)


def mixed_sigmoids(teacher: Tensor, given: Tensor, weight: float) -> Tensor:
    """Logits whose sigmoid is ``(1 - weight) sigmoid(teacher) + weight given``, elementwise.

    Example:
        >>> found = mixed_sigmoids(torch.zeros(1, 2), torch.tensor([[1.0, 0.0]]), 0.5)
        >>> [round(p, 6) for p in found.sigmoid()[0].tolist()]
        [0.75, 0.25]
    """
    logits = teacher.float()
    mixed = torch.lerp(logits.sigmoid(), given.nan_to_num(), weight)
    return torch.where(given.isnan(), logits, mixed.logit(eps=LEAST))


def mixed_numbers(teacher: Tensor, given: Tensor, weight: float) -> Tensor:
    """``(1 - weight) teacher + weight given``, elementwise.

    Example:
        >>> mixed_numbers(torch.tensor([[1.0]]), torch.tensor([[3.0]]), 0.25).tolist()
        [[1.5]]
    """
    numbers = teacher.float()
    return torch.where(given.isnan(), numbers, torch.lerp(numbers, given.nan_to_num(), weight))
