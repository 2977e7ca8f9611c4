"""What a search has found: the best trial, and its ratios as a choice of conf/."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lada.config.whole import keys
from lada.files import write_text
from lada.program import conf_folder
from lada.report.record import command_line
from lada.search.compose import FLAG
from lada.search.settings import SearchSettings
from lada.search.space import Space

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

Row = dict[str, Any]
"""See `row_of`."""


def row_of(trial: "FrozenTrial", front: Sequence[int], space: Space) -> Row:
    """A trial as plain values.

    Args:
        front: the numbers of the trials on the Pareto front.

    Returns:
        ``trial`` (its number), ``state``: done, stopped, failed or running; ``front``; ``params``;
        and what is known of ``attempts``, ``error``, ``folder``, ``words``, ``measured`` (score,
        bytes, ms) and ``fractions``.
    """
    states = {"COMPLETE": "done", "PRUNED": "stopped", "FAIL": "failed"}
    return {
        "trial": trial.number,
        "state": states.get(trial.state.name, "running"),
        "front": trial.number in front,
        "params": space.values_of(trial.params, trial.number),
        **trial.user_attrs,
    }


def best_of(rows: Sequence[Row], search: SearchSettings) -> Row | None:
    """The trial with the best validation score within the limits; the smaller file of equal ones.

    Dev scores are not looked at: they are of the run that is made with what was found.

    Returns:
        None where no trial is done and within the limits.
    """
    done = [
        row
        for row in rows
        if row["state"] == "done"
        and (search.max_mb is None or row["measured"]["bytes"] <= search.max_mb * 1e6)
        and (search.max_ms is None or row["measured"]["ms"] <= search.max_ms)
    ]
    return min(
        done,
        key=lambda row: (
            -row["measured"]["score"],
            row["measured"].get("bytes", 0.0),
            row["trial"],
        ),
        default=None,
    )


def ratios_text(best: Row, name: str, trials: int) -> str:
    """The ratios of a trial as a file of ``conf/ratios``; the pruning ratio is solved.

    The file is meant to be shared: paths in the command of its comment are PATH.

    Raises:
        KeyError: the trial has no ratios.
    """
    fractions = best["fractions"]
    paths = [key for key, of in keys().items() if of.path]
    command = command_line(command_words(best, name), paths, "lada compress")
    return (
        f"# The best of {trials} trials of lada search: {best['measured']['score']:.4g} "
        f"{'on the validation split' if 'bytes' in best['measured'] else 'by proxy'}\n"
        f"# {command}\n"
        "rule: custom\n"
        f"embedding: {1.0 / fractions['embedding']!r}\n"
        f"svd: {1.0 / fractions['svd']!r}\n"
    )


def command_words(best: Row, name: str | None) -> list[str]:
    """The words of a run like a trial; with its ratios by their name, if they have one."""
    if name is None:
        return list(best["words"])
    rest = [word for word in best["words"] if not word.startswith(("ratios=", "ratios."))]
    return [*rest, f"ratios=found/{name}"]


def place_of(folder: Path, words: Sequence[str], home: Path) -> Path:
    """The conf/ that gets the ratios: yours (--config-dir), that of a checkout, or the search's."""
    for word in words:
        if word.startswith(FLAG):
            return home / word.removeprefix(FLAG)
    shipped = conf_folder()
    return folder / "conf" if shipped.parent.name == "lada" else shipped


def write_ratios(best: Row, name: str, trials: int, conf: Path) -> Path:
    """Write the ratios of the best trial into a conf/; returns the file."""
    file = conf / "ratios" / "found" / f"{name}.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    write_text(file, ratios_text(best, name, trials))
    return file
