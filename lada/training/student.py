"""The compression of a student: callbacks, checkpoints, the training itself, the best weights."""

from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.callbacks import ModelCheckpoint

from lada.config import Config
from lada.errors import LadaError
from lada.training.callbacks import FinalRoundCheckpoint, HybridCompressionCallback
from lada.training.datamodule import RowsModule
from lada.training.fit import fit, make_trainer
from lada.training.modules import Diverged, StudentModule

CHECKPOINTS = "checkpoints"
"""Folder of ``last.ckpt`` and ``best.ckpt`` within a run's folder."""


def fit_student(
    config: Config,
    folder: Path,
    module: StudentModule,
    rows: RowsModule,
    *,
    steps: int,
    interval: int,
    at: list[int],
    logger: Any,
) -> float:
    """Compress and distil; ``module`` ends with the best weights of the final round.

    Args:
        folder: of the run.
        steps: optimizer steps.
        interval: batches between two looks at `select`.
        at: the steps before which the rounds fall.

    Returns:
        The accuracy of those weights on `select`.

    Raises:
        KeyboardInterrupt: on Ctrl-C, with a line on how to go on.
        LadaError: the loss or a gradient is no number.
    """
    # A resumed run keeps the checkpoints where they are: the best so far is one of them.
    checkpoints = Path(config.resume).parent if config.resume else folder / CHECKPOINTS
    kept = checkpoints / "last.ckpt"
    best = FinalRoundCheckpoint(checkpoints)
    last = ModelCheckpoint(checkpoints, "last", enable_version_counter=False)
    trainer = make_trainer(
        config.trainer,
        steps=steps,
        interval=interval,
        phase="compression",
        progress=config.callbacks.progress,
        folder=folder,
        callbacks=[HybridCompressionCallback(at), best, last],
        logger=logger,
    )
    try:
        fit(trainer, module, rows, resume=config.resume)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(_how_to_go_on(kept)) from None
    except Diverged as error:
        kept_line = f"the last good checkpoint is {kept}" if kept.is_file() else "none was kept"
        raise LadaError(f"{error}; {kept_line}") from None
    weights = torch.load(best.best_model_path, weights_only=True, map_location="cpu")
    module.load_state_dict(weights["state_dict"])
    assert best.best_model_score is not None
    return float(best.best_model_score)


def _how_to_go_on(checkpoint: Path) -> str:
    if checkpoint.is_file():
        return f"go on from the last look at select: resume={checkpoint}"
    return "there was no look at select yet, so there is nothing to resume from"
