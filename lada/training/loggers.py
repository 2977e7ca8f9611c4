"""Where curves go. One logger a run, closed whatever happens, with the right state."""

import importlib.util
import netrc
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger, WandbLogger

from lada.config import Config, plain
from lada.errors import LadaError


@contextmanager
def logging_to(config: Config, folder: Path) -> Iterator[Any]:
    """The run's logger, as ``logger.name`` says; wandb is offline unless logged in.

    Raises:
        LadaError: tensorboard is asked for and not installed.
    """
    name = config.logger.name
    if name == "wandb":
        yield from _wandb(config, folder)
        return
    if name == "tensorboard":
        if importlib.util.find_spec("tensorboard") is None:
            raise LadaError("logger=tensorboard: not installed; run: pip install tensorboard")
        yield TensorBoardLogger(folder, name="", version="tensorboard")
        return
    yield CSVLogger(folder, name="", version="")


def _wandb(config: Config, folder: Path) -> Iterator[Any]:
    import wandb

    mode = os.environ.get("WANDB_MODE") or ("online" if _logged_in() else "offline")
    logger = WandbLogger(
        project=config.logger.project,
        name=folder.name,
        save_dir=folder,
        offline=mode == "offline",
        config=plain(config),
    )
    failed = 1
    try:
        yield logger
        failed = 0
    finally:
        wandb.finish(exit_code=failed)


def _logged_in() -> bool:
    """Whether there is a key, in the two places where ``wandb login`` and its users put one."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    host = urlparse(os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")).hostname or ""
    try:
        return netrc.netrc(os.environ.get("NETRC")).authenticators(host) is not None
    except (OSError, netrc.NetrcParseError):
        return False
