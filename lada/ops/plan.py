"""From fractions to the rank and the unpruned entries of every matrix, round by round.

Counted as in `lada.ops.budget`; ranks by LadaBERT Eq. 3-4, or by spectra (`lada.ops.allocate`).
"""

from collections.abc import Sequence
from dataclasses import astuple, dataclass

from lada.ops.allocate import (
    Spectra,
    floored_ranks,
    left_for_encoder,
    ranks_within,
    uniform_ranks,
)
from lada.ops.budget import (
    LEAST_KEPT,
    BudgetError,
    Fractions,
    Inventory,
    Matrix,
    solve_masks,
    too_large,
)
from lada.ops.schedule import kept_fraction, progress


@dataclass(frozen=True)
class Share:
    """The plan of one matrix: a rank, and how many entries of A (m, rank), B (n, rank) remain."""

    name: str
    rank: int
    kept_a: int
    kept_b: int

    @property
    def counts(self) -> tuple[int, ...]:
        """Unpruned entries of each part."""
        return self.kept_a, self.kept_b

    @property
    def kept(self) -> int:
        return sum(self.counts)


@dataclass(frozen=True)
class MaskShare:
    """The plan of one matrix that is pruned without factors: how many of its entries remain."""

    name: str
    kept: int

    @property
    def counts(self) -> tuple[int, ...]:
        return (self.kept,)


@dataclass(frozen=True)
class UnitShare(MaskShare):
    """The plan of one matrix that is pruned by whole rows or columns.

    ``kept`` is its share of what all matrices keep together; the training decides which lines stay.

    Attributes:
        length: entries of a row, or of a column, whichever is pruned as a whole.
        axis: 0: these are rows; 1: columns.
    """

    length: int
    axis: int


@dataclass(frozen=True)
class Round:
    """One compression: the share of every matrix and the ratio of the whole model after it."""

    shares: tuple[Share | MaskShare, ...]
    nonzeros: int
    ratio: float


@dataclass(frozen=True)
class Plan:
    """All rounds of a run. ``rounds[-1]`` meets the target."""

    target: float | None  # None: the published size
    total: int
    fractions: Fractions | None  # None: the method has none
    rounds: tuple[Round, ...]
    start: str = "compressed"  # see `lada.ops.schedule.progress`
    spectral: bool = False  # whether spectra of weights decided the ranks, not shapes alone
    layers: int | None = None  # of the student, where it has some of the teacher's; None: all

    @property
    def delta(self) -> float:
        """Mean share of the parameters that a round keeps (the paper's Delta).

        A first round that compresses nothing does not count.
        """
        steps = sum(t > 0 for t in progress(len(self.rounds), self.start))
        return float(self.rounds[-1].ratio ** (-1.0 / steps))

    @property
    def lowerings(self) -> list[int]:
        """Indices of the rounds in which a matrix has a lower rank than in the round before."""
        falls = [k for ranks in self.ranks.values() for k in range(1, len(ranks))
                 if ranks[k] < ranks[k - 1]]  # fmt: skip
        return sorted(set(falls))

    @property
    def ranks(self) -> dict[str, list[int]]:
        """The ranks of each factorized matrix, one per round."""
        out: dict[str, list[int]] = {}
        for round_ in self.rounds:
            for share in round_.shares:
                if isinstance(share, Share):
                    out.setdefault(share.name, []).append(share.rank)
        return out


