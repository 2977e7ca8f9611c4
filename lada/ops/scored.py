"""Masks that are learnt: what a matrix asks for by its scores, and what lowers scores.

Static Model Pruning (Jiang et al., arXiv 2210.06210), by the authors' code. Every entry of a matrix
has a score, a parameter of the training, and the entries with the highest scores are kept. Pure
functions.
"""

from collections.abc import Sequence

import torch
from torch import Tensor


def mean_probability(scores: Tensor) -> Tensor:
    """The mean over a matrix of the sigmoids of its scores: how much of it the training asks for.

    Args:
        scores: any shape.

    Returns:
        Scalar from 0 to 1.
    """
    return scores.sigmoid().mean()


def penalty(scores: Sequence[Tensor]) -> Tensor:
    """The regularizer of the scores: `mean_probability`, averaged over matrices.

    A large matrix counts as much as a small one, as in the authors' code.

    Example:
        >>> penalty([torch.zeros(2, 2), torch.full((1, 3), 50.0)])
        tensor(0.7500)
    """
    return torch.stack([mean_probability(matrix) for matrix in scores]).mean()


def strength(final: float, progress: float) -> float:
    """The weight of the `penalty`, which rises fast and then slowly: ``final (1 - (1 - t)^3)``.

    Args:
        final: at the end of the training.
        progress: t, the fraction of the training's steps that were made, from 0 to 1.

    Example:
        >>> [strength(400.0, t) for t in (0.0, 0.5, 1.0)]
        [0.0, 350.0, 400.0]
    """
    return final * (1.0 - (1.0 - progress) ** 3)
