"""Vectors of texts: how token states are pooled, and losses that compare vectors.

Losses are sums over examples, divided by the ``count`` of the whole optimizer step (see
`lada.ops.losses`). All are computed in float32 or wider.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

POOLINGS = ("mean", "cls", "max")


def _wide(x: Tensor) -> Tensor:
    return x.to(torch.promote_types(x.dtype, torch.float32))


def pool(states: Tensor, mask: Tensor, how: str = "mean") -> Tensor:
    """One vector per text, of the states of its tokens.

    Args:
        states: (batch, length, width).
        mask: (batch, length), nonzero where a token is real; each text has one.
        how: "mean" of the real tokens, special ones included; "cls", the first token's; "max", the
            largest of each channel.

    Returns:
        (batch, width).

    Raises:
        ValueError: ``how`` is none of these.

    Example:
        >>> states = torch.tensor([[[1.0, 4.0], [3.0, 2.0], [9.0, 9.0]]])
        >>> mask = torch.tensor([[1, 1, 0]])
        >>> [pool(states, mask, how).tolist() for how in POOLINGS]
        [[[2.0, 3.0]], [[1.0, 4.0]], [[3.0, 4.0]]]
    """
    states, real = _wide(states), mask.bool().unsqueeze(-1)
    if how == "cls":
        return states[:, 0]
    if how == "max":
        return states.masked_fill(~real, -torch.inf).amax(1)
    if how != "mean":
        raise ValueError(f"pooling {how!r} is not one of {', '.join(POOLINGS)}")
    return states.masked_fill(~real, 0.0).sum(1) / real.sum(1)


def vector_distance(student: Tensor, teacher: Tensor, count: Tensor | None = None) -> Tensor:
    """Squared Euclidean distance, mean over the batch.

    Args:
        student, teacher: (batch, width).
        count: scalar, examples of the batch that this is a part of; None: those of ``student``.

    Raises:
        ValueError: shapes differ.
    """
    _check(student, teacher)
    return _per_example((_wide(student) - _wide(teacher)).square().sum(), student, count)


def cosine_distance(student: Tensor, teacher: Tensor, count: Tensor | None = None) -> Tensor:
    """``1 - cos(s, t)``, from 0 to 2, mean over the batch.

    Arguments and errors are those of `vector_distance`.
    """
    _check(student, teacher)
    cosines = F.cosine_similarity(_wide(student), _wide(teacher), dim=-1)
    return _per_example((1 - cosines).sum(), student, count)


def similarity_mse(student: Tensor, teacher: Tensor, count: Tensor | None = None) -> Tensor:
    """Squared error of the cosines between the vectors of a batch, mean over the batch.

    ``(cos(s_i, s_j) - cos(t_i, t_j))^2`` of each example i is averaged over the others, j (Tung and
    Mori 2019, arXiv 1907.09682, who normalize the rows of the matrices of dot products instead). So
    the size does not depend on the number of examples. If the batch is a part of one, pairs across
    parts are not compared. It is 0 for a single example.

    Arguments and errors are those of `vector_distance`.
    """
    _check(student, teacher)
    error = (cosines(_wide(student)) - cosines(_wide(teacher))).square().fill_diagonal_(0.0)
    return _per_example(error.sum() / max(1, len(student) - 1), student, count)


def cosines(vectors: Tensor) -> Tensor:
    """The cosine of each pair: (n, width) -> (n, n)."""
    unit = F.normalize(vectors, dim=-1)
    return unit @ unit.T


def _check(student: Tensor, teacher: Tensor) -> None:
    if student.shape != teacher.shape or student.dim() != 2:
        shapes = f"{tuple(student.shape)} and {tuple(teacher.shape)}"
        raise ValueError(f"vectors {shapes} are not two (batch, width) of one shape")


def _per_example(total: Tensor, student: Tensor, count: Tensor | None) -> Tensor:
    return total / (len(student) if count is None else count)
