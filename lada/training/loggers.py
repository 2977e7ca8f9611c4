"""The logger of a run: one per run, and always closed, with the right exit state."""

import csv
import importlib.util
import netrc
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger, WandbLogger

from lada.errors import LadaError


@contextmanager
def logging_to(
    name: str,
    folder: Path,
    *,
    project: str,
    config: dict[str, Any],
    run_id: str,
    step: int | None,
    first: bool,
) -> Iterator[Any]:
    """The logger of a run, by name; wandb is offline unless logged in.

    Args:
        name: csv, wandb or tensorboard.
        project: of wandb.
        config: of the run, for wandb to show.
        run_id: for wandb; the same however often a run is resumed.
        step: the optimizer steps that a resumed run has done; later log entries are deleted.
        first: whether this is the process that logs; the others get False.

    Raises:
        LadaError: tensorboard is asked for and not installed.
    """
    if name == "tensorboard" and importlib.util.find_spec("tensorboard") is None:
        raise LadaError("logger=tensorboard: it is not installed. Run pip install tensorboard.")
    if not first:
        yield False
    elif name == "wandb":
        yield from _wandb(folder, project, config, run_id)
    elif name == "tensorboard":
        yield TensorBoardLogger(folder, name="", version="tensorboard", purge_step=step)
    else:
        yield _csv(folder, step)


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


def _wandb(folder: Path, project: str, config: dict[str, Any], run_id: str) -> Iterator[Any]:
    import wandb

    mode = os.environ.get("WANDB_MODE") or ("online" if _logged_in() else "offline")
    logger = WandbLogger(
        project=project,
        name=folder.name,
        id=run_id,
        resume="allow",
        save_dir=folder,
        offline=mode == "offline",
        config=config,
    )
    failed = 1
    try:
        yield logger
        failed = 0
    finally:
        wandb.finish(exit_code=failed)


def _logged_in() -> bool:
    """Whether wandb has an API key, in the environment or in the netrc file."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    host = urlparse(os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")).hostname or ""
    try:
        return netrc.netrc(os.environ.get("NETRC")).authenticators(host) is not None
    except (OSError, netrc.NetrcParseError):
        return False
