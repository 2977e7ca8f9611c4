"""How many layers of its teacher a student keeps for a target.

The word embeddings and the layers share the parameters by the rule of `ratios=solved`
(`lada.ops.budget.solve_default`), in steps of whole layers.
"""

import math
from collections.abc import Callable, Sequence

from lada.ops.budget import Inventory


def solve_depth(
    count: Callable[[int], Inventory], total: int, target: float, how: str, depths: Sequence[int]
) -> tuple[int, bool]:
    """The most layers that leave enough of a budget for the word embeddings.

    Enough is all of them; or, where they may be compressed, the fraction ``sqrt(n / e) f``: n and e
    are the parameters of the encoder's matrices at the largest depth and of the word embeddings, f
    is the fraction of n that the student has.

    Args:
        count: depth -> what a student of so many layers has.
        total: parameters of the teacher, to which the ratio refers.
        target: times smaller.
        how: "keep": the word embeddings stay whole; else they may be compressed.
        depths: the possible ones, ascending.

    Returns:
        Layers, and whether the word embeddings stay whole. If no depth leaves enough, it is the
        smallest: whether the target can be met with it is for the plan to say
        (`lada.ops.plan.make_table_plan`).

    Example:
        >>> from lada.ops.budget import Matrix
        >>> def count(depth):
        ...     layers = (Matrix(f"layer {k}", 20, 20) for k in range(depth))
        ...     return Inventory((Matrix("words", 100, 16, embedding=True), *layers), {})
        >>> [solve_depth(count, 3200, x, "svd", (1, 2, 4)) for x in (1.0, 1.5, 2.5)]
        [(4, True), (2, False), (1, False)]
    """
    budget = int(total / target)
    encoder = count(depths[-1]).encoder
    for depth in reversed(depths):
        counted = count(depth)
        table = counted.word_embeddings.size
        left = budget - (counted.total - table)
        if left >= table:
            return depth, True
        enough = math.sqrt(encoder / table) * counted.encoder / encoder * table
        if how != "keep" and left >= enough:
            return depth, False
    return depths[0], how == "keep"
