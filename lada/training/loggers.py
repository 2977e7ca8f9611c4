"""The logger of a run: one per run, and always closed, with the right exit state."""

import csv
import importlib.util
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger

from lada.errors import LadaError
from lada.training.backends import PACKAGES, check_installed, make_backend
from lada.training.dashboards import About, Dashboard


@contextmanager
def logging_to(
    name: str, folder: Path, about: About, *, outputs: Path, step: int | None, first: bool
) -> Iterator[Any]:
    """The logger of a run, by name.

    Args:
        name: csv, tensorboard, or of `lada.training.backends.PACKAGES`.
        outputs: the folder of all runs.
        step: the optimizer steps that a resumed run has done; later log entries are deleted.
        first: whether this is the process that logs; the others get False.

    Raises:
        LadaError: what is asked for is not installed.
    """
    check_logger(name)
    if not first:
        yield False
    elif name in PACKAGES:
        yield from _dashboard(name, folder, about, outputs, step)
    elif name == "tensorboard":
        yield TensorBoardLogger(folder, name="", version="tensorboard", purge_step=step)
    else:
        yield _csv(folder, step)


def check_logger(name: str) -> None:
    """Check that a logger is installed.

    Raises:
        LadaError: it is not.
    """
    if name == "tensorboard" and importlib.util.find_spec("tensorboard") is None:
        raise LadaError("logger=tensorboard: it is not installed. Run pip install tensorboard.")
    if name in PACKAGES:
        check_installed(name)


def _dashboard(
    name: str, folder: Path, about: About, outputs: Path, step: int | None
) -> Iterator[Dashboard]:
    backend, failed = make_backend(name, about, folder, outputs), True
    dashboard = None
    try:
        dashboard = Dashboard(backend, folder, step)
        yield dashboard
        failed = False
    finally:
        # One process may do several runs, and a run that is left open would take the next one's.
        (backend if dashboard is None else dashboard).close(failed=failed)


def _csv(folder: Path, step: int | None) -> CSVLogger:
    """A CSV logger whose file starts with the rows before ``step`` of an existing one."""
    file, aside = folder / "metrics.csv", folder / ".metrics-before.csv"
    # Lightning deletes the file first: a kill at that moment must not lose its content.
    if step is None:
        aside.unlink(missing_ok=True)
    elif file.is_file() and not aside.is_file():
        os.replace(file, aside)
    rows = _rows_before(aside, step) if step is not None else []
    logger = CSVLogger(folder, name="", version="")
    with warnings.catch_warnings():  # the folder is not empty, as intended
        warnings.filterwarnings("ignore", ".*Experiment logs directory.*")
        for number, values in rows:
            logger.log_metrics(dict(values), step=number)
        logger.save()
    aside.unlink(missing_ok=True)
    return logger


def _rows_before(file: Path, step: int) -> list[tuple[int, dict[str, float]]]:
    if not file.is_file():
        return []
    found = []
    with file.open(newline="", encoding="utf-8", errors="replace") as f:
        for row in csv.DictReader(f):
            try:
                number = int(row.pop("step"))
                values: dict[str, float] = {k: float(v) for k, v in row.items() if v}
            except (TypeError, ValueError, KeyError):
                continue  # a line that a full disk truncated
            if "epoch" in values:
                values["epoch"] = int(values["epoch"])
            if number < step:
                found.append((number, values))
    return found
