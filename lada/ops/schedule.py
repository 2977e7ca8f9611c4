"""Schedules: the fraction of a matrix that remains, the steps of the rounds, the learning rate.

Pure functions of numbers. Progress ``t`` runs from 0 (nothing compressed) to 1 (the target).
"""

from collections.abc import Callable, Sequence
from itertools import pairwise

Shape = Callable[[float, float], float]


def geometric(final: float, t: float) -> float:
    """Remaining fraction ``final ** t``: every round keeps the same share of what it finds.

    That share is the Delta of LadaBERT (arXiv 2004.04124, section 3.1): with K rounds,
    ``Delta = final ** (1 / K)``.
    """
    return float(final**t)


def linear(final: float, t: float) -> float:
    """Remaining fraction that falls by equal steps: ``1 - (1 - final) * t``."""
    return 1.0 - (1.0 - final) * t


def cubic(final: float, t: float) -> float:
    """Remaining fraction that falls fast, then slowly: ``final + (1 - final) * (1 - t) ** 3``.

    Zhu & Gupta 2017 (arXiv 1710.01878), written for the density instead of the sparsity.
    """
    return float(final + (1.0 - final) * (1.0 - t) ** 3)


SHAPES: dict[str, Shape] = {"geometric": geometric, "linear": linear, "cubic": cubic}


def kept_fraction(shape: str, final: float, t: float) -> float:
    """Remaining fraction at progress ``t`` in [0, 1] on the way to ``final`` in (0, 1].

    Raises:
        ValueError: ``shape`` is unknown, or ``final`` or ``t`` lies outside its range.
    """
    if shape not in SHAPES:
        raise ValueError(f"schedule shape {shape!r} is not one of {', '.join(SHAPES)}")
    if not 0.0 < final <= 1.0:
        raise ValueError(f"final fraction {final} is outside (0, 1]")
    if not 0.0 <= t <= 1.0:
        raise ValueError(f"progress {t} is outside [0, 1]")
    return SHAPES[shape](final, t)


STARTS = ("compressed", "full")
"""What the first round is, see `progress`."""


def progress(rounds: int, start: str) -> list[float]:
    """The progress ``t`` of each round, the last of which is at 1, the target.

    Args:
        rounds: at least 1.
        start: "compressed": the first of K rounds is at 1 / K already; "full": it is at 0, where
            nothing is compressed, and the K - 1 others lead to the target. A single round is at 1.

    Raises:
        ValueError: ``rounds`` < 1, or ``start`` is unknown.

    Example:
        >>> progress(4, "compressed")
        [0.25, 0.5, 0.75, 1.0]
        >>> progress(3, "full")
        [0.0, 0.5, 1.0]
    """
    if rounds < 1:
        raise ValueError(f"{rounds} rounds are not possible; 1 is the least")
    if start not in STARTS:
        raise ValueError(f"start {start!r} is not one of {', '.join(STARTS)}")
    if start == "full" and rounds > 1:
        return [k / (rounds - 1) for k in range(rounds)]
    return [k / rounds for k in range(1, rounds + 1)]


def round_steps(total: int, recovery: float, *, rounds: int | None, every: int | None) -> list[int]:
    """The optimizer steps before which the rounds take place.

    The first round is before step 0; after the last one, at least the share ``recovery`` of the
    ``total`` steps remains. Give exactly one of two arguments: ``rounds`` spreads that many evenly,
    ``every`` puts one at each ``every`` steps as long as the share allows.

    Raises:
        ValueError: a number is out of its range, both or neither of the two were given, or there
            are fewer steps than rounds.
    """
    if total < 1:
        raise ValueError(f"{total} training steps leave no room for a round")
    if not 0.0 <= recovery < 1.0:
        raise ValueError(f"recovery share {recovery} is outside [0, 1)")
    if (rounds is None) == (every is None):
        raise ValueError("give exactly one of rounds and every")
    last = min(int(total * (1.0 - recovery)), total - 1)
    if every is not None:
        if every < 1:
            raise ValueError(f"a round every {every} steps is not possible; 1 is the least")
        return list(range(0, last + 1, every))
    assert rounds is not None
    if rounds < 1:
        raise ValueError(f"{rounds} rounds are not possible; 1 is the least")
    if rounds > last + 1:
        raise ValueError(
            f"{rounds} rounds do not fit into {last + 1} steps ({total} less the recovery share)"
        )
    if rounds == 1:
        return [0]
    return [round(k * last / (rounds - 1)) for k in range(rounds)]


REWARM = 50
"""Most steps over which the learning rate rises again after factors were recomputed."""


def rate(step: int, total: int, up: int, renewals: Sequence[int] = ()) -> float:
    """Factor of the learning rate at optimizer step ``step``, counted from 0.

    Linear warm-up over the first ``up`` of ``total`` steps, then linear decay to 0. When factors
    are recomputed, their optimizer state is cleared, and Adam's first steps from an empty state are
    as large as the learning rate allows. So the rate is multiplied by another linear warm-up after
    each of these steps: over `REWARM` steps, or half of those to the next one (or the end), if that
    is less.

    Args:
        renewals: ascending steps before which factors are recomputed.
    """
    factor = (step + 1) / (up + 1) if step < up else max(0.0, (total - step) / max(1, total - up))
    for start, end in pairwise([*renewals, total]):
        again = min(REWARM, (end - start) // 2)
        if start <= step < start + again:
            factor *= (step - start + 1) / (again + 1)
    return factor


def first_step(share: float, total: int) -> int:
    """The first of ``total`` steps before which this share of them was made; ``total``: none is.

    Example:
        >>> first_step(0.07, 100), first_step(0.7, 408), first_step(0.0, 408)
        (7, 286, 0)
    """
    return next((step for step in range(total) if step / total >= share), total)


def staged_rate(
    step: int, total: int, warmup: float, renewals: Sequence[int] = (), stages: Sequence[int] = ()
) -> float:
    """`rate` of a training in stages, each of which warms up and decays by itself.

    Args:
        warmup: share of the steps of a stage.
        renewals: ascending steps before which factors are recomputed.
        stages: ascending steps before which a new stage begins; one begins at step 0 anyway.

    Example:
        >>> [round(staged_rate(step, 8, 0.25, stages=[4]), 2) for step in range(8)]
        [0.5, 1.0, 0.67, 0.33, 0.5, 1.0, 0.67, 0.33]
    """
    for start, end in pairwise([0, *stages, total]):
        if start <= step < end:
            steps = end - start
            within = [renewal - start for renewal in renewals if start <= renewal < end]
            return rate(step - start, steps, int(steps * warmup), within)
    return 0.0
