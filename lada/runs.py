"""The folders of runs: which run a folder holds, whether it is done, and which one to go on in."""

import json
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain, count
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from lada.config import Config, plain
from lada.data.submission import SUBMISSION, ZIP
from lada.errors import LadaError
from lada.identity import first_difference, inputs, known_by, run_key
from lada.report.record import write_json

STATE = "run.json"
RESULTS = "results.json"
CHECKPOINTS = "checkpoints"
PROCESSES = "processes"
"""What the processes beside the first one print."""
_LOCK = ".lock"
_BEFORE = {_LOCK, PROCESSES, "log.txt", "job.json"}
"""What may stand in a folder before a run begins in it: a sweep's log of it, say."""


def is_older_than_done(folder: Path, config: Config) -> bool:
    """Whether what a finished run was made from has not been written to since."""
    done = (folder / RESULTS).stat().st_mtime
    for key in inputs():
        group, _, name = key.partition(".")
        value = getattr(getattr(config, group), name, None)  # not every method has a path
        if value and Path(value).exists():
            place = Path(value)
            files = [place] if place.is_file() else [p for p in place.rglob("*") if p.is_file()]
            if any(file.stat().st_mtime > done for file in files):
                return False
    return True


def is_done(folder: Path) -> bool:
    """Whether the run in ``folder`` came to its end."""
    return (folder / RESULTS).is_file()


def has_submitted(folder: Path) -> bool:
    """Whether the run in ``folder`` has answered GLUE's test files."""
    return (folder / SUBMISSION / ZIP).is_file()


def is_taken(folder: Path) -> bool:
    """Whether a run was begun in ``folder``."""
    return (folder / STATE).is_file()


def find_runs(outputs: Path, key: str) -> list[Path]:
    """Folders under ``outputs`` whose run has this key, the newest first."""
    found = []
    # Not by rglob, which fails where a folder goes while it looks.
    for place, folders, files in os.walk(outputs):
        if STATE in files:
            folders.clear()  # nothing but the run itself is below
            state = _read(Path(place) / STATE)
            if state is not None and state.get("key") == key:
                found.append((float(state.get("begun", 0.0)), Path(place)))
    return [folder for _, folder in sorted(found, reverse=True)]


def find_unfinished(outputs: Path, key: str) -> Path | None:
    """The newest run of this key that was begun and not ended, and is not at work now."""
    for folder in find_runs(outputs, key):
        if not is_done(folder) and not _is_locked(folder):
            return folder
    return None


def choose_folder(config: Config, fresh: Path, named: bool) -> Path:
    """The folder of this run: that of the run it goes on with, or ``fresh``.

    Args:
        fresh: the folder made for this run.
        named: whether the user gave it; then no other is looked for.

    Raises:
        LadaError: ``resume`` names a checkpoint that is in no run's folder.
    """
    if config.resume == "never" or (config.resume == "auto" and named):
        return fresh
    if config.resume == "auto":
        return find_unfinished(Path(config.paths.outputs), run_key(config)) or fresh
    folder = Path(config.resume).absolute().parent.parent
    if not Path(config.resume).is_file():
        raise LadaError(
            f"resume={config.resume}: no such file; give a checkpoint (checkpoints/step-*.ckpt), "
            "auto or never"
        )
    if not (folder / STATE).is_file():
        raise LadaError(
            f"resume={config.resume}: is not in a run's folder; give RUN/checkpoints/step-*.ckpt"
        )
    return folder


def run_state(folder: Path) -> dict[str, Any]:
    """What was noted when the run in ``folder`` began."""
    return _read(folder / STATE) or {}


def note(folder: Path, **values: Any) -> None:
    """Add to what was noted when the run in ``folder`` began."""
    write_json(folder / STATE, run_state(folder) | values)


def _is_locked(folder: Path) -> bool:
    try:
        with FileLock(folder / _LOCK, timeout=0):
            return False
    except (Timeout, OSError):
        return True


@contextmanager
def claimed(folder: Path, config: Config, *, go_on: bool, named: bool) -> Iterator[Path]:
    """Make a folder this run's alone while the block runs.

    Args:
        folder: the one wanted.
        go_on: whether an unfinished run of the same key may be there already.
        named: whether the user gave it; else, where another run has just taken it (two that were
            started in one second), another name will do.

    Yields:
        The folder.

    Raises:
        LadaError: another run was there, or is.
    """
    wanted = folder
    for number in count(2):
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / _LOCK, timeout=0)
        try:
            lock.acquire()
            break
        except Timeout:
            if named:
                raise LadaError(
                    f"{folder}: another run is at work there; give another folder "
                    "(hydra.run.dir=...)"
                ) from None
            folder = wanted.with_name(f"{wanted.name}-{number}")
    fresh = _names(folder) <= _BEFORE
    try:
        if not fresh:
            _refuse_foreign(folder, config, go_on)
    except LadaError:
        lock.release()
        raise
    try:
        _clean(folder)
        if fresh:
            state = {
                "key": run_key(config),
                "id": secrets.token_hex(4),
                "begun": time.time(),
                "config": plain(config),
            }
            write_json(folder / STATE, state)
        (folder / CHECKPOINTS).mkdir(exist_ok=True)
        yield folder
    except LadaError:
        _drop_empty(folder)
        raise
    finally:
        lock.release()


def _names(folder: Path) -> set[str]:
    """What is in a folder, but for what a killed run leaves half-written."""
    return {file.name for file in folder.iterdir() if not file.name.startswith(f".{STATE}-")}


def _drop_empty(folder: Path) -> None:
    """Leave nothing of a run that was refused before it had a checkpoint."""
    if any((folder / CHECKPOINTS).glob("*.ckpt")):
        return
    for name in (STATE, "metrics.csv", "times.csv", _LOCK):
        (folder / name).unlink(missing_ok=True)
    for name in (CHECKPOINTS, "tensorboard", "wandb"):
        shutil.rmtree(folder / name, ignore_errors=True)


def _refuse_foreign(folder: Path, config: Config, go_on: bool) -> None:
    state = _read(folder / STATE)
    if state is None:
        others = sorted(_names(folder) - _BEFORE)
        raise LadaError(
            f"{folder}: holds {others[0]} and no run; give an empty folder (hydra.run.dir=...)"
        )
    if is_done(folder) or not go_on:
        raise LadaError(f"{folder}: holds a run already; give another folder (hydra.run.dir=...)")
    if state.get("key") != run_key(config):
        theirs = state.get("config")
        difference = (
            first_difference(known_by(theirs), known_by(plain(config)))
            if isinstance(theirs, dict) and {"task", "data"} <= theirs.keys()
            else None
        )
        raise LadaError(
            f"{folder}: holds a run with {difference or 'other settings'}; give the same settings, "
            "or another folder (hydra.run.dir=...)"
        )


def _clean(folder: Path) -> None:
    """Remove what a killed run left half-written; its checkpoints are whole by themselves."""
    for left in (*folder.glob(".artifact-*"), folder / "artifact", folder / SUBMISSION):
        shutil.rmtree(left, ignore_errors=True)
    files = (folder.glob(f".{name}-*") for name in (RESULTS, STATE))
    for left in (*chain.from_iterable(files), *(folder / CHECKPOINTS).glob(".*.tmp")):
        left.unlink(missing_ok=True)


def _read(file: Path) -> dict[str, Any] | None:
    try:
        state = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return state if isinstance(state, dict) else None
