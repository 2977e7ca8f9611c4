"""The machine of a run: ``auto`` is resolved here, once at the start."""

from dataclasses import dataclass
from typing import Any

import torch

from lada.config import Config, TrainerConfig
from lada.report import record
from lada.run.length import Length
from lada.training.loop import Loop, Processes


@dataclass(frozen=True)
class Machine:
    """The hardware of a run, and how it is used.

    Attributes:
        accelerator: ``gpu`` or ``cpu``.
        precision: ``bf16`` or ``fp32``.
        threads: of the CPU.
        workers: processes that make batches; 0: the training process makes them.
        skips: non-finite steps that are skipped before a training stops.
        name: of the GPU, or ``cpu``.
    """

    accelerator: str
    precision: str
    threads: int
    workers: int
    skips: int
    name: str

    @property
    def device(self) -> str:
        """The accelerator as torch names it."""
        return "cuda" if self.accelerator == "gpu" else "cpu"

    def about(self) -> dict[str, Any]:
        """Device, CPU, threads and library versions, as in records."""
        return record.machine(self.name, self.threads)


def settle(config: Config) -> Machine:
    """Resolve the trainer settings for this machine.

    The number of threads is torch's, if none is given: set it before.
    """
    t = config.trainer
    accelerator = pick_accelerator(t.accelerator)
    precision = pick_precision(t.precision, accelerator)
    gpu = accelerator == "gpu"
    return Machine(
        accelerator=accelerator,
        precision=precision,
        threads=torch.get_num_threads(),
        workers=pick_workers(config.data.workers, accelerator),
        # bf16 overflows now and then; in fp32 a non-finite step is a real problem.
        skips=t.skipped_steps if precision == "bf16" else 0,
        name=torch.cuda.get_device_name() if gpu else "cpu",
    )


def processes_of(trainer: TrainerConfig) -> Processes:
    """The processes that the trainer settings ask for; needed before a run is prepared."""
    return Processes(
        ddp=trainer.strategy == "ddp",
        devices=trainer.devices,
        nodes=trainer.num_nodes,
        gpu=pick_accelerator(trainer.accelerator) == "gpu",
    )


def loop_of(config: Config, machine: Machine, length: Length) -> Loop:
    """The loop of a training of this length."""
    return Loop(
        steps=length.steps,
        interval=length.interval,
        accelerator=machine.accelerator,
        precision=machine.precision,
        processes=processes_of(config.trainer),
        accumulate=config.trainer.accumulate,
        progress=config.callbacks.progress,
        minutes=config.callbacks.checkpoint_minutes,
        keep=config.callbacks.keep,
    )


def has_bf16(accelerator: str) -> bool:
    """Whether bf16 arithmetic is native there (on a CPU without it, it is slower than fp32)."""
    if accelerator == "gpu":
        return torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False)
    # oneDNN also reports bf16 where it emulates it; these two are the instructions themselves.
    return bool(
        torch.backends.mkldnn.is_available()
        and (torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
    )


def pick_accelerator(wanted: str) -> str:
    """Resolve ``auto`` to gpu or cpu; other values are returned as given."""
    if wanted == "auto":
        return "gpu" if torch.cuda.is_available() else "cpu"
    return wanted


def pick_precision(wanted: str, accelerator: str) -> str:
    """Resolve ``auto`` to bf16 or fp32; other values are returned as given."""
    if wanted == "auto":
        return "bf16" if has_bf16(accelerator) else "fp32"
    return wanted


def pick_workers(wanted: int | None, accelerator: str) -> int:
    """Number of processes that make batches, if not given: a GPU should not wait for batches."""
    if wanted is None:
        return 1 if accelerator == "gpu" else 0
    return wanted
