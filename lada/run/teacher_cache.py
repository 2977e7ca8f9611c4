"""The decision whether a training reads its teacher's outputs from disk, and their writing.

They are written before the first step, not during the first epoch. So a resumed run sees the same
numbers, and so does a second run that finds them.
"""

import errno
import logging
import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock, Timeout
from numpy.typing import NDArray
from rich.progress import track

from lada.data.batches import collate
from lada.data.outputs import OutOfRange, OutputsWriter, TeacherOutputs
from lada.errors import LadaError
from lada.files import temporary_folder
from lada.nn.capture import forward, set_attention
from lada.nn.classes import class_names
from lada.run.identity import outputs_key
from lada.run.job import Job
from lada.run.live import layout_of, why_live
from lada.run.teacher import Teacher
from lada.training.fit import pick_progress
from lada.training.pace import OUTPUTS, Pace
from lada.training.processes import World

log = logging.getLogger("lada")

TOKENS = 4096
"""Tokens per batch, padding included, so that its attention maps stay small at any length."""
LIVE, KEPT, UNUSED = "live", "kept outputs", "not looked at"
"""The source of the teacher's outputs in a student's training, in run states and records."""


class TeacherCache:
    """The stored outputs of a teacher on the training examples of a run."""

    def __init__(self, job: Job, teacher: Teacher):
        self._job, self._teacher, self._rows = job, teacher, job.learned
        method, rows = job.method, job.learned
        self._layout = layout_of(job, teacher.model.config)
        self._size = self._layout.bytes(rows.lengths)
        key = outputs_key(
            teacher.folder,
            list(class_names(teacher.model.config)),
            rows,
            job.machine,
            hidden=method.hidden,
            maps=method.maps,
            vectors=None if job.head.kind.labelled else job.head.about(),
        )
        self._folder = Path(job.config.paths.cache) / "teacher" / key
        self._outputs = TeacherOutputs(self._folder, rows.lengths, self._layout)

    def get(
        self, noted: str | None, world: World, pace: Pace | None = None
    ) -> TeacherOutputs | None:
        """The outputs, written now if they do not exist yet; None: the teacher runs live.

        Args:
            noted: `LIVE` or `KEPT` if this run was started before and has decided: a run uses the
                same numbers to its end.
            pace: is told how much is written.

        Raises:
            LadaError: the disk has no room for outputs that this run has started with.
        """
        live = None
        with world.only_first():
            if world.first:
                live = "as it did before" if noted == LIVE else self._live_or_write(noted, pace)
                if live:
                    log.info("teacher: runs with the student (%s)", live)
        # That of the first process: with other numbers of threads, keys of others would differ.
        folder = world.share("" if live else str(self._folder))
        if not folder:
            return None
        outputs = TeacherOutputs(Path(folder), self._rows.lengths, self._layout)
        outputs.open()
        return outputs

    def _live_or_write(self, noted: str | None, pace: Pace | None) -> str | None:
        if self._outputs.is_whole():
            free = self._size * 2
        else:
            place = next(p for p in self._folder.parents if p.is_dir())
            free = shutil.disk_usage(place).free
        reason = why_live(
            self._layout,
            self._size,
            gb=self._job.config.teacher_cache.gb,
            epochs=self._job.epochs,
            accelerator=self._job.machine.accelerator,
            nodes=self._job.config.trainer.num_nodes,
            free=free,
        )
        if reason is not None and noted != KEPT:
            return reason
        if self._outputs.is_whole():
            log.info("teacher: stored outputs found, %s", self._folder)
            return None
        try:
            self._write_alone(pace)
        except OutOfRange as error:
            return str(error)
        except PermissionError as error:
            return f"{error.filename}: {error.strerror}"
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                raise
            raise LadaError(
                f"{self._folder}: the disk has no room for the teacher's outputs, "
                f"{self._size / 1e9:.2g} GB ({error.strerror}). Free disk space, give another "
                "paths.cache, or set teacher_cache.gb=0."
            ) from None
        return None

    def _write_alone(self, pace: Pace | None) -> None:
        self._folder.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self._folder.with_name(f"{self._folder.name}.lock"))
        try:
            lock.acquire(timeout=0)
        except Timeout:
            log.info("teacher: another run is writing its outputs; waiting")
            lock.acquire()
        try:
            if not self._outputs.is_whole():
                log.info(
                    "teacher: writing its outputs (%.2g GB) to %s, once",
                    self._size / 1e9,
                    self._folder,
                )
                self._write(pace)
        finally:
            lock.release()

    @torch.no_grad()
    def _write(self, pace: Pace | None) -> None:
        """Write to a temporary folder, then rename."""
        for left in self._folder.parent.glob(f".{self._folder.name}-*"):  # of a killed run
            shutil.rmtree(left, ignore_errors=True)
        shutil.rmtree(self._folder, ignore_errors=True)  # incomplete
        device = self._job.device
        model, method = self._teacher.model.eval(), self._job.method
        bf16, pad_id = self._job.machine.precision == "bf16", self._job.tokenizer.pad_token_id
        before = model.device
        set_attention(model.to(device), method.maps)
        batches: Any = _batches(self._rows.lengths)
        if pick_progress(self._job.config.callbacks.progress) == "bar":
            count = sum(1 for _ in _batches(self._rows.lengths))
            batches = track(batches, "teacher's outputs", total=count, transient=True)
        temporary = temporary_folder(self._folder)
        if pace is not None:
            pace.begin()
        try:
            with (
                closing(batches),
                OutputsWriter(temporary, self._rows.lengths, self._layout) as writer,
            ):
                for index in batches:
                    batch = collate(self._rows, index, pad_id)
                    with torch.autocast(device, torch.bfloat16, enabled=bf16):
                        out = forward(
                            model,
                            {name: tensor.to(device) for name, tensor in batch.items()},
                            hidden=method.hidden,
                            attentions=method.maps is not None,
                            output=self._job.head.output,
                        )
                    writer.put(index, out.logits, out.hidden, out.attentions)
                    if pace is not None:
                        pace.did(OUTPUTS, float(self._rows.lengths[index].sum()))
            temporary.rename(self._folder)
        finally:
            model.to(before)
            shutil.rmtree(temporary, ignore_errors=True)


def _batches(lengths: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """Numbers of the examples of each batch, longest examples first."""
    order = np.argsort(-lengths, kind="stable")
    begin = 0
    while begin < len(order):
        end = begin + max(1, TOKENS // int(lengths[order[begin]]))
        yield order[begin:end]
        begin = end
