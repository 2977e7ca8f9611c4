"""The machine that trains, and how a batch is shared."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator
from pydantic_core import PydanticCustomError

from lada.errors import LadaError
from lada.limits import processes, threads, why_processes, why_threads
from lada.schema import consistent, setting, settings


def _no_shards(value: Any) -> Any:
    """Tell those who ask for another strategy of Lightning why there is none."""
    why = {
        "fsdp": "it keeps each matrix in pieces, and a round needs whole matrices",
        "deepspeed": "its optimizer keeps copies of the weights that no mask reaches",
    }
    if isinstance(value, str) and value in why:
        raise PydanticCustomError(
            "strategy", "is not supported: {why}. Use ddp.", {"why": why[value]}
        )
    return value


Strategy = Annotated[Literal["single", "ddp"], BeforeValidator(_no_shards)]


@settings("trainer", old={"spikes": "skipped_steps"})
class TrainerConfig:
    """Device, precision and processes."""

    accelerator: Literal["auto", "cpu", "gpu"] = setting("auto", "where it trains", free=True)
    precision: Literal["auto", "bf16", "fp32"] = setting(
        "auto", "`auto`: bf16 autocast where the machine computes in it, else fp32"
    )
    threads: int | None = setting(
        None, "of the CPU; null: all", least=1, most=threads, why=why_threads, free=True
    )
    accumulate: int = setting(
        1,
        "parts that each process cuts its share of a batch into",
        least=1,
        most=65_536,
        why="no batch has more examples to be cut into parts",
    )
    checks: int = setting(
        2,
        "validation checks per epoch; of a training by steps at most 20",
        least=1,
        most=10_000,
        why="each goes over the whole validation split",
    )
    strategy: Strategy = setting(
        "single", "`ddp`: several processes, each on a share of every batch"
    )
    devices: int | None = setting(
        None,
        "`ddp`: processes on this machine; null: one for each GPU",
        least=1,
        most=processes,
        why=why_processes,
    )
    num_nodes: int = setting(
        1,
        "`ddp`: machines; for more than 1, start by torchrun or srun",
        least=1,
        most=65_536,
        why="no batch has more examples to be shared",
    )
    jobs_per_gpu: int = setting(
        1,
        "jobs of a sweep on one GPU at once",
        least=1,
        most=128,
        why="each takes some hundred MB of the GPU",
        free=True,
    )
    skipped_steps: int = setting(
        3,
        "bf16: non-finite steps that are skipped before the training stops",
        least=0,
        most=10**6,
        why="a training that skips more learns nothing",
    )

    @consistent("strategy", "devices", "num_nodes")
    def _several_processes_are_ddp(self) -> None:
        if self.strategy != "ddp" and (self.devices or 1) * self.num_nodes > 1:
            raise LadaError(
                f"trainer.devices={'null' if self.devices is None else self.devices}, "
                f"trainer.num_nodes={self.num_nodes}: several processes need trainer=ddp. Add it."
            )

    @property
    def parts(self) -> int:
        """Parts that a batch is cut into by processes and accumulation, as far as is known."""
        return self.accumulate * (self.devices or 1) * self.num_nodes
