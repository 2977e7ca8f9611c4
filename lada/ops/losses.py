"""The terms of a student's loss: LadaBERT (arXiv 2004.04124, section 3.4), TinyBERT (1909.10351),
Hinton et al. (1503.02531), PKD (1908.09355), Tang et al. (1903.12136), and MiniLM (2002.10957).

Each is a mean over real elements: padding counts neither in the sum nor in the divisor. Masked
positions are removed before the difference is taken, since masked attention scores are near the
lowest finite number. All are computed in float32 or wider.

If a batch is cut into parts (several processes, gradient accumulation), give each part the
``count`` of the whole batch: the sum over the parts is then the mean over the batch, however
unequal the parts. The mean of the parts' own means is not.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def _wide(x: Tensor) -> Tensor:
    return x.to(torch.promote_types(x.dtype, torch.float32))


def _log_softmax(logits: Tensor, mask: Tensor | None) -> Tensor:
    """Over the classes that ``mask`` has; 0 for others, so that they add nothing to a sum."""
    if mask is None:
        return F.log_softmax(_wide(logits), dim=-1)
    none = ~mask.bool()
    return F.log_softmax(_wide(logits).masked_fill(none, -torch.inf), -1).masked_fill(none, 0.0)


def _softmax(logits: Tensor, mask: Tensor | None) -> Tensor:
    """Over the classes that ``mask`` has; 0 for others."""
    wide = _wide(logits)
    return F.softmax(wide if mask is None else wide.masked_fill(~mask.bool(), -torch.inf), dim=-1)


def hidden_mse(
    student: Tensor,
    teacher: Tensor,
    mask: Tensor,
    count: Tensor | None = None,
    *,
    relative: bool = False,
) -> Tensor:
    """Mean squared error of hidden states (also of the embedding output) over real tokens.

    Args:
        student, teacher: (batch, length, width).
        mask: (batch, length), nonzero where a token is real.
        count: scalar, real tokens of the batch that this is a part of; None: those of ``mask``.
        relative: whether each token's error is divided by the mean square of the teacher's state,
            so that layers with larger states do not weigh more.

    Returns:
        Scalar: the sum over real tokens and all channels, divided by their number.

    Raises:
        ValueError: shapes differ.
    """
    if student.shape != teacher.shape:
        raise ValueError(f"hidden states {tuple(student.shape)} and {tuple(teacher.shape)} differ")
    real = mask.bool().unsqueeze(-1)
    diff = (_wide(student) - _wide(teacher)).masked_fill(~real, 0.0)
    if relative:
        # Of each token and not of the batch: parts of a batch then add up to the whole.
        size = _wide(teacher).square().mean(-1, keepdim=True).masked_fill(~real, 1.0)
        diff = diff * size.clamp_min(1e-12).rsqrt()
    return diff.square().sum() / ((real.sum() if count is None else count) * student.shape[-1])


def attention_mse(
    student: Tensor, teacher: Tensor, mask: Tensor, count: Tensor | None = None
) -> Tensor:
    """Mean squared error of attention scores (or probabilities) over real (query, key) pairs.

    TinyBERT's code takes the mean over all pairs of the padded length instead, with scores of
    masked keys as 0 on both sides. So at equal weights this is larger by about the padded length
    per length: 10 times on SST-2 (128 positions, 13 tokens), 3 times on MNLI.

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


