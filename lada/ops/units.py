"""Units of an encoder layer that are pruned together: the maths of ``method=grain``.

A unit is one dimension of a head's queries and keys (a row of both matrices), one of a head's
values (a row of the value matrix and a column of the output matrix), or one hidden unit of the
feed-forward block (a row of its first matrix and a column of its second).

Source: Yang, Cui, Yao, Wang 2023, "Gradient-based Intra-attention Pruning on Pre-trained Language
Models" (GRAIN, ACL 2023, arXiv 2212.07634), as the authors' code computes it
(github.com/airaria/GRAIN, class FineISPruner). Equations are not cited, since the code was read.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lada.ops.budget import Inventory, Matrix, solve_default, too_large
from lada.ops.mask import largest_overall
from lada.ops.memory import SMOOTH_GRAIN
from lada.ops.plan import Plan, Round, Share, UnitShare
from lada.ops.schedule import kept_fraction, progress

CLOSE = 0.002
"""Share of the budget that may stay unused, if another rank of the word embeddings uses more; or
that one unit may exceed it by, where none does: in tiny models a unit is more than that."""


@dataclass(frozen=True)
class UnitGroup:
    """The units of one kind in one layer.

    Attributes:
        kind: "qk", "vo" or "ffn".
        matrices: the two that each unit has a line of: name, and the axis along which the lines
            are counted (0: its rows are of the units; 1: its columns).
        units: how many there are.
        length: entries of a line.
    """

    kind: str
    matrices: tuple[tuple[str, int], tuple[str, int]]
    units: int
    length: int


def smoothed(importance: Tensor, product: Tensor) -> Tensor:
    """The importance of units after one more step.

    Args:
        importance: (units,), of the steps before, zero at first.
        product: (units,), the sum of ``w dL/dw`` over a unit in this step, times what
            `size_of_heads` makes of it.

    Example:
        >>> round(float(smoothed(torch.zeros(1), torch.tensor([-2.0]))), 4)
        0.004
    """
    return importance.lerp(product.abs(), 1 - SMOOTH_GRAIN)


def size_of_heads(kept: Tensor, heads: int, alpha: float) -> Tensor:
    """The structure regularization: units of a head count the less, the fewer the head has.

    It is ``tanh(density / alpha)`` of a unit's head, so that small heads become empty and large
    ones stay.

    Args:
        kept: (units,) bool, head after head.
        alpha: the density below which it sets in; 0: it is 1 for all heads that have a unit.

    Returns:
        (units,) fp32, from 0 to 1.

    Example:
        >>> kept = torch.tensor([True, True, True, False])
        >>> size_of_heads(kept, 2, alpha=0.5).tolist()
        [0.9640275835990906, 0.9640275835990906, 0.7615941762924194, 0.7615941762924194]
    """
    density = kept.view(heads, -1).float().mean(1)
    scale = (density / alpha).tanh() if alpha else (density > 0).float()
    return scale.repeat_interleave(kept.numel() // heads)


def choose_units(
    scores: Sequence[Tensor], pairs: Sequence[tuple[int, int]], heads: int, keep: int
) -> list[Tensor]:
    """Masks of the units with the highest scores of all, by one threshold.

    A head whose values lose their last unit loses its queries and keys, too; others stay in their
    place, so that exactly ``keep`` units do. Where too few are left for that, the head keeps them.

    Args:
        scores: (units,) of each group; ``-inf`` of those that are pruned already.
        pairs: the places of the groups "qk" and "vo" of each layer.
        heads: of a layer.
        keep: how many stay, at most as many as are not pruned.

    Returns:
        Bool masks (units,), in the order of ``scores``.

    Example:
        >>> qk, vo, ffn = torch.tensor([9.0, 1.0]), torch.tensor([0.1, 3.0]), torch.tensor([0.5])
        >>> choose_units([qk, vo, ffn], [(0, 1)], heads=2, keep=3)  # the first head dies
        [tensor([False,  True]), tensor([False,  True]), tensor([True])]
    """
    scores = [score.clone() for score in scores]
    left = sum(int(score.isfinite().sum()) for score in scores)
    while True:
        masks = largest_overall(scores, keep)
        closed = False
        for of_queries, of_values in pairs:
            both = [scores[of_queries].view(heads, -1), scores[of_values].view(heads, -1)]
            empty = ~masks[of_values].view(heads, -1).any(1)
            for head in empty.nonzero().flatten().tolist():
                size = sum(int(part[head].isfinite().sum()) for part in both)
                if size and left - size >= keep:
                    for part in both:
                        part[head] = -torch.inf
                    left -= size
                    closed = True
        if not closed:
            return masks


def make_unit_plan(
    inventory: Inventory, groups: Sequence[UnitGroup], target: float, shape: str, rounds: int
) -> Plan:
    """The rank of the word embeddings, and how many units remain at every round.

    The word embeddings have their last rank from the start, as in the authors' code. They share the
    budget with the units as by ``ratios=fast`` (`lada.ops.budget.solve_fast`): the published rank
    (192 of 768) alone takes more than all of BERT-base's budget at x20. The first round is before
    any gradient and prunes no unit; the number of units falls from there. In the last round the
    rank is the one near that proportion with which whole units fill the budget.

    Which units remain is decided by the training; the plan has each matrix keep the same share.

    Args:
        inventory: the word embeddings and the matrices of the groups; all else is whole.
        groups: with lines of the same length.

    Raises:
        BudgetError: less than one percent of a part, or no unit, would remain, or the target is
            below 1.
        ValueError: ``rounds`` < 1, or ``shape`` is unknown.

    Example:
        >>> words = Matrix("words", 100, 10, embedding=True)
        >>> up, down = Matrix("up", 40, 10), Matrix("down", 10, 40)
        >>> group = UnitGroup("ffn", (("up", 0), ("down", 1)), 40, 10)
        >>> plan = make_unit_plan(Inventory((words, up, down), {}), [group], 4, "cubic", 3)
        >>> [[share.kept for share in round_.shares] for round_ in plan.rounds]
        [[110, 400, 400], [110, 200, 200], [110, 170, 170]]
    """
    total = sum(group.units for group in groups)
    (cost,) = {2 * group.length for group in groups}
    words = inventory.word_embeddings
    budget = int(inventory.total / target + 1e-9) - inventory.kept_whole
    wanted = words.full_rank * solve_default(inventory, target).embedding
    close = CLOSE * inventory.total / target
    rank = _rank_that_fits(words, wanted, budget, cost, total, close)
    table = (words.rows + words.cols) * rank
    last, unused = divmod(budget - table, cost)
    last = min(last + (unused > close >= cost - unused), total)
    if last < 1:
        raise too_large(target, "density", inventory.total / (inventory.kept_whole + table + cost))
    found = []
    for t in progress(rounds, "full"):
        # The last round's product need not be whole.
        count = (
            last if t == 1.0 else max(last, round(kept_fraction(shape, last / total, t) * total))
        )
        of_words = Share(words.name, rank, words.rows * rank, words.cols * rank)
        lines = _in_proportion([group.units for group in groups], count)
        of_units = [
            UnitShare(name, units * group.length, group.length, axis)
            for group, units in zip(groups, lines, strict=True)
            for name, axis in group.matrices
        ]
        nonzeros = inventory.kept_whole + table + count * cost
        found.append(Round((of_words, *of_units), nonzeros, inventory.total / nonzeros))
    return Plan(target, inventory.total, None, tuple(found), "full")


def _rank_that_fits(
    words: Matrix, wanted: float, budget: int, cost: int, units: int, most: float
) -> int:
    """The rank nearest to the one that is wanted that leaves at most so many parameters unused."""
    middle = max(1, min(round(wanted), words.least_side))
    near = max(2, middle // 20)
    low, high = max(1, middle - near), min(middle + near, words.least_side)

    def unused(rank: int) -> float:
        rest = budget - (words.rows + words.cols) * rank
        return rest - min(rest // cost, units) * cost if rest >= cost else float("inf")

    ranks = sorted(range(low, high + 1), key=lambda rank: (abs(rank - middle), rank))
    return next((rank for rank in ranks if unused(rank) <= most), min(ranks, key=unused))


def _in_proportion(sizes: Sequence[int], count: int) -> list[int]:
    """Whole parts of ``count`` in proportion to the sizes."""
    total, before, out = sum(sizes), 0, []
    for size in sizes:
        out.append((before + size) * count // total - before * count // total)
        before += size
    return out
