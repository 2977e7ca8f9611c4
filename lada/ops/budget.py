"""From a target ratio to the remaining fraction of each part of a model: LadaBERT Eq. 3-7.

Every fraction P in (0, 1] is the share of parameters that REMAINS. ``x7.5`` means that 1 / 7.5 of
all parameters remain. The word embeddings are scaled by ``P_embd``, the encoder's matrices by
``P_hybrid = P_svd * P_weight`` (Eq. 6). Everything else (biases, LayerNorm, position and type
embeddings, pooler, classifier) stays dense and counts in full, unless an inventory says otherwise
(`lada.nn.trim`). This is how the project counts, a little stricter than the literal Eq. 7
(`literal_ratio`).
"""

import math
from dataclasses import dataclass, replace

LEAST_KEPT = 0.01
"""No part is planned below one percent: ranks of 1 and nearly empty factors make no model."""

DEFAULT_SVD = 0.5
"""The paper's Table 2 uses x2.0 in three of its four settings."""


class BudgetError(ValueError):
    """A target that these fractions cannot meet.

    Attributes:
        part: the fraction without room: "embedding", "svd", "density"; "all" if three given ones
            do not meet the target; "none" if nothing was given.
        reach: the largest possible target (x) if the target is too large, else the smallest.
    """

    def __init__(self, message: str, part: str, reach: float):
        super().__init__(message)
        self.part = part
        self.reach = reach


@dataclass(frozen=True)
class Matrix:
    """A matrix to be compressed: ``rows`` x ``cols`` as stored (m x n)."""

    name: str
    rows: int
    cols: int
    embedding: bool = False

    @property
    def size(self) -> int:
        return self.rows * self.cols

    @property
    def least_side(self) -> int:
        """The largest rank that it can have."""
        return min(self.rows, self.cols)

    @property
    def full_rank(self) -> float:
        """The rank at which both factors have as many entries as the matrix (Eq. 3, P = 1)."""
        return self.size / (self.rows + self.cols)

    def direction(self, density: float = 1.0) -> float:
        """Entries of both factors per rank, where this share of what is pruned remains."""
        return density * self.rows + (1.0 if self.embedding else density) * self.cols

    def kept(self, rank: int, density: float = 1.0) -> tuple[int, int]:
        """The entries of A (m, rank) and B (n, rank) that remain, at least one each.

        Of word embeddings A alone is pruned, which has a row for each token: all of them use B, and
        it has about a hundredth of the entries.
        """
        a, b = density * rank * self.rows, (1.0 if self.embedding else density) * rank * self.cols
        return max(1, round(a)), max(1, round(b))

    def rank(self, fraction: float, density: float = 1.0) -> int:
        """Eq. 4, floored; at least 1, at most min(m, n).

        Args:
            fraction: of the entries of the matrix, that the factors have.
            density: see `direction`.
        """
        # The epsilon makes 1/3 of 384 ranks 128 and not 127.999...
        found = int(self.size / self.direction(density) * fraction + 1e-9)
        return max(1, min(found, self.rows, self.cols))


@dataclass(frozen=True)
class Inventory:
    """The parts of a model: matrices to compress, and counts of what stays dense, by name.

    ``removed`` counts parameters of the model that its student does not have at all.
    """

    matrices: tuple[Matrix, ...]
    whole: dict[str, int]
    removed: int = 0

    @property
    def word_embeddings(self) -> Matrix:
        (table,) = (m for m in self.matrices if m.embedding)
        return table

    @property
    def embedding(self) -> int:
        return sum(m.size for m in self.matrices if m.embedding)

    @property
    def encoder(self) -> int:
        return sum(m.size for m in self.matrices if not m.embedding)

    @property
    def kept_whole(self) -> int:
        return sum(self.whole.values())

    @property
    def total(self) -> int:
        return self.embedding + self.encoder + self.kept_whole + self.removed

    def with_tokens(self, tokens: int) -> "Inventory":
        """The same model, whose student has word embeddings for so many tokens.

        Example:
            >>> counted = Inventory((Matrix("words", 100, 10, embedding=True),), {"biases": 7})
            >>> fewer = counted.with_tokens(40)
            >>> fewer.embedding, fewer.removed, fewer.total
            (400, 600, 1007)
        """
        table = self.word_embeddings
        matrices = tuple(replace(m, rows=tokens) if m.embedding else m for m in self.matrices)
        gone = (table.rows - tokens) * table.cols
        return replace(self, matrices=matrices, removed=self.removed + gone)