def relation_divergence(
    student: Tensor, teacher: Tensor, mask: Tensor, count: Tensor | None = None
) -> Tensor:
    """Divergence of the student's value relations from the teacher's: MiniLM, arXiv 2002.10957.

    ``KL(softmax(V_t V_t^T / sqrt(d)) || softmax(V_s V_s^T / sqrt(d)))`` of each real token, over
    the real tokens, in each head: the mean over heads and real tokens. MiniLMv2 (2012.15828) has
    the same for pairs of queries and of keys, which are no terms here.

    Args:
        student, teacher: products of values before the softmax, (batch, heads, length, length).
        mask: (batch, length), nonzero where a token is real; each example has one at least.
        count: scalar, real tokens of the batch that this is a part of; None: those of ``mask``.

    Returns:
        Scalar: the sum over heads and real tokens, divided by their number.

    Raises:
        ValueError: shapes differ.
    """
    if student.shape != teacher.shape:
        raise ValueError(f"relations {tuple(student.shape)} and {tuple(teacher.shape)} differ")
    real = mask.bool()
    padding, keys = ~real[:, None, :, None], real[:, None, None, :]
    ours = _log_softmax(student.masked_fill(padding, 0.0), keys)
    theirs = _log_softmax(teacher.masked_fill(padding, 0.0), keys)
    # Of padding both are the same. Where there is no key both are 0, and so is their difference.
    total = (theirs.exp() * (theirs - ours)).sum()
    return total / ((real.sum() if count is None else count) * student.shape[1])


def soft_cross_entropy(
    student: Tensor,
    teacher: Tensor,
    temperature: float = 1.0,
    count: Tensor | None = None,
    mask: Tensor | None = None,
) -> Tensor:
    """Soft cross-entropy of the predictions, LadaBERT Eq. 9, mean over the batch.

    ``-softmax(z_t) . log softmax(z_s / t)``: as printed, only the student's logits are divided by
    the temperature.

    Args:
        student, teacher: logits (batch, classes).
        temperature: t > 0.
        count: scalar, examples of the batch that this is a part of; None: those of ``student``.
        mask: (batch, classes), nonzero where an example has a class, at least one; None: it has
            all.

    Raises:
        ValueError: shapes differ or the temperature is not positive.
    """
    _check_logits(student, teacher)
    _check_temperature(temperature)
    target = _softmax(teacher, mask)
    total = -(target * _log_softmax(_wide(student) / temperature, mask)).sum()
    return _per_example(total, student, count)


def distillation(
    student: Tensor,
    teacher: Tensor,
    temperature: float,
    count: Tensor | None = None,
    mask: Tensor | None = None,
) -> Tensor:
    """Divergence of the student's softened prediction from the teacher's, mean over the batch.

    ``T^2 KL(softmax(z_t / T) || softmax(z_s / T))``, after Hinton et al. 2015 (arXiv 1503.02531,
    section 2), who use the cross-entropy: the gradient is the same, and this is zero where the two
    agree. The factor T^2 keeps the size of the gradient when T changes.

    Args:
        student, teacher: logits (batch, classes).
        temperature: T > 0, of both.
        count: scalar, examples of the batch that this is a part of; None: those of ``student``.
        mask: as in `soft_cross_entropy`.

    Raises:
        ValueError: shapes differ or the temperature is not positive.
    """
    _check_logits(student, teacher)
    _check_temperature(temperature)
    ours = _log_softmax(_wide(student) / temperature, mask)
    theirs = _log_softmax(_wide(teacher) / temperature, mask)
    # Where there is no class, both are 0, and so is their difference.
    total = (theirs.exp() * (theirs - ours)).sum() * temperature**2
    return _per_example(total, student, count)


def cross_entropy(
    student: Tensor, labels: Tensor, count: Tensor | None = None, mask: Tensor | None = None
) -> Tensor:
    """Cross-entropy of the predictions with hard labels, mean over the batch.

    Args:
        student: logits (batch, classes).
        labels: (batch,) int64, from 0 to classes - 1; -100 for an example without a label, which
            adds nothing to the sum.
        count: scalar, examples of the batch that this is a part of; None: those of ``student``.
        mask: as in `soft_cross_entropy`; the labels are among the classes that it has.

    Raises:
        ValueError: shapes do not fit.
    """
    if student.dim() != 2 or labels.shape != student.shape[:1]:
        shapes = f"logits {tuple(student.shape)} and labels {tuple(labels.shape)}"
        raise ValueError(f"{shapes} are not (batch, classes) and (batch,)")
    logs = _log_softmax(student, mask)
    none = labels == -100
    picked = logs.gather(1, labels.masked_fill(none, 0).unsqueeze(1)).squeeze(1)
    return _per_example(-picked.masked_fill(none, 0.0).sum(), student, count)


