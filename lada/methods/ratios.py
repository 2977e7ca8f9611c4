"""``ratios=RULE`` of `lada.methods.groups.RatiosConfig`: the fractions for a target."""

from lada.errors import LadaError
from lada.methods.groups import RatiosConfig
from lada.ops.budget import (
    SCALED,
    BudgetError,
    Fractions,
    Inventory,
    solve_default,
    solve_fast,
    solve_missing,
    solve_scaled,
)
from lada.ops.random_ratios import draw_fractions, place_fractions

TABLE_2 = {2.5: (1.43, 2.0), 5.0: (2.05, 2.0), 7.5: (5.0, 2.0), 10.0: (5.0, 2.5)}
"""LadaBERT Table 2: target -> (embedding, svd), as printed. Its pruning column does not meet the
target that is printed with it (see `lada.ops.budget`), so pruning is solved."""


def fractions_for(inventory: Inventory, target: float, ratios: RatiosConfig) -> Fractions:
    """Kept fractions for ``target`` (x).

    Raises:
        LadaError: the target is out of reach, or the ratios do not make it; the line says which
            would do.
    """
    rule, embedding, svd = ratios.rule, ratios.embedding, ratios.svd
    try:
        if rule == "solved":
            return solve_default(inventory, target)
        if rule == "scaled":
            return solve_scaled(inventory, target, _kept(ratios.pruning) or SCALED)
        if rule == "fast":
            return solve_fast(inventory, target)
        if rule == "random":
            assert ratios.draw is not None  # `RatiosConfig` sees to it
            return draw_fractions(inventory, target, ratios.draw)
        if rule == "point":
            assert ratios.encoder is not None and ratios.by_rank is not None
            return place_fractions(inventory, target, ratios.encoder, ratios.by_rank)
        if rule == "paper":
            if target not in TABLE_2:
                raise LadaError(
                    f"ratios=paper: Table 2 has no target x{target:g}. Choose 2.5x, 5x, 7.5x or "
                    "10x, or ratios=solved."
                )
            embedding, svd = TABLE_2[target]
        return solve_missing(
            inventory,
            target,
            embedding=_kept(embedding),
            svd=_kept(svd),
            density=_kept(ratios.pruning),
        )
    except BudgetError as error:
        raise LadaError(f"target.ratio={target:g}: {error}{_advice(error, target, rule)}") from None


def _kept(ratio: float | None) -> float | None:
    return None if ratio is None else 1.0 / ratio


def _advice(error: BudgetError, target: float, rule: str) -> str:
    if rule in ("solved", "scaled", "fast", "random", "point") or error.part == "none":
        return ""
    if error.part == "all":
        return "; leave one of the three ratios out to have it solved, or use ratios=solved"
    if error.reach > target:
        return "; give a larger target or smaller ratios, or use ratios=solved"
    # A solved encoder ratio has no room because of the word embeddings, and vice versa.
    blocking = "ratios.svd and ratios.pruning" if error.part == "embedding" else "ratios.embedding"
    return f" with ratios={rule}, where {blocking} takes the budget; use ratios=solved"
