"""The folders of runs: the run of a folder, whether it is done, and which one to resume."""

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
from lada.data.columns import several
from lada.data.submission import SUBMISSION, ZIP
from lada.errors import LadaError
from lada.report.record import write_json
from lada.run.identity import first_difference, inputs, known_by, run_key

STATE = "run.json"
RESULTS = "results.json"
CHECKPOINTS = "checkpoints"
PROCESSES = "processes"
"""Folder of the output of all processes but the first."""
_LOCK = ".lock"
_BEFORE = {_LOCK, PROCESSES, "log.txt", "job.json"}
"""Files that a folder may have before a run starts in it, such as a sweep's log."""


def is_older_than_done(folder: Path, config: Config) -> bool:
    """Whether the inputs of a finished run have not been modified since."""
    done = (folder / RESULTS).stat().st_mtime
    for key in inputs():
        group, _, name = key.partition(".")
        value = getattr(getattr(config, group), name, None)  # not every method has a path
        for place in map(Path, several(value) if value else ()):
            files = [place] if place.is_file() else [p for p in place.rglob("*") if p.is_file()]
            if any(file.stat().st_mtime > done for file in files):
                return False
    return True


def is_done(folder: Path) -> bool:
    """Whether the run in ``folder`` is finished."""
    return (folder / RESULTS).is_file()


def has_submitted(folder: Path) -> bool:
    """Whether the run in ``folder`` has answered GLUE's test files."""
    return (folder / SUBMISSION / ZIP).is_file()


def is_taken(folder: Path) -> bool:
    """Whether a run was started in ``folder``."""
    return (folder / STATE).is_file()


def find_runs(outputs: Path, key: str) -> list[Path]:
    """Folders under ``outputs`` whose run has this key, the newest first."""
    found = []
    # Not by rglob, which fails if a folder is deleted meanwhile.
    for place, folders, files in os.walk(outputs):
        if STATE in files:
            folders.clear()  # there are no other runs below
            state = _read(Path(place) / STATE)
            if state is not None and state.get("key") == key:
                found.append((float(state.get("begun", 0.0)), Path(place)))
    return [folder for _, folder in sorted(found, reverse=True)]


def find_unfinished(outputs: Path, key: str) -> Path | None:
    """The newest run of this key that was started, is not finished and is not running now."""
    for folder in find_runs(outputs, key):
        if not is_done(folder) and not _is_locked(folder):
            return folder
    return None


def choose_folder(config: Config, fresh: Path, named: bool) -> Path:
    """The folder of this run: that of the run it resumes, or ``fresh``.

    Args:
        fresh: the folder made for this run.
        named: whether the user gave it; then no other is searched for.

    Raises:
        LadaError: ``resume`` names a checkpoint outside of a run's folder.
    """
    if config.resume == "never" or (config.resume == "auto" and named):
        return fresh
    if config.resume == "auto":
        return find_unfinished(Path(config.paths.outputs), run_key(config)) or fresh
    folder = Path(config.resume).absolute().parent.parent
    if not Path(config.resume).is_file():
        raise LadaError(
            f"resume={config.resume}: there is no such file. Give a checkpoint "
            "(checkpoints/step-*.ckpt), auto or never."
        )
    if not (folder / STATE).is_file():
        raise LadaError(
            f"resume={config.resume}: is not in a run's folder. Give RUN/checkpoints/step-*.ckpt."
        )
    return folder


def run_state(folder: Path) -> dict[str, Any]:
    """The state that was saved when the run in ``folder`` started."""
    return _read(folder / STATE) or {}


def note(folder: Path, **values: Any) -> None:
    """Add values to the saved state of the run in ``folder``."""
    write_json(folder / STATE, run_state(folder) | values)


def _is_locked(folder: Path) -> bool:
    try:
        with FileLock(folder / _LOCK, timeout=0):
            return False
    except (Timeout, OSError):
        return True


@contextmanager
def claimed(folder: Path, config: Config, *, resume: bool, named: bool) -> Iterator[Path]:
    """Lock a folder for this run while the block runs.

    Args:
        folder: the wanted one.
        resume: whether an unfinished run of the same key may already be there.
        named: whether the user gave it; else another name is used if another run has taken it
            (two that were started in the same second).

    Yields:
        The folder.

    Raises:
        LadaError: the folder has another run.
    """
    wanted = folder
    # The folder of a checkpoint that was given is not to be replaced by another.
    movable = not named and config.resume in ("auto", "never")
    for number in count(2):
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / _LOCK, timeout=0)
        try:
            lock.acquire()
        except Timeout:
            if named:
                raise LadaError(
                    f"{folder}: another run is active there. Give another folder "
                    "(hydra.run.dir=...)."
                ) from None
            folder = wanted.with_name(f"{wanted.name}-{number}")
            continue
        fresh = _names(folder) <= _BEFORE
        try:
            if not fresh:
                _reject_foreign(folder, config, resume)
            break
        except LadaError:
            lock.release()
            if not movable:
                raise
            folder = wanted.with_name(f"{wanted.name}-{number}")
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
    """The content of a folder, without the temporary files of a killed run."""
    return {file.name for file in folder.iterdir() if not file.name.startswith(f".{STATE}-")}


def _drop_empty(folder: Path) -> None:
    """Delete all files of a run that failed before it had a checkpoint."""
    if any((folder / CHECKPOINTS).glob("*.ckpt")):
        return
    for name in (STATE, "metrics.csv", "times.csv", "logged.jsonl", _LOCK):
        (folder / name).unlink(missing_ok=True)
    for name in (CHECKPOINTS, "tensorboard", "wandb"):
        shutil.rmtree(folder / name, ignore_errors=True)


def _reject_foreign(folder: Path, config: Config, resume: bool) -> None:
    state = _read(folder / STATE)
    if state is None:
        others = sorted(_names(folder) - _BEFORE)
        raise LadaError(
            f"{folder}: has {others[0]} but no run. Give an empty folder (hydra.run.dir=...)."
        )
    if is_done(folder) or not resume:
        raise LadaError(f"{folder}: already has a run. Give another folder (hydra.run.dir=...).")
    if state.get("key") != run_key(config):
        theirs = state.get("config")
        difference = (
            first_difference(known_by(theirs), known_by(plain(config)))
            if isinstance(theirs, dict) and {"task", "data"} <= theirs.keys()
            else None
        )
        raise LadaError(
            f"{folder}: has a run with {difference or 'other settings'}. Give the same settings, "
            "or another folder (hydra.run.dir=...)."
        )


def _clean(folder: Path) -> None:
    """Remove incomplete files of a killed run; its checkpoints are complete."""
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