def logits_mse(student: Tensor, teacher: Tensor, count: Tensor | None = None) -> Tensor:
    """Mean squared error of the logits over examples and classes: Tang et al., arXiv 1903.12136.

    The paper prints ``||z_t - z_s||^2`` and calls it a mean; its code also divides by the classes.

    Args:
        student, teacher: logits (batch, classes).
        count: scalar, examples of the batch that this is a part of; None: those of ``student``.

    Raises:
        ValueError: shapes differ.
    """
    _check_logits(student, teacher)
    total = (_wide(student) - _wide(teacher)).square().sum()
    return _per_example(total, student, count) / student.shape[-1]


def patient_mse(student: Tensor, teacher: Tensor, count: Tensor | None = None) -> Tensor:
    """Squared distance of normalized [CLS] states, summed over layers: PKD Eq. 7, arXiv 1908.09355.

    ``|| h_s / ||h_s|| - h_t / ||h_t|| ||^2``, mean over the batch, from 0 to 4 per layer. The
    authors' code also divides by layers times width; divide a weight (beta) of theirs by that
    number to use it here.

    Args:
        student, teacher: (batch, layers, width), the states of the layers that are paired
            (`patient_layers`), each at its [CLS] token.
        count: scalar, examples of the batch that this is a part of; None: those of ``student``.

    Raises:
        ValueError: shapes differ or are not three-dimensional.
    """
    if student.shape != teacher.shape or student.dim() != 3:
        shapes = f"{tuple(student.shape)} and {tuple(teacher.shape)}"
        raise ValueError(f"[CLS] states {shapes} are not two (batch, layers, width) of one shape")
    diff = F.normalize(_wide(student), dim=-1) - F.normalize(_wide(teacher), dim=-1)
    return _per_example(diff.square().sum(), student, count)


def patient_layers(teacher_layers: int, student_layers: int, how: str) -> tuple[int, ...]:
    """The teacher's layer for each of the student's first M - 1 layers: PKD, arXiv 1908.09355.

    The last layer of each is not paired: it feeds the classifier, whose output has its own term.
    For 12 layers and a student of 6, ``skip`` takes every k-th, k = N / M: 2, 4, 6, 8, 10; ``last``
    takes those before the last: 7, 8, 9, 10, 11.

    Args:
        teacher_layers: N.
        student_layers: M.
        how: "skip" or "last".

    Returns:
        M - 1 layer numbers from 1 to N - 1. They are indices into `lada.nn.capture.Outputs.hidden`,
        where 0 is the embedding output; those of the student are 1 to M - 1.

    Raises:
        ValueError: ``how`` is unknown, or the numbers of layers do not fit: M is from 2 to N, and
            divides N for ``skip``.
    """
    if how not in ("skip", "last"):
        raise ValueError(f"layers {how!r} are not one of skip, last")
    n, m = teacher_layers, student_layers
    fits = patient_counts(n, how)
    if m not in fits:
        would = ", ".join(map(str, fits)) or "none"
        raise ValueError(f"{m} layers do not fit a teacher of {n} by {how}; would do: {would}")
    if how == "last":
        return tuple(range(n - m + 1, n))
    return tuple(range(n // m, n, n // m))


def patient_counts(teacher_layers: int, how: str) -> list[int]:
    """How many layers a student may have for `patient_layers`."""
    n = teacher_layers
    return [m for m in range(2, n + 1) if how == "last" or n % m == 0]


def _check_logits(student: Tensor, teacher: Tensor) -> None:
    if student.shape != teacher.shape:
        raise ValueError(f"logits {tuple(student.shape)} and {tuple(teacher.shape)} differ")


def _check_temperature(temperature: float) -> None:
    if not temperature > 0.0:
        raise ValueError(f"temperature {temperature} is not positive")


def _per_example(total: Tensor, student: Tensor, count: Tensor | None) -> Tensor:
    return total / (len(student) if count is None else count)
