"""The Lightning Trainer of teacher and student."""

import logging
import signal
import sys
import traceback
import warnings
from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.strategies import DDPStrategy

from lada.errors import LadaError
from lada.training.callbacks import Bar, Lines
from lada.training.checkpoints import Checkpoints, FileIO
from lada.training.loop import Loop
from lada.training.notebook import NotebookBar, in_notebook
from lada.training.pace import Paced
from lada.training.processes import processes_here
from lada.training.stop import Stopped


def pick_progress(wanted: str) -> str:
    """Resolve ``auto`` and ``bar`` to bar, notebook or lines; other values stay as given."""
    if wanted in ("auto", "bar") and in_notebook():
        return "notebook"
    if wanted == "auto":
        return "bar" if sys.stdout.isatty() else "lines"
    return wanted


def make_trainer(
    loop: Loop,
    *,
    phase: str,
    folder: Path,
    callbacks: list[Callback],
    logger: Any = False,
    partial: bool = False,
    paced: Paced | None = None,
) -> L.Trainer:
    """A Trainer for ``loop``.

    `Checkpoints` makes it validate after the last step too.

    Args:
        phase: name of this training in the progress display.
        partial: whether some parameters have no gradient at times. Several processes must then
            look for them at each step, or they would wait for them forever.
        paced: measures how fast it is; None: nobody asks.
    """
    shown: list[Callback] = []
    progress = pick_progress(loop.progress)
    if progress == "bar":
        shown = [Bar(phase, paced)]
    elif progress == "notebook":
        shown = [NotebookBar(phase, paced)]
    elif progress == "lines":
        shown = [Lines(phase)]
    _quiet()
    # Buffers are masks and ranks, the same in all processes. Sending them with each forward pass
    # costs time, and hangs where one process has one validation batch more than another.
    ddp = DDPStrategy(broadcast_buffers=False, find_unused_parameters=partial)
    return L.Trainer(
        accelerator="cuda" if loop.accelerator == "gpu" else "cpu",
        devices=processes_here(loop.processes),
        num_nodes=loop.processes.nodes,
        strategy=ddp if loop.processes.ddp else "auto",
        precision="bf16-mixed" if loop.precision == "bf16" else "32-true",
        max_steps=loop.steps,
        max_epochs=1,
        accumulate_grad_batches=loop.accumulate,
        val_check_interval=loop.interval * loop.accumulate,
        check_val_every_n_epoch=None,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        default_root_dir=folder,
        plugins=[FileIO()],
        callbacks=[*callbacks, *([] if paced is None else [paced]), *shown],
        logger=logger,
        log_every_n_steps=min(50, loop.steps),
        enable_progress_bar=progress in ("bar", "notebook"),
        enable_model_summary=False,
        enable_checkpointing=bool(callbacks),
    )


def fit(
    trainer: L.Trainer,
    module: L.LightningModule,
    examples: L.LightningDataModule,
    resume: Path | None = None,
) -> None:
    """Train, or resume from the checkpoint ``resume``.

    Raises:
        Stopped: by Ctrl-C or SIGTERM.
        KeyboardInterrupt: on a second Ctrl-C, which Lightning itself turns into an exit with
            code 1.
        LadaError: a process that makes batches was killed.
    """
    try:
        trainer.fit(module, examples, ckpt_path=resume, weights_only=True)
    except (RuntimeError, OSError, EOFError) as error:
        if not _lost_worker(error):
            raise
        told = [c.told_to_stop for c in trainer.checkpoint_callbacks if isinstance(c, Checkpoints)]
        # A scheduler that signals every process ends the workers before the step is finished: then
        # the run resumes from the checkpoint before.
        if any(told):
            raise Stopped(max(told)) from None
        raise LadaError(
            "a process that makes batches was killed (often for lack of memory). Run the same "
            "command again: it resumes from the last checkpoint. With data.workers=0 there are no "
            "such processes."
        ) from None
    except SystemExit as end:
        if end.code != 1:  # SIGTERM before the first step
            raise
        signal.signal(signal.SIGINT, signal.default_int_handler)
        raise KeyboardInterrupt from None


def _lost_worker(error: BaseException) -> bool:
    """Whether a process that makes batches was lost: torch says so, or reading a batch failed."""
    frames = traceback.extract_tb(error.__traceback__)
    where = any("multiprocessing" in Path(frame.filename).parts for frame in frames)
    return "DataLoader worker" in str(error) or (where and not isinstance(error, RuntimeError))


def _quiet() -> None:
    """Silence notices of Lightning about what is chosen here on purpose."""
    for name in ("lightning.pytorch", "lightning.pytorch.utilities.rank_zero"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for text in (
        ".*does not have many workers.*",
        ".*`isinstance\\(treespec, LeafSpec\\)` is deprecated.*",
        ".*GPU available but not used.*",
        # The train loader starts where the training stopped (see ExamplesModule).
        ".*your dataloader is not resumable.*",
    ):
        warnings.filterwarnings("ignore", message=text)