@dataclass(frozen=True)
class Fractions:
    """The paper's three fine-grained ratios as remaining fractions: P_embd, P_svd, P_weight.

    Attributes:
        words: the density of the word embeddings' factor A; the paper does not prune it. P_embd is
            what remains in all: the rank is the higher, the lower this is.
    """

    embedding: float
    svd: float
    density: float
    words: float = 1.0

    @property
    def hybrid(self) -> float:
        """Eq. 6."""
        return self.svd * self.density

    def for_words(self, table: Matrix) -> "Fractions":
        """The same, with a density at which no rank is above the largest possible.

        Example:
            >>> table = Matrix("words", 100, 10, embedding=True)
            >>> Fractions(0.5, 0.5, 0.4, words=0.25).for_words(table).words
            0.4
        """
        least = (self.embedding * table.size / table.least_side - table.cols) / table.rows
        return replace(self, words=max(self.words, least))


def literal_ratio(embeddings: int, layers: int, head: int, fractions: Fractions) -> float:
    """Ratio by Eq. 7 read literally: ALL parameters of embeddings and layers are scaled.

    Args:
        embeddings, layers: parameters of the embedding module and of all encoder layers.
        head: pooler and classifier, which stay dense.
    """
    kept = fractions.embedding * embeddings + fractions.hybrid * layers + head
    return (embeddings + layers + head) / kept


def exact_ratio(inventory: Inventory, fractions: Fractions) -> float:
    """Ratio as the project counts it, before ranks are rounded to integers."""
    kept = (
        fractions.embedding * inventory.embedding
        + fractions.hybrid * inventory.encoder
        + inventory.kept_whole
    )
    return inventory.total / kept


def floored_ratio(inventory: Inventory, fractions: Fractions) -> float:
    """Ratio as the project counts it, with every rank floored (Eq. 4)."""
    kept = float(inventory.kept_whole)
    for m in inventory.matrices:
        if m.embedding:
            kept += m.rank(fractions.embedding, fractions.words) * m.direction(fractions.words)
        else:
            kept += m.rank(fractions.svd) * m.direction(fractions.density)
    return inventory.total / kept


def solve_default(inventory: Inventory, target: float) -> Fractions:
    """Fractions that meet ``target`` with nothing given (``ratios=solved``).

    Word embeddings and encoder share the budget in proportion to the square roots of their sizes:
    ``P_embd : P_hybrid = sqrt(|encoder|) : sqrt(|word embeddings|)``. For bert-base that is 1.9,
    close to the result of the paper's random search at x7.5 (1.73); where the word embeddings
    dominate, the proportion is below 1. P_svd is 1/2 (Table 2), or P_hybrid if that is more.

    Raises:
        BudgetError: less than one percent of a part would remain, or the target is below 1.
    """
    e, n = inventory.embedding, inventory.encoder
    proportion = math.sqrt(n / e)
    least = LEAST_KEPT * max(1.0, 1.0 / proportion)
    reach = inventory.total / (inventory.kept_whole + least * (proportion * e + n))
    budget = entries_left(inventory, target, reach, "none")
    hybrid = budget / (proportion * e + n)
    embedding = proportion * hybrid
    if embedding > 1.0:
        embedding, hybrid = 1.0, (budget - e) / n
    elif hybrid > 1.0:
        embedding, hybrid = (budget - n) / e, 1.0
    if min(embedding, hybrid) < LEAST_KEPT:
        raise too_large(target, "none", reach)
    svd = max(DEFAULT_SVD, hybrid)
    return Fractions(embedding, svd, hybrid / svd)


SCALED = 0.4
"""The density of `solve_scaled`, if none is given."""


def solve_scaled(inventory: Inventory, target: float, density: float = SCALED) -> Fractions:
    """As `solve_default`, with ``P_svd = P_hybrid / density``: a fixed share of the entries stays.

    With the fixed P_svd of `solve_default` the more entries are pruned the smaller the model gets,
    at x20 over nine of ten. The density is higher where it would make P_svd more than 1.

    Args:
        density: the share of the entries of the factors that stays.

    Raises:
        BudgetError: as `solve_default`.
    """
    both = solve_default(inventory, target)
    svd = min(1.0, both.hybrid / density)
    return Fractions(both.embedding, svd, both.hybrid / svd)


def solve_fast(inventory: Inventory, target: float) -> Fractions:
    """As `solve_default`, with the encoder's whole budget spent on rank: no entry is pruned.

    Zeros inside a matrix take as much time as other numbers; a lower rank takes less.

    Raises:
        BudgetError: as `solve_default`.
    """
    both = solve_default(inventory, target)
    return Fractions(both.embedding, both.hybrid, 1.0)


