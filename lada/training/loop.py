"""The settings of a training loop: its length, machine and processes, as plain frozen values."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Processes:
    """How processes share a training.

    Attributes:
        ddp: whether several processes may share it; else there is one.
        devices: processes per machine; None: one per GPU.
        nodes: machines.
        gpu: whether each has a GPU; else they share the CPU.
    """

    ddp: bool
    devices: int | None
    nodes: int
    gpu: bool


@dataclass(frozen=True)
class Loop:
    """A training loop, whatever is trained.

    Attributes:
        steps: optimizer steps.
        interval: optimizer steps between two validation checks.
        accelerator: ``gpu`` or ``cpu``.
        precision: ``bf16`` or ``fp32``.
        processes: that share the training.
        accumulate: parts that a process cuts its share of a batch into.
        progress: ``auto``, ``bar``, ``lines`` or ``none``.
        minutes: between two checkpoints, where validation checks are further apart.
        keep: checkpoints that are kept, apart from the best weights.
    """

    steps: int
    interval: int
    accelerator: str
    precision: str
    processes: Processes
    accumulate: int
    progress: str
    minutes: float
    keep: int
