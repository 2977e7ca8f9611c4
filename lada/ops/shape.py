"""The shape of a small BERT that meets a target: TinyBERT's proportions at another size.

Published (arXiv 1909.10351): 4 layers, 312 wide, 1,200 units in the feed-forward layers, 12 heads.
"""

from collections.abc import Callable

from lada.ops.budget import BudgetError, Inventory, too_large
from lada.ops.plan import least_table, table_unit

ENCODER_SHARE = 4 * (4 * 312 * 312 + 2 * 312 * 1200) / 14_350_874
"""Share of the encoder's matrices in the published model: 4.55 M of 14.35 M, 32 %."""


def nearest_layers(teacher_layers: int) -> int:
    """4, or the nearest number that divides the teacher's layers; of two, the smaller."""
    fits = [x for x in range(1, teacher_layers + 1) if teacher_layers % x == 0]
    return min(fits, key=lambda x: (abs(x - 4), x))


def inner_units(width: int) -> int:
    """Units of the feed-forward layers at a width: 1,200 at 312, rounded."""
    return round(width * 1200 / 312)


def solve_width(
    count: Callable[[int, int], Inventory], total: int, target: float, how: str, widths: range
) -> tuple[int, int, bool]:
    """The widest student that meets ``target``, and how its budget is shared.

    With dense word embeddings (``how`` is "keep") it is the widest that fits. Else the word
    embeddings are compressed (by "svd" or "prune"), and a rule for the split is needed: the
    encoder's matrices may take the share of the budget that they have in the published model, and
    the word embeddings take the rest. So with BERT-base at x7.5 it is the published width and dense
    word embeddings. What remains after rounding width and rank, less than one more step of them
    takes, goes to units of the feed-forward layers; with "keep" it is unused.

    Args:
        count: (width, inner) -> the student's inventory.
        total: parameters of the teacher, to which the ratio refers.
        target: times smaller.
        how: see `lada.ops.plan.make_table_plan`.
        widths: the possible ones, ascending.

    Returns:
        Width, units of the feed-forward layers, and whether the word embeddings stay dense.

    Raises:
        BudgetError: the smallest width is too large for the target, or the largest too small.
    """
    budget = int(total / target)

    def needed(width: int) -> float:
        counted = count(width, inner_units(width))
        if how == "keep":
            return counted.total
        table = counted.word_embeddings
        least = counted.total - table.size + least_table(table, how)
        return min(counted.total, max(least, counted.encoder / ENCODER_SHARE))

    low, high = 0, len(widths)  # the first `low` fit, those from `high` on do not
    while low < high:
        middle = (low + high) // 2
        if needed(widths[middle]) <= budget:
            low = middle + 1
        else:
            high = middle
    if low == 0:
        raise too_large(target, "embedding", total / needed(widths[0]))
    width = widths[low - 1]
    inner = inner_units(width)
    counted = count(width, inner)
    whole = counted.total <= budget
    if whole and low == len(widths):
        start = total / counted.total
        message = f"the widest student, {width} wide, is x{start:.2f}; give a larger target"
        raise BudgetError(message, "embedding", start)
    if how == "keep":
        return width, inner, True
    room = budget - counted.total if whole else 0
    if not whole and how == "svd":
        room = (budget - counted.total + counted.word_embeddings.size) % table_unit(
            counted.word_embeddings, how
        )
    more = count(width, inner + 1).total - counted.total
    return width, inner + room // more, whole
