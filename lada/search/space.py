"""Ranges of keys, and the words of a trial.

A key has a range if its value is ``uniform(LOW,HIGH)``, ``log(LOW,HIGH)``, ``int(LOW,HIGH)`` or
``choice(A,B,...)``. Groups may have choices, too: ``method=choice(lada,lada_plus)``.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lada.errors import LadaError
from lada.values import shown

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

_RANGE = re.compile(r"(uniform|log|int|choice)\((.*)\)", re.DOTALL)
_OPEN, _CLOSED = "([{", ")]}"
NUMBERED = "ratios.draw"
"""The key that has a trial's number where ``ratios=random`` is given without it."""
POINT = {"ratios.encoder": "uniform(0,1)", "ratios.by_rank": "uniform(0,1)"}
"""The ranges that ``ratios=search`` stands for."""


@dataclass(frozen=True)
class Range:
    """The values that a key may have in a trial.

    Attributes:
        kind: uniform, log, int or choice.
        ends: the least and the largest number, both included.
        options: of a choice, as they are on the command line.
    """

    key: str
    kind: str
    ends: tuple[float, float] = (0.0, 0.0)
    options: tuple[str, ...] = ()

    def distribution(self) -> "BaseDistribution":
        """What Optuna samples from."""
        from optuna.distributions import (
            CategoricalDistribution,
            FloatDistribution,
            IntDistribution,
        )

        if self.kind == "choice":
            return CategoricalDistribution(self.options)
        low, high = self.ends
        if self.kind == "int":
            return IntDistribution(int(low), int(high))
        return FloatDistribution(low, high, log=self.kind == "log")

    @property
    def extremes(self) -> tuple[Any, Any]:
        """The first and the last of the values."""
        if self.kind == "choice":
            return self.options[0], self.options[-1]
        return (int(self.ends[0]), int(self.ends[1])) if self.kind == "int" else self.ends


@dataclass(frozen=True)
class Space:
    """What the trials of a search have in common, and in what they differ.

    Attributes:
        words: of the command line, without those that have a range.
        ranges: in the order of the command line.
        numbered: whether `NUMBERED` is the number of the trial.
    """

    words: tuple[str, ...]
    ranges: tuple[Range, ...]
    numbered: bool = False

    def words_of(self, params: Mapping[str, Any], number: int) -> list[str]:
        """The command line of a trial.

        Example:
            >>> space = read_space(["task=demo", "optim.lr=log(1e-4,1e-2)", "ratios=random"])
            >>> space.words_of({"optim.lr": 0.003}, number=7)
            ['task=demo', 'ratios=random', 'optim.lr=0.003', 'ratios.draw=7']
        """
        own = self.values_of(params, number)
        return [*self.words, *(f"{key}={value}" for key, value in own.items())]

    def values_of(self, params: Mapping[str, Any], number: int) -> dict[str, Any]:
        """The keys in which a trial differs from others."""
        chosen = {r.key: params[r.key] for r in self.ranges}
        return chosen | ({NUMBERED: number} if self.numbered else {})

    @property
    def finds_ratios(self) -> bool:
        """Whether trials differ in their ratios."""
        return self.numbered or any(r.key.partition(".")[0] == "ratios" for r in self.ranges)


def read_space(words: Sequence[str]) -> Space:
    """The space that the words of a command line describe.

    Raises:
        LadaError: a range is wrong, none is given, or a word cannot be one of a trial.
    """
    words = _with_points(words)
    fixed = list[str]()
    ranges = list[Range]()
    for word in words:
        _check_word(word)
        key, _, value = word.partition("=")
        found = _range(key, value)
        if found is None:
            fixed.append(word)
        elif any(found.key == other.key for other in ranges):
            raise LadaError(f"{shown(word)}: {found.key} has a range already. Give one of them.")
        else:
            ranges.append(found)
    keys = {word.partition("=")[0] for word in words}
    numbered = "ratios=random" in words and NUMBERED not in keys
    if not ranges and not numbered:
        raise LadaError(
            "search: no key has a range. Give ratios=search, ratios=random, or a range such as "
            "'optim.lr=log(1e-4,1e-3)' or 'schedule.rounds=choice(2,4,8)'."
        )
    fixed.sort(key=lambda word: not word.startswith("-"))  # where argparse expects options
    return Space(tuple(fixed), tuple(ranges), numbered)


def _with_points(words: Sequence[str]) -> list[str]:
    """The words with the ranges in the place of ``ratios=search``."""
    if "ratios=search" not in words:
        return list(words)
    given = {word.partition("=")[0] for word in words}
    ranges = [f"{key}={value}" for key, value in POINT.items() if key not in given]
    return [*("ratios=point" if word == "ratios=search" else word for word in words), *ranges]


def _check_word(word: str) -> None:
    key, equals, _ = word.partition("=")
    if key.startswith("-") and key != "--config-dir":
        raise LadaError(f"{shown(word)}: a search takes KEY=VALUE and --config-dir=DIR alone.")
    if not equals:
        raise LadaError(f"{shown(word)}: is not KEY=VALUE. Write it so.")
    if key in ("hydra.run.dir", "resume") or key.startswith("hydra.sweep"):
        raise LadaError(
            f"{shown(word)}: a search has its own folders, and resumes its trials. Leave it out."
        )


def _range(key: str, value: str) -> Range | None:
    match = _RANGE.fullmatch(value.strip())
    if match is None:
        return None
    kind, parts = match[1], _split(match[2])
    wrong = f"{key}={shown(value)}: is not a range. "
    if kind == "choice":
        if not all(parts) or len({*parts}) < len(parts):
            raise LadaError(f"{wrong}Give different values, as in choice(2,4,8).")
        return Range(key, kind, options=tuple(parts))
    try:
        low, high = (int(p) if kind == "int" else float(p) for p in parts)
    except ValueError:
        example = {"int": "int(2,8)", "log": "log(1e-4,1e-3)"}.get(kind, "uniform(0,1)")
        raise LadaError(f"{wrong}Give two numbers, as in {example}.") from None
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise LadaError(f"{wrong}Give two finite numbers, the smaller one first.")
    if kind == "log" and low <= 0:
        raise LadaError(f"{wrong}Give a lower end over 0, or uniform(...).")
    return Range(key, kind, ends=(low, high))


def _split(text: str) -> list[str]:
    """The parts between commas, but for those in brackets or quotes."""
    parts, depth, quote = [""], 0, ""
    for letter in text:
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"":
            quote = letter
        depth += (letter in _OPEN) - (letter in _CLOSED) if not quote else 0
        if letter == "," and not depth and not quote:
            parts.append("")
        else:
            parts[-1] += letter
    return [part.strip() for part in parts]