def make_plan(
    inventory: Inventory,
    target: float,
    fractions: Fractions,
    shape: str,
    rounds: int,
    round_to: int = 1,
    *,
    start: str = "compressed",
    spectra: Spectra | None = None,
) -> Plan:
    """Ranks and unpruned entries of every matrix at every round; the last round meets the target.

    At progress t each of the three fractions is ``kept_fraction(shape, P, t)``. Fraction 1 of a
    rank is not all of it: it is mn / (m + n), where the factors are as large as the matrix. A plan
    that starts in full therefore counts ranks in units of min(m, n): at progress 0 the product of
    the factors is the matrix, and they have more parameters than it.

    In the last round, the error of rounding ranks is balanced by the density, or, at density 1, by
    raising or lowering ranks of single matrices. This round is the same for every start. No count
    rises from a round to the next.

    Args:
        round_to: the final ranks of the encoder's matrices are multiples of this, as far as budget
            and matrices allow: engines multiply in blocks of so many numbers.
        start: the progress of the rounds, see `lada.ops.schedule.progress`.
        spectra: the ranks of all matrices, word embeddings included, are those of the least error
            by these (`lada.ops.allocate.ranks_within`), at the densities of ``fractions``, whose
            other two do not count. In place of them the fraction of all matrices together falls
            from round to round, or, from a start in full, each rank. The plan has the fractions
            that come of it.

    Raises:
        BudgetError: rounded ranks leave no budget (a model of a few thousand parameters).
        ValueError: ``rounds`` < 1, or ``shape`` or ``start`` is unknown.

    Example:
        >>> matrices = Matrix("words", 100, 10, embedding=True), Matrix("query", 20, 20)
        >>> small = Inventory(matrices, {})
        >>> plan = make_plan(small, 4, Fractions(0.2, 0.5, 0.6), "linear", 3, start="full")
        >>> [[share.rank for share in round_.shares] for round_ in plan.rounds]
        [[10, 20], [6, 12], [2, 5]]
    """
    early = progress(rounds, start)[:-1]
    if spectra is None:
        fractions = fractions.for_words(inventory.word_embeddings)
    size = inventory.embedding + inventory.encoder
    budget = inventory.total / target - inventory.kept_whole

    def at(t: float) -> Fractions:
        return Fractions(*(kept_fraction(shape, p, t) for p in astuple(fractions)))

    def by_spectra(spectra: Spectra, t: float) -> dict[str, int]:
        # What a student lacks altogether may leave room for more than the matrices.
        entries = max(budget, size * kept_fraction(shape, min(budget / size, 1.0), t))
        how = (target, entries, at(t).density, round_to)
        # Where entries are pruned, a higher density takes what is left over.
        fill = t == fractions.density == 1.0
        return ranks_within(inventory, spectra, *how, words=at(t).words, fill=fill)

    if spectra is None:
        ranks = uniform_ranks(inventory, target, fractions, round_to)
    else:
        ranks = by_spectra(spectra, 1.0)
    last = _final_shares(inventory, target, ranks, fractions.words)
    shares = [last]
    for t in reversed(early):
        if start == "full":
            ranks = _ranks_from_full(inventory, last, shape, t)
        elif spectra is not None:
            ranks = by_spectra(spectra, t)
        else:
            ranks = floored_ranks(inventory, at(t))
        shares.insert(0, _no_less(_shares(inventory, ranks, at(t)), shares[0]))
    if spectra is not None:
        fractions = _reached(inventory, last)
    found = tuple(_as_round(inventory, row) for row in shares)
    return Plan(target, inventory.total, fractions, found, start, spectra is not None)


def make_mask_plan(
    inventory: Inventory, target: float, shape: str, rounds: int, *, start: str = "compressed"
) -> Plan:
    """Unpruned entries of every matrix, word embeddings included, for pruning without factors.

    All matrices have the same density: at progress t ``kept_fraction(shape, P, t)``.

    Args:
        start: the progress of the rounds, see `lada.ops.schedule.progress`.

    Raises:
        BudgetError: less than one percent would remain, or the target is below 1.
        ValueError: ``rounds`` < 1, or ``shape`` or ``start`` is unknown.
    """
    at = progress(rounds, start)
    sizes = [m.size for m in inventory.matrices]
    fraction = solve_masks(inventory, target)
    budget = round(inventory.total / target) - inventory.kept_whole
    out = []
    for k, t in enumerate(at, 1):
        kept = round(kept_fraction(shape, fraction, t) * sum(sizes))
        counts = _spread(sizes, budget if k == rounds else max(budget, kept))
        shares = zip(inventory.matrices, counts, strict=True)
        out.append(tuple(MaskShare(m.name, count) for m, count in shares))
    found = tuple(_as_round(inventory, row) for row in out)
    return Plan(target, inventory.total, None, found, start)


