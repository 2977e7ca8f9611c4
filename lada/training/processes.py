"""Several processes that train one student: which they are, how they start, what they share."""

import logging
import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, Std
from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from lada.errors import LadaError
from lada.training.failures import last_line, left_by
from lada.training.loop import Processes

PATIENCE = timedelta(days=2)
"""How long a process waits for another: one may wait for a teacher that another run trains."""


@dataclass(frozen=True)
class World:
    """The processes of a run, and which of them this is."""

    rank: int
    size: int

    @property
    def first(self) -> bool:
        """Whether this is the process that writes files, messages and the report."""
        return self.rank == 0

    def barrier(self) -> None:
        """Wait for all."""
        if self.size > 1:
            dist.barrier()

    def share(self, value: Any) -> Any:
        """The ``value`` (text, numbers) of process 0, on every process."""
        if self.size == 1:
            return value
        box = [value]
        dist.broadcast_object_list(box, 0)
        return box[0]

    @contextmanager
    def first_first(self) -> Iterator[None]:
        """Process 0 runs the block before the others, which find its results.

        If it fails, the others run the block too, and fail as well.
        """
        if not self.first:
            self.barrier()
        try:
            yield
        finally:
            if self.first:
                self.barrier()

    @contextmanager
    def only_first(self) -> Iterator[None]:
        """If process 0 fails in the block, the others exit; they have nothing to do there."""
        if not self.first:
            if not self.share(True):
                raise SystemExit(2)
            yield
            return
        try:
            yield
        except BaseException:
            self.share(False)
            raise
        self.share(True)


ALONE = World(0, 1)


def is_launched() -> bool:
    """Whether torchrun or Slurm (srun) has started this process, alone or as one of several."""
    return TorchElasticEnvironment.detect() or _started() > 1


def _started() -> int:
    """The number of processes that torchrun or srun has started, this one included."""
    if TorchElasticEnvironment.detect():
        return int(os.environ["WORLD_SIZE"])
    if SLURMEnvironment.detect():
        # Tasks of this step: a batch script asks for tasks, but is itself a single process.
        return int(os.environ.get("SLURM_STEP_NUM_TASKS", 1))
    return 1


def processes_here(processes: Processes) -> int:
    """Processes of a run on each machine.

    Raises:
        LadaError: ``trainer.devices`` is null, which means one per GPU, and there is no GPU.
    """
    if not processes.ddp:
        return 1
    if processes.devices is not None:
        return processes.devices
    if not processes.gpu:
        raise LadaError("trainer=ddp: this machine has no GPU. Set trainer.devices=N.")
    return torch.cuda.device_count()


def check_processes(processes: Processes) -> None:
    """Reject settings that cannot work, before any process is started.

    Raises:
        LadaError: the number of processes started is not the number that the config asks for.
    """
    if not processes.ddp:
        if _started() > 1:
            raise LadaError(
                "trainer.strategy=single: this is one of several processes, which "
                "would all do the same work. Set trainer=ddp."
            )
        return
    here = processes_here(processes)
    gpus = torch.cuda.device_count()
    if processes.gpu and not 0 < here <= gpus:
        raise LadaError(
            f"trainer.devices={here}: this machine has {gpus} GPUs. Set fewer, or "
            "trainer.accelerator=cpu."
        )
    expected = here * processes.nodes
    if is_launched():
        if _started() != expected:
            raise LadaError(
                f"trainer.devices={here}, trainer.num_nodes={processes.nodes}: {expected} "
                f"processes are expected, {_started()} were started. Set the number per node and "
                "of nodes."
            )
    elif processes.nodes > 1:
        raise LadaError(
            f"trainer.num_nodes={processes.nodes}: this process was not started by torchrun or "
            f"srun. Start it so on every node, with {here} processes each."
        )


def join(processes: Processes) -> World:
    """Join the other processes of this run, if there are any."""
    if not processes.ddp or not is_launched():
        return ALONE
    if not TorchElasticEnvironment.detect():
        try:
            slurm = SLURMEnvironment(auto_requeue=False)
        except RuntimeError as error:
            raise LadaError(f"srun: {error}") from None
        os.environ["MASTER_ADDR"] = slurm.main_address
        os.environ["MASTER_PORT"] = str(slurm.main_port)
        os.environ["RANK"] = os.environ["SLURM_PROCID"]
        os.environ["WORLD_SIZE"] = str(_started())
        os.environ["LOCAL_RANK"] = os.environ["SLURM_LOCALID"]
    gpu = processes.gpu
    if gpu:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    if not dist.is_initialized():
        dist.init_process_group("nccl" if gpu else "gloo", timeout=PATIENCE)
    return World(dist.get_rank(), dist.get_world_size())


def launch(command: list[str], count: int, logs: Path) -> int:
    """Run ``command`` as ``count`` processes on this machine, as torchrun would.

    The output of the first is shown, that of the others goes to files under ``logs``.

    Returns:
        0, or the exit code of the first that failed; the rest are stopped.
    """
    # Torch reports a failed child at length; the child itself has printed its error.
    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)
    cores = os.cpu_count() or 1
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, cores // count)))
    hidden = dict.fromkeys(range(1, count), Std.ALL)
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=count,
        run_id=secrets.token_hex(4),
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        rdzv_configs={"timeout": 60},
        local_addr="localhost",
        max_restarts=0,
        monitor_interval=0.2,
        shutdown_timeout=120,
        logs_specs=DefaultLogsSpecs(log_dir=str(logs), redirects=hidden),
    )
    try:
        elastic_launch(config, command[0])(*command[1:])
    except ChildFailedError as error:
        rank, failure = error.get_first_failure()
        if rank != 0:  # the first process has printed its own error
            for file in sorted(logs.rglob(f"attempt_0/{rank}/stderr.log"))[-1:]:
                line = last_line(file)
                if line != left_by(0, logs):
                    print(f"process {rank}: {line}", file=sys.stderr)
        code = failure.exitcode
        return int(code if code > 0 else 128 - code)
    except SignalException as stopped:
        return 128 + int(stopped.sigval)
    return 0
