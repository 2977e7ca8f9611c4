"""What ``lada search FOLDER ...`` does: start a search, or join one."""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from filelock import FileLock
from rich.console import Console

from lada.errors import LadaError
from lada.report.record import write_json
from lada.report.searched import search_table
from lada.search.compose import check_trials
from lada.search.found import best_of, command_words, place_of, row_of, write_ratios
from lada.search.ledger import Ledger, check_installed
from lada.search.settings import SearchSettings, is_name, settings_of
from lada.search.space import Space, read_space
from lada.search.worker import Worker, compress_command, proxy_command
from lada.training.stop import terminable
from lada.values import shown

SEARCH = "search.json"
"""What all workers of a search have in common."""
TRIALS = "trials.json"
"""All trials, written when they are finished."""


def search(folder: Path, words: Sequence[str]) -> int:
    """Be a worker of the search in ``folder`` until it is finished; then show what it has found.

    Args:
        folder: a new one, or that of a search.
        words: of the command line; none: those of the search in the folder.

    Returns:
        The exit code: 1 if a trial has failed.

    Raises:
        LadaError: the words are wrong, or not those of the search in the folder.
    """
    check_installed()
    folder = folder.absolute()
    about = joined(folder, words)
    settings, space, home = settings_in(about), read_space(about["words"]), Path(about["home"])
    ledger = Ledger(folder, settings, space)
    try:
        with terminable():
            worker = Worker(
                ledger,
                settings,
                space,
                home=home,
                trials=folder / "trials",
                command=proxy_command if settings.proxy else compress_command,
                say=_say,
            )
            worker.work()
        return finish(folder, ledger, settings, space, home)
    finally:
        ledger.close()


def joined(folder: Path, words: Sequence[str]) -> dict[str, Any]:
    """The search in ``folder``, which is made if there is none.

    Returns:
        ``search``: its settings; ``words``: of its trials, with ranges; ``home``: the working
        directory of its runs.

    Raises:
        LadaError: as `search`.
    """
    file = folder / SEARCH
    if not words:
        if not file.is_file():
            raise LadaError(
                f"{folder}: has no search. Give the words of one, such as task=sst2 target=7.5x "
                "ratios=search search.trials=20."
            )
        return _read(file)
    own = [word for word in words if word.startswith("search.")]
    rest = [word for word in words if not word.startswith("search.")]
    settings = settings_of(own)
    space = read_space(rest)
    if settings.name is None:
        _check_name(folder)
    about: dict[str, Any] = {
        "search": asdict(settings),
        "words": rest,
        "home": str(Path.cwd()),
    }
    if not file.is_file():
        check_trials(space)
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".lock"):
        if not file.is_file():
            write_json(file, about)
            return about
    theirs = _read(file)
    for key, value in about["search"].items():
        if theirs["search"].get(key) != value:
            raise LadaError(
                f"search.{key}={shown(value)}: the search in {folder} has "
                f"{shown(theirs['search'].get(key))}. Give the same, another folder, or the folder "
                "alone."
            )
    if theirs["words"] != rest:
        raise LadaError(
            f"{folder}: has a search with other words: {' '.join(theirs['words'])}. Give the same, "
            "another folder, or the folder alone."
        )
    return theirs


def settings_in(about: dict[str, Any]) -> SearchSettings:
    """The settings of the search in a folder."""
    return SearchSettings(**about["search"])


def finish(folder: Path, ledger: Ledger, settings: SearchSettings, space: Space, home: Path) -> int:
    """Write and show what a finished search has found; returns the exit code."""
    front = [trial.number for trial in ledger.best_of_each()]
    rows = [row_of(trial, front, space) for trial in ledger.trials()]
    best = best_of(rows, settings)
    number = None if best is None else int(best["trial"])
    write_json(folder / TRIALS, {"best": number, "trials": rows})
    Console().print(search_table(rows, number))
    failed = [row for row in rows if row["state"] == "failed"]
    for row in failed:
        print(f"trial {row['trial']} failed: {row['error']}", file=sys.stderr)
    print(f"trials: {folder / TRIALS}")
    if best is None:
        limits = settings.max_mb is not None or settings.max_ms is not None
        print(f"no trial is done{' within the limits' if limits else ''}", file=sys.stderr)
        return 1
    name = None
    if space.finds_ratios and best["fractions"]:
        name = settings.name or folder.name
        conf = place_of(folder, space.words, home)
        print(f"ratios: {write_ratios(best, name, len(rows), conf)}")
    print(f"best: trial {number}, lada compress {' '.join(command_words(best, name))}")
    return 1 if failed else 0


def _check_name(folder: Path) -> None:
    if not is_name(folder.name):
        raise LadaError(
            f"{folder}: its name cannot be that of a choice of ratios. Give search.name=NAME."
        )


def _read(file: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return found


def _say(line: str) -> None:
    print(line, flush=True)
