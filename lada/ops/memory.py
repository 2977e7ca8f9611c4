"""Scores with a memory: what gradients have said of each entry, step by step.

Without an entry w the loss changes by ``-w dL/dw``, to the first order. One step says little, since
it sees one batch, so a score here is computed from all steps so far. Factors are not unique: of
``A D`` and ``B D^-1`` the gradients are ``(dL/dA) D^-1`` and ``(dL/dB) D``, so that ``w dL/dw`` is
the same for any diagonal D, and these scores are.
"""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

State = tuple[Tensor, ...]

SMOOTH_IMPORTANCE = 0.85
"""PLATON's beta_1, as in the authors' command."""

SMOOTH_UNCERTAINTY = 0.95
"""PLATON's beta_2, as in the authors' command."""

SMOOTH_GRAIN = 0.998
"""GRAIN's beta, as in the authors' command."""


@dataclass(frozen=True)
class Memory:
    """A score, and the state that it is computed from.

    Attributes:
        parts: names of the tensors of the state, each of the shape of the weight, zero at first.
        step: from the state and ``w dL/dw`` of an optimizer step, of that shape, to the next state.
        score: of a state; entries with higher scores are kept.
        separated: whether the gradients are those of the terms of the predictions alone.
    """

    parts: tuple[str, ...]
    step: Callable[[State, Tensor], State]
    score: Callable[[State], Tensor]
    separated: bool = False


def movement_step(state: State, product: Tensor) -> State:
    """The sum of ``-w dL/dw`` over all steps (Sanh et al. 2020, arXiv 2005.07683, section 4).

    It is high where steps move an entry away from zero, and negative where they shrink it.

    Example:
        >>> import torch
        >>> movement_step((torch.tensor([1.0, 1.0]),), torch.tensor([0.5, -2.0]))
        (tensor([0.5000, 3.0000]),)
    """
    (moved,) = state
    return (moved - product,)


def platon_step(state: State, product: Tensor) -> State:
    """Smoothed importance ``|w dL/dw|``, and how far it is from its smoothed value, smoothed too.

    Zhang et al. 2022, "PLATON: Pruning Large Transformer Models with Upper Confidence Bound of
    Weight Importance", arXiv 2206.12562.

    Example:
        >>> import torch
        >>> platon_step((torch.zeros(1), torch.zeros(1)), torch.tensor([-2.0]))
        (tensor([0.3000]), tensor([0.0850]))
    """
    importance, uncertainty = state
    now = product.abs()
    importance = importance.lerp(now, 1 - SMOOTH_IMPORTANCE)
    return importance, uncertainty.lerp((now - importance).abs(), 1 - SMOOTH_UNCERTAINTY)


def platon_score(state: State) -> Tensor:
    """Importance times uncertainty: an entry that is important at times is kept too.

    Example:
        >>> import torch
        >>> platon_score((torch.tensor([0.3]), torch.tensor([0.5])))
        tensor([0.1500])
    """
    importance, uncertainty = state
    return importance * uncertainty


def grain_step(state: State, product: Tensor) -> State:
    """Smoothed importance ``|w dL/dw|``, of gradients that hidden states and maps have no part in.

    Yang et al. 2023, "Gradient-based Intra-attention Pruning on Pre-trained Language Models",
    arXiv 2212.07634, read in the authors' code. There the entries of a unit are summed before the
    absolute value (`lada.ops.units`); here an entry is a unit.

    Example:
        >>> import torch
        >>> (importance,) = grain_step((torch.zeros(1),), torch.tensor([-2.0]))
        >>> round(float(importance), 4)
        0.004
    """
    (importance,) = state
    return (importance.lerp(product.abs(), 1 - SMOOTH_GRAIN),)


MEMORIES: dict[str, Memory] = {
    "movement": Memory(("moved",), movement_step, lambda state: state[0]),
    "platon": Memory(("importance", "uncertainty"), platon_step, platon_score),
    "grain": Memory(("importance",), grain_step, lambda state: state[0], separated=True),
}
"""By name, as in ``method.score=NAME``; `lada.ops.scores.SCORES` has those without a memory."""
