"""The ranks of the matrices for a budget: ``method.allocation``.

``uniform``: of the same fraction for all matrices of the encoder (LadaBERT Eq. 4), and of another
for the word embeddings. ``marginal``: by the spectra of the matrices. All of them, the word
embeddings too, have squared error by the same measure, and the directions that take off the most of
it per parameter are kept. A spectrum is what each further direction of a matrix takes off its
error, in falling order.
"""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import torch
from torch import Tensor

from lada.ops.budget import Fractions, Inventory, Matrix, too_large
from lada.ops.factorize import EVEN, Weights

Spectra: TypeAlias = Mapping[str, Tensor]
"""The spectrum of each matrix by its name."""

_ROWS = 16_384
"""Rows of a tall matrix that are computed with at once."""


def spectrum(weight: Tensor, weights: Weights = EVEN) -> Tensor:
    """What each direction of a matrix takes off its error: the squares of singular values.

    They are those of ``diag(rows) W inputs``, whose leading directions are the factors of
    `lada.ops.factorize.weighted_factors`, over the mean square of the entries of W. So with even
    weights they sum to the number of entries, and the error of a matrix is its relative squared
    error times its size: every parameter counts alike, not every matrix. Where every matrix counts
    alike, the word embeddings, the largest by far, are one of many and get next to nothing.

    With whitened weights, whose mean square is 1, it is the error of the outputs in units of what
    inputs without any preferred direction would give. In units of the outputs' own energy a matrix
    would seem done that has one direction of most energy, as the means of a feed-forward layer's
    outputs have. This matters little, the other choice much (measured in experiments/ablation).

    Args:
        weight: (m, n), any floating dtype; computed in float64.
        weights: of the errors.

    Returns:
        (min(m, n),) float64, not negative, falling; zeros if all entries are zero.

    Raises:
        ValueError: ``weight`` is not a matrix.

    Example:
        >>> spectrum(torch.diag(torch.tensor([3.0, 1.0]))).tolist()
        [3.6, 0.4]
    """
    if weight.ndim != 2:
        raise ValueError(f"a matrix is needed, not a tensor of shape {tuple(weight.shape)}")
    m, n = weight.shape
    size, gram = 0.0, torch.zeros(min(m, n), min(m, n), dtype=torch.float64, device=weight.device)
    for start in range(0, m, _ROWS if m >= n else m):  # all of a vocabulary at once takes GBs
        part = weight.detach()[start : start + _ROWS if m >= n else m].double()
        size += float(part.square().sum()) / weight.numel()
        if weights.rows is not None:
            part = part * weights.rows[start : start + len(part)].to(part)[:, None]
        if weights.inputs is not None:
            part = part @ weights.inputs.to(part)
        gram += part.T @ part if m >= n else part @ part.T
    squares = torch.linalg.eigvalsh(gram).flip(0).clamp_min(0.0)
    return squares / size if size > 0 else torch.zeros_like(squares)


def marginal_ranks(
    costs: Sequence[float],
    spectra: Sequence[Tensor],
    budget: float,
    steps: Sequence[int] | None = None,
    *,
    fill: bool = False,
) -> list[int]:
    """The ranks r of the least error ``sum_i sum_(j > r_i) spectra_i[j]`` within a budget.

    The budget is on ``sum_i costs_i r_i``, and every rank is at least 1. Directions are taken in
    the order of what they take off per parameter, up to the first that does not fit (Fox 1966,
    "Discrete optimization via marginal analysis"). Since spectra fall, no ranks that cost as much
    have a lower error; of those that cost up to the budget, the best are better by less than the
    direction that did not fit. Ranks of a larger budget are never lower.

    Args:
        costs: parameters of one direction of each matrix.
        spectra: of each matrix, not empty, falling.
        budget: parameters in all.
        steps: the ranks of each matrix that are above this are multiples of it, or the largest
            possible: then directions are taken in such blocks.
        fill: go on with what fits of other matrices. The error is lower, but with a larger budget
            a rank may be.

    Raises:
        ValueError: one direction of each does not fit, or a spectrum rises.

    Example:
        >>> flat, steep = torch.tensor([4.0, 4.0, 4.0]), torch.tensor([9.0, 2.0, 1.0])
        >>> marginal_ranks([1.0, 1.0], [flat, steep], 4.0)
        [3, 1]
        >>> marginal_ranks([3.0, 1.0], [flat, steep], 7.0)
        [1, 2]
        >>> marginal_ranks([3.0, 1.0], [flat, steep], 7.0, fill=True)
        [1, 3]
    """
    spent = sum(costs)
    if spent > budget:
        raise ValueError(f"one direction of each matrix has {spent:g} parameters, over {budget:g}")
    if any(bool((s[1:] > s[:-1]).any()) for s in spectra):
        raise ValueError("a spectrum has to fall")
    steps = [1] * len(costs) if steps is None else steps
    ends = [_ends(len(s), step) for s, step in zip(spectra, steps, strict=True)]
    worth = torch.cat(
        [_worth(s, end) / cost for s, end, cost in zip(spectra, ends, costs, strict=True)]
    )
    owners = [i for i, end in enumerate(ends) for _ in end[1:]]
    taken, closed = [0] * len(costs), set[int]()  # blocks after the first
    for block in worth.argsort(descending=True, stable=True).tolist():
        i = owners[block]
        if i in closed:
            continue
        cost = costs[i] * (ends[i][taken[i] + 1] - ends[i][taken[i]])
        if spent + cost <= budget:
            spent += cost
            taken[i] += 1
        elif fill:
            closed.add(i)
        else:
            break
    return [end[count] for end, count in zip(ends, taken, strict=True)]


