"""Logging to a dashboard: each step once, however often a run is stopped and resumed."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from lightning.pytorch.loggers import Logger

from lada.files import temporary_file
from lada.report.entries import Entry, Made, as_json, from_json

JOURNAL = "logged.jsonl"
"""All that a run has logged, a line per step, in its folder."""


@dataclass(frozen=True)
class About:
    """How a run is found among others.

    Attributes:
        id: the same however often it is resumed.
        group: of the runs of a sweep; None: it is in none.
        job: what kind of a run it is.
        config: plain values.
    """

    id: str
    project: str
    name: str
    group: str | None
    tags: tuple[str, ...]
    job: str
    config: Mapping[str, Any]


@dataclass(frozen=True)
class Row:
    """What is logged of one step."""

    step: int
    scalars: dict[str, float] = field(default_factory=dict)
    entries: dict[str, Entry] = field(default_factory=dict)


class Backend(Protocol):
    """How a dashboard stores what is logged.

    Attributes:
        last: the last step that it has already of this run; -1: none.
    """

    last: int

    def put(self, row: Row) -> None:
        """Store a row; steps rise."""
        ...

    def finish(self, summary: Mapping[str, float], made: Made, step: int) -> None:
        """Store the final figures, and the model with what it is made from.

        Args:
            step: after the last one of the training.
        """
        ...

    def close(self, *, failed: bool) -> None:
        """End the run."""
        ...


class Dashboard(Logger):
    """A logger of Lightning that has a backend.

    Everything is written to `JOURNAL` first. A process that is killed takes with it what a backend
    has not stored yet, and a resumed run does the steps after its checkpoint again. So the rows
    before the checkpoint are sent from the journal where the backend lacks them, those after it
    are dropped from the journal, and steps that the backend has are not sent again: they were the
    same.

    Args:
        folder: of the run.
        step: the optimizer steps that a resumed run has done; None: it starts.
    """

    def __init__(self, backend: Backend, folder: Path, step: int | None):
        super().__init__()
        self._backend = backend
        self._file = folder / JOURNAL
        self._held: Row | None = None
        rows = _rows_before(self._file, step)
        _write(self._file, rows)
        for row in rows:
            self._send(row)

    @property
    def name(self) -> str:
        return "lada"

    @property
    def version(self) -> str:
        return ""

    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        """Nothing: the config is known from the start."""

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Log figures of a step; those of one step become one row."""
        scalars = {name: float(value) for name, value in metrics.items()}
        self._at(step or 0).scalars.update(scalars)

    def log_entries(self, entries: Mapping[str, Entry], step: int) -> None:
        """Log tables and maps of a step."""
        self._at(step).entries.update(entries)

    def finish(self, summary: Mapping[str, float], made: Made, step: int) -> None:
        """Log the end of a run, see `Backend.finish`."""
        self.save()
        self._backend.finish(summary, made, step)

    def save(self) -> None:
        """Send what is held back; `lada.training.checkpoints` calls this before a checkpoint."""
        if self._held is not None:
            with self._file.open("a", encoding="utf-8") as f:
                f.write(_line(self._held))
                f.flush()
                os.fsync(f.fileno())
            self._send(self._held)
            self._held = None

    def close(self, *, failed: bool) -> None:
        """End the run; of a failed one the row that may not be complete is dropped."""
        try:
            if not failed:
                self.save()
        finally:
            self._backend.close(failed=failed)

    def _at(self, step: int) -> Row:
        if self._held is not None and self._held.step != step:
            self.save()
        if self._held is None:
            self._held = Row(step)
        return self._held

    def _send(self, row: Row) -> None:
        if row.step > self._backend.last:
            self._backend.put(row)


def _line(row: Row) -> str:
    entries = {name: as_json(entry) for name, entry in row.entries.items()}
    return json.dumps({"step": row.step, "scalars": row.scalars, "entries": entries}) + "\n"


def _rows_before(file: Path, step: int | None) -> list[Row]:
    """The rows of a journal before a step; none if a run starts."""
    if step is None or not file.is_file():
        return []
    found = []
    for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            value = json.loads(line)
        except ValueError:
            continue  # truncated when the process was killed
        entries = {name: from_json(entry) for name, entry in value["entries"].items()}
        if value["step"] < step:
            found.append(Row(value["step"], value["scalars"], entries))
    return found


def _write(file: Path, rows: list[Row]) -> None:
    temporary = temporary_file(file)
    try:
        with temporary.open("w", encoding="utf-8") as f:
            f.writelines(map(_line, rows))
        os.replace(temporary, file)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
