"""Checkpoints that a killed run resumes from, and the best weights of the final round.

The name of a file ends in the first digits of its SHA-256, and it gets this name when it is
complete: a truncated or modified file is recognized without reading its content as a checkpoint.
"""

import hashlib
import logging
import os
import re
import time
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.plugins.io import TorchCheckpointIO

from lada.errors import LadaError
from lada.training.callbacks import compression_of
from lada.training.stop import Stopped, StopSignals

log = logging.getLogger("lada")

_NAME = re.compile(r"(step|best)-\d{8}-[0-9a-f]{16}\.ckpt")

ALL_SAVE_EVERY = 10
"""Steps between two agreements of several processes on what to do: each costs a message."""


class FileIO(TorchCheckpointIO):
    """Writes a checkpoint in its final folder and syncs it to the disk before it is renamed.

    Lightning's own implementation uses the system's temporary folder, which may be small.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None
    ) -> None:
        with Path(path).open("wb") as file:
            try:
                torch.save(checkpoint, file)
            except RuntimeError as error:  # torch wraps the error of the system
                before = error.__context__
                raise before if isinstance(before, OSError) else error from None
            file.flush()
            os.fsync(file.fileno())


class Checkpoints(Checkpoint):
    """Saves at each validation check, every ``minutes`` between, and when told to stop.

    The last step is followed by a check, whether the interval divides the steps or not.

    The weights with the best score on the validation split are kept apart, of the final round
    alone: those of earlier rounds are not small enough. State: score and file of the best.

    Args:
        folder: of the checkpoints.
        about: saved in each checkpoint under "lada", for `lada.run.resume`.
        minutes: how old the last checkpoint may get between two validation checks.
        keep: how many are kept.
    """

    def __init__(self, folder: Path, about: dict[str, Any], *, minutes: float, keep: int):
        self._folder = folder
        self._about = about
        self._minutes = minutes
        self._keep = keep
        self._saved = time.monotonic()
        self._stop = StopSignals()
        self.best_score: float | None = None
        self.best_name: str | None = None

    def state_dict(self) -> dict[str, Any]:
        return {"best_score": self.best_score, "best_name": self.best_name}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best_score = state_dict["best_score"]
        name = state_dict["best_name"]
        if name is not None and not _NAME.fullmatch(name):
            raise LadaError(
                f"{self._folder}: a checkpoint names {name!r} as its best weights, which is not a "
                "name of such a file. Start again with resume=never."
            )
        self.best_name = name

    def on_save_checkpoint(
        self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        checkpoint["lada"] = self._about | {"best": self.best_name}

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._stop.listen()  # after Lightning has set handlers of its own
        self._saved = time.monotonic()

    def teardown(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        self._stop.leave()

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, index: int
    ) -> None:
        if (index + 1) % trainer.accumulate_grad_batches:
            return  # in the middle of an optimizer step
        assert trainer.val_check_batch is not None  # `make_trainer` gives an interval
        if (index + 1) % int(trainer.val_check_batch) == 0:
            return  # a validation check follows, and saves
        if index + 1 == trainer.max_steps * trainer.accumulate_grad_batches:
            trainer.should_stop = True  # Lightning then validates, wherever in an interval
            return
        # Lightning does not declare this attribute.
        if trainer.global_step % trainer.log_every_n_steps == 0:  # type: ignore[attr-defined]
            return  # the log entries of this step are not written yet, and a resume would lose them
        if trainer.world_size > 1 and trainer.global_step % ALL_SAVE_EVERY:
            return
        late = time.monotonic() - self._saved >= 60 * self._minutes
        stop, late = _agree(trainer, self._stop.received, late)
        if stop or late:
            self._save(trainer)
        if stop:
            raise Stopped(stop)

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        module: Any = pl_module  # of teacher or student
        score = float(trainer.callback_metrics[module.deciding])
        # Of equal scores the later one is taken: it was trained with a lower learning rate.
        better = self.best_score is None or score >= self.best_score
        compression = compression_of(trainer)
        if (compression is None or compression.finished) and better:
            self.best_score = score
            self.best_name = self._write(trainer, "best", weights_only=True)
        self._save(trainer)
        self.obey(trainer)

    @property
    def told_to_stop(self) -> int:
        """The signal that this process received during the training; 0 for none."""
        return self._stop.received

    def obey(self, trainer: L.Trainer) -> None:
        """Raise `Stopped` for a signal received since the last step; all is saved already."""
        stop, _ = _agree(trainer, self._stop.received, False)
        if stop:
            raise Stopped(stop)

    def _save(self, trainer: L.Trainer) -> None:
        for logger in trainer.loggers:
            logger.save()  # first: a resume deletes log entries later than its checkpoint
        self._write(trainer, "step", weights_only=False)
        self._saved = time.monotonic()
        if trainer.is_global_zero:
            self._tidy()

    def _write(self, trainer: L.Trainer, kind: str, weights_only: bool) -> str:
        """Save under a temporary name, then rename; returns the final name on every process."""
        temporary = self._folder / f".{kind}.tmp"
        name = ""
        try:
            trainer.save_checkpoint(temporary, weights_only=weights_only)
            if trainer.is_global_zero:
                name = f"{kind}-{trainer.global_step:08d}-{_digest(temporary)}.ckpt"
                os.replace(temporary, self._folder / name)
                _sync(self._folder)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            raise LadaError(
                f"{self._folder}: a checkpoint cannot be written ({error.strerror}). Free disk "
                "space and run the same command again: it resumes from the checkpoint before."
            ) from None
        return str(trainer.strategy.broadcast(name)) if trainer.world_size > 1 else name

    def _tidy(self) -> None:
        """Delete all but the last checkpoints, and best weights that none of them names."""
        steps = sorted(self._folder.glob("step-*.ckpt"))
        for old in steps[: -self._keep]:
            old.unlink(missing_ok=True)
        # A run may resume from each of those kept, and each names the best weights of its time.
        first = step_of(steps[-self._keep :][0])
        bests = sorted(self._folder.glob("best-*.ckpt"), key=step_of)
        for old in [best for best in bests if step_of(best) <= first][:-1]:
            if old.name != self.best_name:
                old.unlink(missing_ok=True)


def _agree(trainer: L.Trainer, stop: int, late: bool) -> tuple[int, bool]:
    """Agree over all processes: a signal that any has received, and whether any is late."""
    if trainer.world_size == 1:
        return stop, late
    said = torch.tensor([stop, late], device=trainer.strategy.root_device, dtype=torch.int64)
    torch.distributed.all_reduce(said, torch.distributed.ReduceOp.MAX)
    return int(said[0]), bool(said[1])


def find_last(folder: Path) -> Path | None:
    """The last intact checkpoint in ``folder``; corrupt ones are skipped with a warning.

    A checkpoint is intact only if the best weights that it names are.
    """
    for path in sorted(folder.glob("step-*.ckpt"), reverse=True):
        if is_whole(path):
            about = read_about(path)
            best = about.get("best") if about else None
            if best is None or is_whole(folder / Path(best).name):
                return path
        log.warning("%s: truncated or modified; the checkpoint before is taken", path)
    return None


def drop_later(folder: Path, path: Path | None) -> None:
    """Delete the checkpoints after ``path`` (None: all): their steps are run again."""
    for later in folder.glob("step-*.ckpt"):
        if path is None or later.name > path.name:
            later.unlink(missing_ok=True)


def is_whole(path: Path) -> bool:
    """Whether a file has the name of a checkpoint, and the digest in it is that of its content."""
    try:
        return bool(_NAME.fullmatch(path.name)) and path.stem[-16:] == _digest(path)
    except OSError:
        return False


def read_about(path: Path) -> dict[str, Any] | None:
    """The description of its run in a checkpoint; None if a run cannot resume from the file."""
    try:
        about = torch.load(path, weights_only=True, map_location="cpu", mmap=True)["lada"]
    except (RuntimeError, LookupError, TypeError, ValueError, OSError, EOFError, UnpicklingError):
        return None
    parts = ("config", "content", "machine")
    if not isinstance(about, dict) or not all(isinstance(about.get(p), dict) for p in parts):
        return None
    return about


def load_weights(path: Path, module: torch.nn.Module) -> None:
    """Load the best weights that `Checkpoints` saved.

    Raises:
        LadaError: the file is corrupt or missing.
    """
    if not is_whole(path):
        raise LadaError(f"{path}: it is corrupt or missing. Start again with resume=never.")
    saved = torch.load(path, weights_only=True, map_location="cpu")
    module.load_state_dict(saved["state_dict"])


def step_of(path: Path) -> int:
    """The optimizer steps done when a checkpoint was saved."""
    return int(path.name.split("-")[1])


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def _sync(folder: Path) -> None:
    """Sync renames in ``folder`` to the disk, where the system supports it."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(descriptor)
    except OSError:
        pass
    finally:
        os.close(descriptor)