def _ends(most: int, step: int) -> list[int]:
    """The ranks that a matrix may have."""
    return [*range(1, min(step, most) + 1), *range(2 * step, most, step), *([most] * (most > step))]


def _worth(spectrum: Tensor, ends: Sequence[int]) -> Tensor:
    """What a direction of each block after the first takes off, a mean over the block."""
    sums = spectrum.double().cumsum(0)[torch.tensor(ends) - 1]
    # The means fall, but for rounding; blocks of one matrix are taken in order.
    return (sums.diff() / torch.tensor(ends).diff()).cummin(0).values


def ranks_within(
    inventory: Inventory,
    spectra: Spectra,
    target: float,
    entries: float,
    density: float,
    round_to: int = 1,
    *,
    words: float = 1.0,
    fill: bool = False,
) -> dict[str, int]:
    """The ranks of least error of all matrices of a model, see `marginal_ranks`.

    Args:
        spectra: of each matrix.
        target: of the plan, for the error.
        entries: how many entries of all factors remain.
        density: the share of the entries of the encoder's factors that remains. A direction of
            theirs costs so much less.
        round_to: the step of the encoder's matrices.
        words: the same for the word embeddings (`lada.ops.budget.Matrix.direction`).

    Raises:
        BudgetError: not even ranks of 1 are possible.
    """
    matrices = inventory.matrices
    costs = [m.direction(words if m.embedding else density) for m in matrices]
    if sum(costs) > entries:
        raise too_large(target, "none", inventory.total / (inventory.kept_whole + sum(costs)))
    steps = [1 if m.embedding else round_to for m in matrices]
    found = marginal_ranks(costs, [spectra[m.name] for m in matrices], entries, steps, fill=fill)
    return {m.name: rank for m, rank in zip(matrices, found, strict=True)}


def floored_ranks(inventory: Inventory, fractions: Fractions) -> dict[str, int]:
    """The rank of every matrix at these fractions (Eq. 4)."""
    return {
        m.name: m.rank(fractions.embedding, fractions.words)
        if m.embedding
        else m.rank(fractions.svd)
        for m in inventory.matrices
    }


def uniform_ranks(
    inventory: Inventory, target: float, fractions: Fractions, round_to: int
) -> dict[str, int]:
    """The last ranks of ``method.allocation=uniform``: by the fractions, as the budget allows.

    Args:
        round_to: those of the encoder's matrices are multiples of this, as far as possible.

    Raises:
        BudgetError: the word embeddings leave no budget.
    """
    ranks = floored_ranks(inventory, fractions)
    # Half a rank of the word embeddings can be half a percent of a small model, so it is rounded
    # to the nearest rank; the encoder balances the rest.
    for m in inventory.matrices:
        if m.embedding:
            nearest = round(m.size / m.direction(fractions.words) * fractions.embedding)
            ranks[m.name] = max(1, min(nearest, m.cols, m.rows))
    rest = left_for_encoder(inventory, target, ranks, fractions.words)
    encoder = [m for m in inventory.matrices if not m.embedding]
    if round_to > 1:
        # With masks to balance the rest: to the nearest; without: down, and some up again below.
        half = round_to // 2 if fractions.density < 1.0 else 0
        for m in encoder:
            ranks[m.name] = max(
                min((ranks[m.name] + half) // round_to * round_to, m.rows, m.cols),
                min(ranks[m.name], round_to),
            )
    if fractions.density == 1.0:
        _lower_ranks(encoder, ranks, rest, round_to)
    _fill_ranks(encoder, ranks, rest, round_to)
    return ranks


def left_for_encoder(
    inventory: Inventory, target: float, ranks: dict[str, int], words: float = 1.0
) -> int:
    """Entries that the factors of the encoder may have, besides the word embeddings.

    Args:
        words: the density of these, see `lada.ops.budget.Fractions`.

    Raises:
        BudgetError: less than two for each matrix.
    """
    tables = sum(sum(m.kept(ranks[m.name], words)) for m in inventory.matrices if m.embedding)
    rest = round(inventory.total / target) - inventory.kept_whole - tables
    encoder = [m for m in inventory.matrices if not m.embedding]
    if rest < 2 * len(encoder):
        least = inventory.kept_whole + tables + 2 * len(encoder)
        raise too_large(target, "density", inventory.total / least)
    return rest


def _lower_ranks(matrices: list[Matrix], ranks: dict[str, int], rest: int, step: int) -> None:
    """Lower ranks by ``step`` until dense factors fit the budget: the highest share first."""
    over = sum((m.rows + m.cols) * ranks[m.name] for m in matrices) - rest
    while over > 0:
        lower = [m for m in matrices if ranks[m.name] > step]
        if not lower:
            return
        highest = max(lower, key=lambda m: ranks[m.name] / m.full_rank)
        ranks[highest.name] -= step
        over -= step * (highest.rows + highest.cols)


def _fill_ranks(matrices: list[Matrix], ranks: dict[str, int], rest: int, step: int) -> None:
    """Raise ranks by ``step`` while dense factors leave budget unused: the lowest share first."""
    spare = rest - sum((m.rows + m.cols) * ranks[m.name] for m in matrices)
    while True:
        fitting = [
            m
            for m in matrices
            if spare >= step * (m.rows + m.cols) and ranks[m.name] + step <= min(m.rows, m.cols)
        ]
        if not fitting:
            return
        lowest = min(fitting, key=lambda m: ranks[m.name] / m.full_rank)
        ranks[lowest.name] += step
        spare -= step * (lowest.rows + lowest.cols)
