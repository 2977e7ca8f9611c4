"""The distillation terms of LadaBERT (arXiv 2004.04124, section 3.4) and TinyBERT (1909.10351).

Each is a mean over real elements: padding neither counts in the sum nor in the divisor. Masked
positions are removed before the difference is taken, since masked attention scores are near the
lowest finite number. All are computed in float32 or wider.

Where a batch is cut into parts (several processes, gradient accumulation), give each part the
``count`` of the whole: the sum over the parts is then the mean over the whole batch, however
unequal the parts. A mean of the parts' own means is not.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def _wide(x: Tensor) -> Tensor:
    return x.to(torch.promote_types(x.dtype, torch.float32))


def hidden_mse(
    student: Tensor, teacher: Tensor, mask: Tensor, count: Tensor | None = None
) -> Tensor:
    """Mean squared error of hidden states (also of the embedding output) over real tokens.

    Args:
        student, teacher: (batch, length, width).
        mask: (batch, length), nonzero where a token is real.
        count: scalar, real tokens of the batch that this is a part of; None: those of ``mask``.

    Returns:
        Scalar: the sum over real tokens and all channels, divided by their number.

    Raises:
        ValueError: shapes differ.
    """
    if student.shape != teacher.shape:
        raise ValueError(f"hidden states {tuple(student.shape)} and {tuple(teacher.shape)} differ")
    real = mask.bool().unsqueeze(-1)
    diff = (_wide(student) - _wide(teacher)).masked_fill(~real, 0.0)
    return diff.square().sum() / ((real.sum() if count is None else count) * student.shape[-1])


def attention_mse(
    student: Tensor, teacher: Tensor, mask: Tensor, count: Tensor | None = None
) -> Tensor:
    """Mean squared error of attention scores (or probabilities) over real (query, key) pairs.

    Args:
        student, teacher: (batch, heads, length, length).
        mask: (batch, length), nonzero where a token is real.
        count: scalar, real pairs of the batch that this is a part of; None: those of ``mask``.

    Returns:
        Scalar: the sum over heads and real pairs, divided by their number.

    Raises:
        ValueError: shapes differ.
    """
    if student.shape != teacher.shape:
        raise ValueError(f"attention {tuple(student.shape)} and {tuple(teacher.shape)} differ")
    real = mask.bool()
    pairs = (real.unsqueeze(1) & real.unsqueeze(2)).unsqueeze(1)
    diff = (_wide(student) - _wide(teacher)).masked_fill(~pairs, 0.0)
    return diff.square().sum() / ((pairs.sum() if count is None else count) * student.shape[1])


def soft_cross_entropy(
    student: Tensor, teacher: Tensor, temperature: float = 1.0, count: Tensor | None = None
) -> Tensor:
    """Soft cross-entropy of the predictions, LadaBERT Eq. 9, mean over the batch.

    ``-softmax(z_t) . log softmax(z_s / t)``: as printed, only the student's logits are divided by
    the temperature.

    Args:
        student, teacher: logits (batch, classes).
        temperature: t > 0.
        count: scalar, rows of the batch that this is a part of; None: those of ``student``.

    Raises:
        ValueError: shapes differ or the temperature is not positive.
    """
    if student.shape != teacher.shape:
        raise ValueError(f"logits {tuple(student.shape)} and {tuple(teacher.shape)} differ")
    if not temperature > 0.0:
        raise ValueError(f"temperature {temperature} is not positive")
    target = F.softmax(_wide(teacher), dim=-1)
    total = -(target * F.log_softmax(_wide(student) / temperature, dim=-1)).sum()
    return total / (len(student) if count is None else count)
