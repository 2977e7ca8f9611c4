"""Our training: as a run does it, and the same mathematics in a bare loop."""

import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from contest import dense
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from lada.compression import Compression
from lada.data.batches import collate, totals
from lada.data.outputs import TeacherOutputs
from lada.nn.capture import Outputs, forward, set_attention
from lada.nn.dropout import use_quick_dropout_
from lada.run.compress import build_examples, build_module
from lada.run.job import Job
from lada.run.length import Length
from lada.run.machine import loop_of
from lada.training.callbacks import HybridCompressionCallback
from lada.training.checkpoints import Checkpoints
from lada.training.fit import fit, make_trainer
from lada.training.loggers import logging_to
from lada.training.optim import linear_decay, make_adamw


class Clock(Callback):
    """Seconds from the end of step ``first`` to the end of step ``last``, counted from 1."""

    def __init__(self, first: int, last: int):
        self._first, self._last = first, last
        self.seconds = 0.0

    def on_train_batch_end(
        self, trainer: Any, module: Any, outputs: Any, batch: Any, index: int
    ) -> None:
        if index + 1 == self._first:
            self._started = time.perf_counter()
        elif index + 1 == self._last:
            self.seconds = time.perf_counter() - self._started


class Ours:
    """As a run does it: Lightning, callbacks, the logger with a row each 50 steps.

    Validation checks and checkpoints are outside the clock, and so is compiling.
    """

    def __init__(
        self, job: Job, outputs: TeacherOutputs | None, name: str, *, compiled: bool = False
    ):
        self.name = name
        self.job, self._outputs = job, outputs
        self._teacher = dense(job)
        self._compiled = compiled

    def run(self, warmup: int, steps: int, beside: list[Callback] | None = None) -> float:
        """As `Contestant.run`; ``beside`` are callbacks that a measurement puts in."""
        job, clock = self.job, Clock(warmup, warmup + steps)
        job.config.compile = self._compiled
        module = build_module(job, self._teacher, live=self._outputs is None)
        with (
            tempfile.TemporaryDirectory() as work,
            logging_to(
                job.config.logger.name,
                Path(work),
                project=job.config.logger.project,
                config={},
                run_id="x",
                step=None,
                first=True,
            ) as logger,
        ):
            folder = Path(work) / "checkpoints"
            folder.mkdir()
            whole = Length(warmup + steps, warmup + steps, 1.0)
            loop = replace(loop_of(job.config, job.machine, whole), progress="lines")
            kept = Checkpoints(folder, {}, minutes=loop.minutes, keep=loop.keep)
            first = replace(job.plan, rounds=job.plan.rounds[:1])
            compression = Compression(module.model, job.method, first, [0])
            trainer = make_trainer(
                loop,
                phase="compression",
                folder=Path(work),
                callbacks=[HybridCompressionCallback(compression), kept, clock, *(beside or [])],
                logger=logger,
            )
            fit(trainer, module, build_examples(job, self._outputs))
        return clock.seconds


class Bare:
    """The same batches, losses, optimizer and masks in a loop of a few lines."""

    def __init__(self, job: Job, outputs: TeacherOutputs | None, name: str):
        self.name = name
        self.job, self._outputs = job, outputs
        self._teacher = dense(job)
        set_attention(self._teacher, job.method.maps)
        self._device, self._bf16 = job.device, job.machine.precision == "bf16"
        self._teacher.to(self._device)

    def batch(self, rows: np.ndarray) -> dict[str, Tensor]:
        found = collate(self.job.train, rows, self.job.tokenizer.pad_token_id)
        found["totals"] = totals(self.job.train.lengths[rows]).float()
        if self._outputs is not None:
            found |= self._outputs.batch(rows)
        return {name: tensor.to(self._device) for name, tensor in found.items()}

    def loss(self, model: Any, batch: dict[str, Tensor]) -> Tensor:
        method = self.job.method
        needs = {"hidden": method.hidden, "attentions": method.maps is not None}
        with torch.autocast(self._device, torch.bfloat16, enabled=self._bf16):
            if self._outputs is None:
                with torch.no_grad():
                    theirs = forward(self._teacher, batch, **needs)
            else:
                theirs = Outputs(
                    batch["teacher_logits"],
                    batch["teacher_hidden"].unbind(1) if method.hidden else (),
                    batch["teacher_maps"].unbind(1) if method.maps else (),
                )
            terms = method.losses(forward(model, batch, **needs), theirs, batch, 0.0)
            return torch.stack([weight * term for weight, term in terms.values()]).sum()

    def student(self) -> Any:
        job = self.job
        assert job.plan is not None
        model = job.method.build(self._teacher, job.plan)
        job.method.compress_(model, job.plan.rounds[-1])
        set_attention(model, job.method.maps)
        use_quick_dropout_(model)
        return model.train().to(self._device)

    def stepper(self) -> Callable[[np.ndarray], None]:
        """A student of its own, and what takes one optimizer step of it on some rows."""
        o, model = self.job.config.optim, self.student()
        optimizer = make_adamw(model, lr=o.lr, weight_decay=o.weight_decay)
        schedule = linear_decay(optimizer, self.job.steps, o.warmup)

        def step(rows: np.ndarray) -> None:
            optimizer.zero_grad()
            self.loss(model, self.batch(rows)).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), o.clip)
            optimizer.step()
            schedule.step()

        return step
