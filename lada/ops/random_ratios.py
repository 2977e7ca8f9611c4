"""Points of the ratios that meet a target, for a search.

A random one (the random search of LadaBERT section 4.3), or the one at given coordinates.
"""

import math

import torch

from lada.ops.budget import LEAST_KEPT, Fractions, Inventory, entries_left, too_large


def draw_fractions(inventory: Inventory, target: float, draw: int) -> Fractions:
    """Fractions that meet ``target``, drawn uniformly from all that do.

    They lie on the surface ``P_embd |word embeddings| + P_svd P_weight |encoder| = budget``
    (Eq. 7) in the unit cube of the three; every area of it is drawn as often as it is large. At
    least one percent of each part remains, as by `lada.ops.budget.solve_default`.

    Args:
        draw: the number of the point. The same number is the same point, on any machine.

    Raises:
        BudgetError: less than one percent of a part would remain, or the target is below 1.

    Example:
        >>> from lada.ops.budget import Matrix, exact_ratio
        >>> matrices = Matrix("words", 100, 10, embedding=True), Matrix("query", 20, 20)
        >>> small = Inventory(matrices, {"biases": 30})
        >>> drawn = [draw_fractions(small, 4.0, draw) for draw in range(3)]
        >>> len(set(drawn)), [round(exact_ratio(small, found), 9) for found in drawn]
        (3, [4.0, 4.0, 4.0])
    """
    e, n = inventory.embedding, inventory.encoder
    budget, least, most = _range(inventory, target)
    if least > 1.0 - 1e-9:  # all remains, but for rounding
        return Fractions(min(1.0, (budget - n) / e), 1.0, 1.0)
    generator = torch.Generator().manual_seed(draw)
    # P_hybrid is drawn evenly, and P_svd evenly in its logarithm. An area of the plane of P_svd and
    # P_weight then has points by 1 / log(1 / P_hybrid), and one of the surface by its slope, too.
    steepest = math.hypot(1.0, math.sqrt(2.0) * n / e) * -math.log(least)
    while True:
        place, share, chance = torch.rand(3, generator=generator, dtype=torch.float64).tolist()
        hybrid = least + (most - least) * place
        svd = hybrid**share
        density = hybrid / svd
        slope = math.hypot(1.0, math.hypot(svd, density) * n / e)
        if chance * steepest <= slope * -math.log(hybrid):
            return Fractions((budget - hybrid * n) / e, svd, density)


def place_fractions(
    inventory: Inventory, target: float, encoder: float, by_rank: float
) -> Fractions:
    """The fractions that meet ``target`` at two coordinates of a unit square.

    Every point of the square is one of the surface (Eq. 7), and every point of the surface has
    coordinates: a search needs no constraint.

    Args:
        encoder: from 0, the least that P_hybrid can be, to 1, the most; linear. The word embeddings
            have the rest of the budget.
        by_rank: how much of the encoder's compression is by rank: ``P_svd = P_hybrid ** by_rank``.
            0: all by pruning; 1: all by rank.

    Raises:
        BudgetError: as `draw_fractions`.

    Example:
        >>> from lada.ops.budget import Matrix, exact_ratio
        >>> matrices = Matrix("words", 100, 10, embedding=True), Matrix("query", 20, 20)
        >>> small = Inventory(matrices, {"biases": 30})
        >>> placed = place_fractions(small, 4.0, encoder=0.5, by_rank=1.0)
        >>> placed.svd == placed.hybrid, round(exact_ratio(small, placed), 9)
        (True, 4.0)
    """
    e, n = inventory.embedding, inventory.encoder
    budget, least, most = _range(inventory, target)
    hybrid = min(least, 1.0) + (most - min(least, 1.0)) * encoder
    svd = hybrid**by_rank
    # Rounding may take what is all of a part beyond it.
    return Fractions(min(1.0, (budget - hybrid * n) / e), svd, min(1.0, hybrid / svd))


def _range(inventory: Inventory, target: float) -> tuple[float, float, float]:
    """The entries that may remain, and the least and the most that P_hybrid can be."""
    e, n = inventory.embedding, inventory.encoder
    reach = inventory.total / (inventory.kept_whole + LEAST_KEPT * (e + n))
    budget = entries_left(inventory, target, reach, "none")
    least = max(LEAST_KEPT, (budget - e) / n)
    most = min(1.0, (budget - LEAST_KEPT * e) / n)
    if most < LEAST_KEPT:
        raise too_large(target, "none", reach)
    return budget, least, most