def make_table_plan(
    inventory: Inventory,
    total: int,
    target: float | None,
    how: str,
    shape: str,
    rounds: int,
    *,
    solved: bool = False,
    start: str = "compressed",
) -> Plan:
    """The plan of a student that is small by its shape: only word embeddings are compressed.

    Args:
        inventory: of the student.
        total: parameters of the teacher, to which the ratio refers.
        target: None: nothing is compressed.
        how: "keep": nothing is compressed; "svd": their rank is lowered; "prune": their entries.
        solved: whether the student already has the possible shape nearest to the target.
        start: the progress of the rounds, see `lada.ops.schedule.progress`; their whole rank is
            counted as in `make_plan`.

    Raises:
        BudgetError: the target is out of reach, or the student is smaller without compression.
        ValueError: ``rounds`` < 1, or ``shape`` or ``start`` is unknown.
    """
    at = progress(rounds, start)
    table = inventory.word_embeddings
    rest = inventory.total - table.size
    unit = table_unit(table, how)
    if target is None or how == "keep":
        whole = Round((), inventory.total, total / inventory.total)
        if target is not None and whole.ratio < 0.995 * target:
            raise too_large(target, "embedding", whole.ratio)
        if target is not None and not solved and whole.ratio > 1.005 * target:
            raise _small_by_itself(whole.ratio)
        return Plan(target, total, None, (whole,))
    least = least_table(table, how)
    budget = int(total / target) - rest
    if budget < least:
        raise too_large(target, "embedding", total / (rest + least))
    if budget >= table.size:
        raise _small_by_itself(total / inventory.total)
    whole_rank = start == "full" and how == "svd"
    most = unit * min(table.rows, table.cols) if whole_rank else table.size
    out = []
    for k, t in enumerate(at, 1):
        kept = most * kept_fraction(shape, budget / most, t)
        count = budget if k == rounds else max(budget, round(kept))
        share: Share | MaskShare = MaskShare(table.name, count)
        if how == "svd":
            rank = min(count // unit, table.rows, table.cols)
            share = Share(table.name, rank, table.rows * rank, table.cols * rank)
        nonzeros = rest + share.kept
        out.append(Round((share,), nonzeros, total / nonzeros))
    return Plan(target, total, None, tuple(out), start)


def _small_by_itself(ratio: float) -> BudgetError:
    message = f"the student is x{ratio:.2f} by itself; give a larger target, or target=none"
    return BudgetError(message, "embedding", ratio)


def table_unit(table: Matrix, how: str) -> int:
    """Parameters of the smallest step by which word embeddings can be made smaller."""
    return table.rows + table.cols if how == "svd" else 1


def least_table(table: Matrix, how: str) -> int:
    """Parameters of the smallest planned word embeddings: one percent, or rank 1."""
    return max(table_unit(table, how), round(LEAST_KEPT * table.size))


def _as_round(inventory: Inventory, shares: Sequence[Share | MaskShare]) -> Round:
    nonzeros = inventory.kept_whole + sum(s.kept for s in shares)
    return Round(tuple(shares), nonzeros, inventory.total / nonzeros)


def _ranks_from_full(
    inventory: Inventory, last: tuple[Share, ...], shape: str, t: float
) -> dict[str, int]:
    """The rank of every matrix on its way from min(m, n) to its last one, floored."""
    out = {}
    for m, share in zip(inventory.matrices, last, strict=True):
        most = min(m.rows, m.cols)
        # The epsilon as in `Matrix.rank`.
        out[m.name] = int(most * kept_fraction(shape, share.rank / most, t) + 1e-9)
    return out


def _reached(inventory: Inventory, shares: Sequence[Share]) -> Fractions:
    """The fractions that shares make."""
    pairs = list(zip(inventory.matrices, shares, strict=True))
    ((table, words),) = (pair for pair in pairs if pair[0].embedding)
    encoder = [pair for pair in pairs if not pair[0].embedding]
    size = sum(m.size for m, _ in encoder)
    entries = sum((m.rows + m.cols) * s.rank for m, s in encoder)
    kept = sum(s.kept for _, s in encoder)
    return Fractions(
        words.kept / table.size,
        entries / size,
        kept / entries,
        words.kept_a / (table.rows * words.rank),
    )


def _shares(inventory: Inventory, ranks: dict[str, int], fractions: Fractions) -> tuple[Share, ...]:
    """The shares of these ranks; the factors have the densities of ``fractions``."""
    out = []
    for m in inventory.matrices:
        density = fractions.words if m.embedding else fractions.density
        out.append(Share(m.name, ranks[m.name], *m.kept(ranks[m.name], density)))
    return tuple(out)


def _no_less(shares: tuple[Share, ...], later: tuple[Share, ...]) -> tuple[Share, ...]:
    """``shares`` raised where needed, so that no count is below that of a later round."""
    out = []
    for s, after in zip(shares, later, strict=True):
        rank = max(s.rank, after.rank)
        out.append(Share(s.name, rank, max(s.kept_a, after.kept_a), max(s.kept_b, after.kept_b)))
    return tuple(out)


def _final_shares(
    inventory: Inventory, target: float, ranks: dict[str, int], words: float
) -> tuple[Share, ...]:
    rest = left_for_encoder(inventory, target, ranks, words)
    encoder = [m for m in inventory.matrices if not m.embedding]
    kept = _spread([side * ranks[m.name] for m in encoder for side in (m.rows, m.cols)], rest)
    pairs = iter(zip(kept[::2], kept[1::2], strict=True))
    spare = rest - sum(kept)  # where the encoder keeps all
    out = []
    for m in inventory.matrices:
        rank = ranks[m.name]
        a, b = m.kept(rank, words) if m.embedding else next(pairs)
        if m.embedding:
            a = min(a + max(spare, 0), m.rows * rank)
        out.append(Share(m.name, rank, a, b))
    return tuple(out)


def _spread(sizes: list[int], budget: int) -> list[int]:
    """Split ``budget`` over factors in proportion to their sizes, exactly, as integers."""
    total = sum(sizes)
    if budget >= total:
        return list(sizes)
    kept = [max(1, size * budget // total) for size in sizes]
    spare = budget - sum(kept)
    for i in sorted(range(len(sizes)), key=lambda j: -sizes[j])[: max(spare, 0)]:
        kept[i] += 1
    return kept
