"""What a search is asked for."""

import re
from typing import Any, Literal

from lada.errors import LadaError, did_you_mean
from lada.schema import Text, build, consistent, keys_of, setting, settings

OBJECTIVES: dict[str, Literal["minimize", "maximize"]] = {
    "score": "maximize",
    "bytes": "minimize",
    "ms": "minimize",
}
"""What can be searched for, and the direction that is better."""


@settings("search")
class SearchSettings:
    """A search; the same for all of its workers."""

    trials: int = setting(
        20, "trials in all, those that fail or are stopped included", least=1, most=100_000,
        why="every transaction reads the whole journal",
    )  # fmt: skip
    objectives: Text = setting(
        "score",
        "what is searched for: `score` on the validation split, `bytes` of the file, `ms` for one "
        "example; several as `[score,bytes,ms]`",
    )
    sampler: Literal["tpe", "random", "nsga"] = setting(
        "tpe", "how Optuna chooses values; `random` does not learn from the trials before"
    )
    seed: int = setting(1, "of the sampler", least=0, most=2**32 - 1)
    halving: Text | None = setting(
        None,
        "steps of the student's training after which trials that validate worse than others did "
        "are stopped, such as `[200,400]`",
    )
    keep: float = setting(
        0.5, "fraction of the trials that `halving` keeps at each step", over=0.0, most=0.99
    )
    proxy: bool = setting(
        False,
        "no runs: a trial is the loss of the predictions after one round and 100 steps, in "
        "seconds; the score is minus that",
    )
    lease: float = setting(
        60.0,
        "seconds without a sign of a worker after which another takes its trial over",
        least=1.0,
        most=86_400.0,
    )
    max_mb: float | None = setting(
        None, "most megabytes of the best trial's file", over=0.0, most=10**6
    )
    max_ms: float | None = setting(
        None, "most milliseconds of the best trial for one example", over=0.0, most=10**6
    )
    name: Text | None = setting(
        None, "of the best ratios, `ratios=found/NAME`; null: that of the folder"
    )

    @consistent("objectives")
    def _known_objectives(self) -> None:
        names = items(self.objectives)
        if not names or len({*names}) < len(names) or not {*names} <= {*OBJECTIVES}:
            raise LadaError(
                f"search.objectives={self.objectives}: choose among {', '.join(OBJECTIVES)}, each "
                "at most once. Several are given as [score,bytes]."
            )

    @consistent("proxy", "objectives", "halving", "max_mb", "max_ms")
    def _proxy_has_a_loss_alone(self) -> None:
        others = {
            "objectives": None if self.objectives == "score" else self.objectives,
            "halving": self.halving,
            "max_mb": self.max_mb,
            "max_ms": self.max_ms,
        }
        for name, value in others.items():
            if self.proxy and value is not None:
                raise LadaError(
                    f"search.{name}={value}: search.proxy=true measures the loss alone. Leave it "
                    "out, or search with whole runs."
                )

    @consistent("halving")
    def _ascending_steps(self) -> None:
        if self.halving is None:
            return
        steps = items(self.halving)
        whole = [int(step) for step in steps if re.fullmatch("[1-9][0-9]{0,7}", step)]
        if not whole or len(whole) < len(steps) or whole != sorted({*whole}):
            raise LadaError(
                f"search.halving={self.halving}: is not an ascending list of steps. Give whole "
                "numbers over 0, as in [200,400]."
            )

    @consistent("name")
    def _name_of_a_file(self) -> None:
        if self.name is not None and not is_name(self.name):
            raise LadaError(
                f"search.name={self.name}: is not the name of a choice. Give letters, digits, "
                "hyphens and underscores."
            )

    @property
    def goals(self) -> list[str]:
        """The objectives, one by one."""
        return items(self.objectives)

    @property
    def rungs(self) -> list[int]:
        """The steps of `halving`, ascending."""
        return [] if self.halving is None else [int(step) for step in items(self.halving)]


def is_name(text: str) -> bool:
    """Whether Hydra takes a text as the name of a choice."""
    return re.fullmatch(r"[A-Za-z0-9_][\w.-]*", text) is not None


def items(text: str) -> list[str]:
    """The parts of a list ``[a,b]``, or of one that is not in brackets.

    Example:
        >>> items("[200, 400]"), items("score")
        (['200', '400'], ['score'])
    """
    bare = text.strip()
    if bare.startswith("[") and bare.endswith("]"):
        bare = bare[1:-1]
    return [part.strip() for part in bare.split(",") if part.strip()]


def settings_of(words: list[str]) -> SearchSettings:
    """The settings of words such as ``search.trials=40``.

    Raises:
        LadaError: with a line for every mistake.
    """
    values: dict[str, Any] = {}
    keys = keys_of(SearchSettings)
    for word in words:
        key, _, text = word.partition("=")
        name = key.removeprefix("search.")
        values[name] = _plain(text, name in keys and keys[name].kind is str)
    built = build(SearchSettings, values)
    names = [key.name for key in keys.values()]
    unknown = [
        f"search.{name}: no such key{did_you_mean(f'search.{name}', names) or '.'} "
        f"The keys of a search are {', '.join(names)}."
        for name in built.unknown
    ]
    if built.lines or unknown:
        raise LadaError(*built.lines, *unknown)
    return built.value


def _plain(text: str, is_text: bool) -> Any:
    """The value that a text stands for, as on the command line of a run."""
    words = {"null": None, "true": True, "false": False}
    if text in words and not (is_text and text != "null"):
        return words[text]
    for kind in () if is_text else (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