def solve_masks(inventory: Inventory, target: float) -> float:
    """The density of every matrix, word embeddings included, that meets ``target``.

    Raises:
        BudgetError: less than one percent would remain, or the target is below 1.
    """
    size = inventory.embedding + inventory.encoder
    reach = inventory.total / (inventory.kept_whole + LEAST_KEPT * size)
    fraction = entries_left(inventory, target, reach, "none") / size
    if fraction < LEAST_KEPT:
        raise too_large(target, "none", reach)
    return min(fraction, 1.0)


def solve_missing(
    inventory: Inventory,
    target: float,
    *,
    embedding: float | None = None,
    svd: float | None = None,
    density: float | None = None,
    tolerance: float = 0.01,
) -> Fractions:
    """Fractions that meet ``target``: two are given and the third is solved; or three are checked.

    Raises:
        BudgetError: the solved fraction falls outside its range, or all three were given and
            their ratio differs from the target by more than ``tolerance`` (a share of it).
        ValueError: fewer than two were given, or one lies outside (0, 1].
    """
    given = {"embedding": embedding, "svd": svd, "density": density}
    for name, value in given.items():
        if value is not None and not 0.0 < value <= 1.0:
            raise ValueError(f"fraction {name} = {value:.4g} is outside (0, 1]")
    missing = [name for name, value in given.items() if value is None]
    if len(missing) > 1:
        raise ValueError(f"two of the three fractions are needed; missing: {', '.join(missing)}")
    e, n = inventory.embedding, inventory.encoder
    if not missing:
        assert embedding is not None and svd is not None and density is not None
        fractions = Fractions(embedding, svd, density)
        ratio = exact_ratio(inventory, fractions)
        if abs(ratio - target) > tolerance * target:
            raise BudgetError(
                f"the three ratios make x{ratio:.3f}, the target is x{target:g}", "all", ratio
            )
        return fractions
    if missing == ["embedding"]:
        assert svd is not None and density is not None
        reach = inventory.total / (inventory.kept_whole + LEAST_KEPT * e + svd * density * n)
        kept = svd * density * n
        value = (entries_left(inventory, target, reach, "embedding") - kept) / e
        most = inventory.total / (inventory.kept_whole + e + kept)
        return Fractions(_solved(target, "embedding", value, LEAST_KEPT, reach, most), svd, density)
    assert embedding is not None
    other = svd if svd is not None else density
    assert other is not None
    reach = inventory.total / (inventory.kept_whole + embedding * e + LEAST_KEPT * n)
    value = (entries_left(inventory, target, reach, missing[0]) - embedding * e) / (n * other)
    most = inventory.total / (inventory.kept_whole + embedding * e + other * n)
    value = _solved(target, missing[0], value, LEAST_KEPT / other, reach, most)
    if svd is None:
        return Fractions(embedding, value, other)
    return Fractions(embedding, other, value)


def entries_left(inventory: Inventory, target: float, reach: float, part: str) -> float:
    """Entries that may remain in the matrices at ``target``."""
    if not target >= 1.0:
        raise BudgetError(f"a target of x{target:g} enlarges the model", "none", 1.0)
    budget = inventory.total / target - inventory.kept_whole
    if budget <= 0:
        raise too_large(target, part, reach)
    matrices = inventory.embedding + inventory.encoder
    if budget > matrices:  # only where something is removed
        least = inventory.total / (inventory.kept_whole + matrices)
        raise BudgetError(
            f"the student is x{least:.2f} before a matrix is compressed; give a larger target",
            "none",
            least,
        )
    return budget


def too_large(target: float, part: str, reach: float) -> BudgetError:
    """The error of a target (x) above ``reach``, the largest that is possible."""
    # Rounded down, so that the named target is possible.
    shown = math.floor(reach * 100) / 100
    return BudgetError(f"x{target:g} is out of reach; the largest is x{shown:.2f}", part, reach)


def _solved(
    target: float, part: str, value: float, least: float, largest: float, smallest: float
) -> float:
    """``value`` of a solved fraction, if it lies between ``least`` and 1."""
    if value < least:
        raise too_large(target, part, largest)
    if value > 1.0 + 1e-9:
        raise BudgetError(
            f"x{target:g} would need more than all of a part ({part} {value:.3f}); the smallest "
            f"target with these ratios is x{smallest:.2f}",
            part,
            smallest,
        )
    return min(value, 1.0)
