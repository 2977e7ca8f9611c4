"""``ratios=solved | fast | paper | custom``: the three fine-grained fractions for a target."""

from lada.errors import LadaError
from lada.ops.budget import (
    BudgetError,
    Fractions,
    Inventory,
    solve_default,
    solve_fast,
    solve_missing,
)

TABLE_2 = {2.5: (1.43, 2.0), 5.0: (2.05, 2.0), 7.5: (5.0, 2.0), 10.0: (5.0, 2.5)}
"""LadaBERT Table 2: target -> (embedding, svd), as printed. Its pruning column does not meet the
target it stands beside (see `lada.ops.budget`), so pruning is solved."""


def fractions_for(
    inventory: Inventory,
    target: float,
    rule: str,
    embedding: float | None = None,
    svd: float | None = None,
    pruning: float | None = None,
) -> Fractions:
    """Kept fractions for ``target`` (x). The ratios are given as in Table 2: 2.0 keeps half.

    Raises:
        LadaError: the target is out of reach, the ratios do not make it, or too few or the wrong
            ones are given; the line says which would do.
    """
    if rule != "custom" and (embedding, svd, pruning) != (None, None, None):
        raise LadaError(f"ratios={rule} takes no ratios of its own; use ratios=custom to give them")
    try:
        if rule == "solved":
            return solve_default(inventory, target)
        if rule == "fast":
            return solve_fast(inventory, target)
        if rule == "paper":
            if target not in TABLE_2:
                raise LadaError(
                    f"ratios=paper has no row for target x{target:g}; choose 2.5x, 5x, 7.5x or "
                    "10x, or ratios=solved"
                )
            embedding, svd = TABLE_2[target]
        if sum(x is None for x in (embedding, svd, pruning)) > 1:
            raise LadaError(
                "ratios=custom needs two of ratios.embedding, ratios.svd, ratios.pruning (the "
                "third is solved) or all three; or use ratios=solved"
            )
        return solve_missing(
            inventory,
            target,
            embedding=_kept(embedding),
            svd=_kept(svd),
            density=_kept(pruning),
        )
    except BudgetError as error:
        raise LadaError(f"target.ratio={target:g}: {error}{_advice(error, target, rule)}") from None


def _kept(ratio: float | None) -> float | None:
    return None if ratio is None else 1.0 / ratio


def _advice(error: BudgetError, target: float, rule: str) -> str:
    if rule in ("solved", "fast") or error.part == "none":
        return ""
    if error.part == "all":
        return "; leave one of the three ratios out to have it solved, or use ratios=solved"
    if error.reach > target:
        return "; give a larger target or smaller ratios, or use ratios=solved"
    # What leaves no room for a solved encoder ratio is the word table, and the other way round.
    blocking = "ratios.svd and ratios.pruning" if error.part == "embedding" else "ratios.embedding"
    return f" with ratios={rule}, where {blocking} takes the budget; use ratios=solved"
