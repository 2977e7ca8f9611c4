"""Compression in rounds, and what a person sees of it."""

import logging
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback, RichProgressBar
from lightning.pytorch.callbacks.progress.rich_progress import RichProgressBarTheme

from lada.training.modules import REDRAW_EVERY, StudentModule

log = logging.getLogger("lada")


class HybridCompressionCallback(Callback):
    """Does round k of the student's plan before optimizer step ``steps[k]``.

    Works between batches, on whole optimizer steps, also with gradient accumulation. State: the
    index of the last round done.

    Args:
        steps: rising optimizer steps, one a round; the first is 0.
    """

    def __init__(self, steps: list[int]):
        self.steps = steps
        self.round = -1

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        assert isinstance(pl_module, StudentModule) and pl_module.plan is not None
        while (
            self.round + 1 < len(self.steps) and trainer.global_step >= self.steps[self.round + 1]
        ):
            self.round += 1
            pl_module.compress_(self.round)
            if trainer.is_global_zero:
                log.info(
                    "round %d/%d before step %d: %.2fx smaller",
                    self.round + 1,
                    len(self.steps),
                    trainer.global_step,
                    pl_module.ratio,
                )

    def state_dict(self) -> dict[str, Any]:
        return {"round": self.round}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.round = int(state_dict["round"])

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        # After a resume the weights are those of this round already; only the number is told.
        assert isinstance(pl_module, StudentModule)
        pl_module.round = self.round


class Bar(RichProgressBar):
    """A progress bar that names phase, round, ratio and the score on `select`."""

    def __init__(self, phase: str):
        super().__init__(
            refresh_rate=REDRAW_EVERY, leave=False, theme=RichProgressBarTheme(metrics_format=".3f")
        )
        self._phase = phase

    def _get_train_description(self, current_epoch: int) -> str:
        return self._phase

    def get_metrics(self, trainer: L.Trainer, pl_module: L.LightningModule) -> dict[str, Any]:
        shown: dict[str, Any] = {}
        if isinstance(pl_module, StudentModule) and pl_module.plan is not None:
            shown["round"] = f"{pl_module.round + 1}/{len(pl_module.plan.rounds)}"
            shown["ratio"] = f"{pl_module.ratio:.2f}x"
        for name, metric in (("select", "select/accuracy"), ("loss", "train/loss")):
            if metric in trainer.callback_metrics:
                shown[name] = float(trainer.callback_metrics[metric])
        return shown


class Lines(Callback):
    """One line for each look at `select`, for logs and pipes."""

    def __init__(self, phase: str):
        self._phase = phase

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if trainer.sanity_checking or not trainer.is_global_zero:
            return
        ratio = f", {pl_module.ratio:.2f}x" if isinstance(pl_module, StudentModule) else ""
        log.info(
            "%s: step %d of %d%s, select %.4f",
            self._phase,
            trainer.global_step,
            trainer.max_steps,
            ratio,
            float(trainer.callback_metrics["select/accuracy"]),
        )
