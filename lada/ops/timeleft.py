"""How long a run of several kinds of work will take, from what was measured so far. Pure numbers.

Amounts of work are in one unit, such as tokens of a forward pass: they are guesses of how the kinds
compare. Of a kind that has begun, the measured speed counts; of one that has not, the speed of all
that was measured.
"""

from collections.abc import Mapping
from dataclasses import dataclass

TRUST = 0.02
"""The share of a kind's work that has to be done for its own speed to count as much as that of the
rest: a few steps say little."""


@dataclass
class _Kind:
    amount: float
    done: float = 0.0
    seconds: float = 0.0
    first: tuple[float, float] | None = None
    apart: bool = False

    def did(self, amount: float, seconds: float) -> None:
        if self.first is None:
            self.first = (amount, seconds)
        self.done += amount
        self.seconds += seconds

    @property
    def measured(self) -> tuple[float, float]:
        """Work and its seconds, without the first piece, which is slower than others.

        Where it is all that was done it does not count, unless the work is over.
        """
        if self.first is None or (self.done <= self.first[0] and self.done >= self.amount):
            return self.done, self.seconds
        return self.done - self.first[0], self.seconds - self.first[1]


class TimeLeft:
    """The time that is left of a run.

    Args:
        amounts: work by kind, in one unit.

    Example:
        >>> left = TimeLeft({"teacher": 300.0, "student": 600.0})
        >>> left.seconds() is None  # nothing is measured yet
        True
        >>> left.did("teacher", 300.0, 30.0)
        >>> round(left.seconds())
        60
        >>> left.did("student", 300.0, 60.0)  # it is slower than was guessed
        >>> round(left.seconds())  # its first piece alone says nothing of the others
        30
        >>> round(left.share(), 2)
        0.75
    """

    def __init__(self, amounts: Mapping[str, float]):
        self._kinds = {kind: _Kind(amount) for kind, amount in amounts.items()}
        self._other = 0.0

    def expect(self, kind: str, amount: float, *, apart: bool = False) -> None:
        """Set the whole work of a kind, done work included; 0: there is none.

        Args:
            apart: whether its speed says nothing of that of other kinds.
        """
        found = self._kinds.setdefault(kind, _Kind(amount))
        found.amount, found.apart = amount, apart

    def finish(self, kind: str) -> None:
        """Note that a kind of work is over, however much of it was expected."""
        found = self._kinds.setdefault(kind, _Kind(0.0))
        found.amount = found.done

    def did(self, kind: str, amount: float, seconds: float) -> None:
        """Note that so much work of a kind has taken so many seconds more."""
        self._kinds.setdefault(kind, _Kind(0.0)).did(amount, seconds)

    def spent(self, seconds: float) -> None:
        """Note seconds that were spent on something else, which tell nothing of what is left."""
        self._other += seconds

    def seconds(self) -> float | None:
        """The seconds that are left; None: nothing was measured yet."""
        kinds = self._kinds.values()
        alike = [kind for kind in kinds if not kind.apart]
        done, seconds = _sums([kind.measured for kind in alike])
        if done <= 0:  # the first piece of the run
            done, seconds = _sums([(kind.done, kind.seconds) for kind in alike])
        if done <= 0:
            return None
        overall = seconds / done
        found = 0.0
        for kind in kinds:
            work, took = kind.measured
            prior = TRUST * kind.amount
            speed = (took + prior * overall) / (work + prior) if work + prior > 0 else overall
            found += max(0.0, kind.amount - kind.done) * speed
        return found

    def share(self) -> float:
        """The share of the time of the run that is over, from 0 to 1; 0: nothing was measured."""
        left = self.seconds()
        spent = self._other + sum(kind.seconds for kind in self._kinds.values())
        return 0.0 if left is None or spent <= 0 else spent / (spent + left)


def _sums(pairs: list[tuple[float, float]]) -> tuple[float, float]:
    return sum(work for work, _ in pairs), sum(seconds for _, seconds in pairs)


def shown(seconds: float) -> str:
    """A time as a person says it.

    Example:
        >>> [shown(seconds) for seconds in (7, 61, 150, 3700, 90_000)]
        ['under a minute', '1 min', '3 min', '1 h 2 min', '25 h']
    """
    minutes = round(seconds / 60 + 1e-9)
    if seconds < 60:
        return "under a minute"
    if minutes < 60:
        return f"{minutes} min"
    hours, rest = divmod(minutes, 60)
    return f"{hours} h" if hours >= 10 or rest == 0 else f"{hours} h {rest} min"
