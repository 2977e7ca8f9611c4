"""How fast a run is, and one line of how long it will still take."""

import logging
import time
from collections.abc import Callable
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback

from lada.ops.timeleft import TimeLeft, shown
from lada.training.callbacks import compression_of

log = logging.getLogger("lada")

OUTPUTS, EVALUATION = "teacher outputs", "evaluation"
LINES = 10
"""Lines of a whole run."""


def steps_of(phase: str) -> str:
    """The name of the work of a training's steps."""
    return f"{phase} steps"


def checks_of(phase: str) -> str:
    """The name of the work of a training's validation checks."""
    return f"{phase} checks"


def rounds_of(phase: str) -> str:
    """The name of the work of a training's rounds."""
    return f"{phase} rounds"


class Pace:
    """Measures the work of a run, and logs a line at every tenth of it.

    Args:
        left: the work that is expected.
        clock: seconds, from any start.
    """

    def __init__(self, left: TimeLeft, clock: Callable[[], float] = time.monotonic):
        self.left = left
        self._clock = clock
        self._last = clock()
        self._told = 0

    def begin(self) -> None:
        """Start to measure: what was done since the last mark is none of the work."""
        now = self._clock()
        self.left.spent(now - self._last)
        self._last = now

    def did(self, kind: str, amount: float) -> None:
        """Note that work was done since the last mark."""
        now = self._clock()
        self.left.did(kind, amount, now - self._last)
        self._last = now
        tenth = int(self.left.share() * LINES)
        if tenth > self._told:
            self._told = tenth
            if tenth < LINES:
                log.info("time left: %s, after %d %% of the run", self.text(), 100 * tenth // LINES)

    def text(self) -> str:
        """The time that is left, as a person says it; empty before anything was measured."""
        seconds = self.left.seconds()
        return "" if seconds is None else shown(seconds)


class Paced(Callback):
    """Tells a `Pace` of the steps, the rounds and the validation checks of a training.

    A round is guessed to take as long as a step. It stands after the callback that does the rounds.

    Args:
        phase: of the training, as in the names of its work.
        step, check: the work of one of each.
    """

    def __init__(self, pace: Pace, phase: str, step: float, check: float):
        self._pace = pace
        self._steps, self._checks = steps_of(phase), checks_of(phase)
        self._rounds, self._done = rounds_of(phase), -1
        self._step, self._check = step, check

    @property
    def text(self) -> str:
        """See `Pace.text`."""
        return self._pace.text()

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._pace.begin()
        # A resumed training has the rest of it to do.
        interval = int(trainer.val_check_batch or 1) // trainer.accumulate_grad_batches
        left = trainer.max_steps - trainer.global_step
        self._pace.left.expect(self._steps, left * self._step)
        checks = -(-trainer.max_steps // interval) - trainer.global_step // interval
        self._pace.left.expect(self._checks, checks * self._check)
        compression = compression_of(trainer)
        if compression is not None:
            self._done = compression.round
            rounds = len(compression.at) - 1 - self._done
            self._pace.left.expect(self._rounds, rounds * self._step, apart=True)

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        compression = compression_of(trainer)
        if compression is not None and compression.round != self._done:
            self._pace.did(self._rounds, (compression.round - self._done) * self._step)
            self._done = compression.round

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, index: int
    ) -> None:
        if (index + 1) % trainer.accumulate_grad_batches == 0:
            self._pace.did(self._steps, self._step)

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._pace.did(self._checks, self._check)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._pace.left.finish(self._steps)
        self._pace.left.finish(self._checks)
