"""When each step of a training was reached."""

import time
from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback

from lada.report.curve import read_times


class Clock(Callback):
    """Writes optimizer steps and seconds of training to a CSV file, a row for each checkpoint.

    There is one at each validation check. The file is separate from the curves, which are the same
    however often a run was stopped; seconds are not. A resumed run counts on from the seconds of
    its checkpoint.

    Args:
        file: with columns ``step`` and ``seconds``.
    """

    def __init__(self, file: Path):
        self._file = file
        self._started = 0.0

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        before = {s: t for s, t in read_times(self._file).items() if s <= trainer.global_step}
        with self._file.open("w", encoding="utf-8") as f:
            f.write("step,seconds\n")
            f.writelines(f"{step},{seconds}\n" for step, seconds in before.items())
        self._started = time.monotonic() - max(before.values(), default=0.0)

    def on_save_checkpoint(
        self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        if trainer.is_global_zero:
            seconds = time.monotonic() - self._started
            with self._file.open("a", encoding="utf-8") as f:
                f.write(f"{trainer.global_step},{seconds:.2f}\n")
