"""The progress bar of a notebook, where rich would print a new bar at every step."""

import sys
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import TQDMProgressBar
from lightning.pytorch.callbacks.progress.tqdm_progress import Tqdm

from lada.training.callbacks import Bar
from lada.training.modules import REDRAW_EVERY
from lada.training.pace import Paced


def in_notebook() -> bool:
    """Whether this process is the kernel of a notebook."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return shell is not None and getattr(shell, "kernel", None) is not None


class NotebookBar(TQDMProgressBar):
    """Shows what `Bar` shows, by tqdm: a widget where ipywidgets are installed, else text."""

    def __init__(self, phase: str, paced: Paced | None = None):
        super().__init__(refresh_rate=REDRAW_EVERY)
        self._bar = Bar(phase, paced)
        self._phase = phase

    def init_train_tqdm(self) -> Tqdm:
        bar = super().init_train_tqdm()
        bar.set_description(self._phase)
        return bar

    def on_train_epoch_start(self, trainer: L.Trainer, *args: Any) -> None:
        super().on_train_epoch_start(trainer, *args)
        self.train_progress_bar.set_description(self._phase)

    def get_metrics(self, trainer: L.Trainer, pl_module: L.LightningModule) -> dict[str, Any]:
        return self._bar.get_metrics(trainer, pl_module)
