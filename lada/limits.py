"""The most that a number of the config may be, and why: what this machine, or any, can do."""

import math
import os
from collections.abc import Mapping
from typing import Any

from lada.errors import LadaError
from lada.values import shown

FLOAT32 = 3.4e38
"""The largest number that a tensor of fp32 holds, rounded down."""

ROUNDS = 10_000
"""Rounds of a plan."""

LEAST = 8
"""Processes or threads that are allowed whatever the machine."""


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def memory_gb() -> int:
    """Memory of this machine in 10^9 bytes, at least 1."""
    try:
        return max(1, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 10**9)
    except (AttributeError, ValueError, OSError):
        return 64


def limits() -> dict[str, tuple[float, str]]:
    """The most that each key may be, and the reason; a group's key may stand for several groups."""
    count = cores()
    four = max(LEAST, 4 * count)
    whose = f"four for each core that this process may use, of which there are {count}"
    processes = max(LEAST, 2 * count, memory_gb())
    long = "no model of this kind has been trained for longer"
    batch = "the largest batch that BERT has been trained with"
    shape = "no encoder is wider"
    return {
        "optim.epochs": (10_000, long),
        "optim.steps": (10**8, long),
        "optim.batch_size": (65_536, batch),
        "optim.weight_decay": (1_000, "one step at a rate of 1e-3 takes a weight to zero"),
        "optim.clip": (FLOAT32, "the largest number in fp32"),
        "teacher.epochs": (10_000, long),
        "teacher.steps": (10**8, long),
        "teacher.batch_size": (65_536, batch),
        "teacher.weight_decay": (1_000, "one step at a rate of 1e-3 takes a weight to zero"),
        "distill.embedding": (FLOAT32, "the largest number in fp32"),
        "distill.attention": (FLOAT32, "the largest number in fp32"),
        "distill.hidden": (FLOAT32, "the largest number in fp32"),
        "distill.prediction": (FLOAT32, "the largest number in fp32"),
        "distill.temperature": (10_000, "it leaves no difference between classes"),
        "method.temperature": (10_000, "it leaves no difference between classes"),
        "method.beta": (FLOAT32, "the largest number in fp32"),
        "method.layers": (256, "no encoder is deeper"),
        "method.applications": (256, "no encoder is deeper"),
        "method.width": (32_768, shape),
        "method.inner": (32_768, shape),
        "method.heads": (32_768, shape),
        "method.hidden": (32_768, shape),
        "method.adapter": (32_768, shape),
        "target.ratio": (10**6, "no model of this kind has so many parameters to remove"),
        "ratios.embedding": (10**6, "no matrix of this kind has so many parameters to remove"),
        "ratios.svd": (10**6, "no matrix of this kind has so many parameters to remove"),
        "ratios.pruning": (10**6, "no matrix of this kind has so many parameters to remove"),
        "schedule.rounds": (ROUNDS, "a plan lists every matrix at every round"),
        "schedule.every": (10**8, long),
        "data.select": (10**9, "no data set here has so many examples"),
        "data.workers": (four, whose),
        "teacher_cache.gb": (10**6, "no disk is larger"),
        "trainer.threads": (four, whose),
        "trainer.accumulate": (65_536, "no batch has more examples to be cut into parts"),
        "trainer.devices": (processes, f"each takes 1 GB or more, and there are {count} cores"),
        "trainer.num_nodes": (65_536, "no batch has more examples to be shared"),
        "trainer.checks": (10_000, "each goes over the whole validation split"),
        "trainer.jobs_per_gpu": (128, "each takes some hundred MB of the GPU"),
        "trainer.spikes": (10**6, "a training that skips more learns nothing"),
        "callbacks.checkpoint_minutes": (525_600, "a year"),
        "callbacks.keep": (10_000, "each takes some times the model's size on disk"),
    }


def check_limits(values: Mapping[str, Any]) -> None:
    """Reject what is beyond its key's limit, before anything is reckoned with it.

    Args:
        values: groups of the config, plain and of the right types.

    Raises:
        LadaError: naming the first such key, the most that it may be, and why.
    """
    for key, (most, why) in limits().items():
        group, _, name = key.partition(".")
        value = values.get(group, {}).get(name)
        # What is infinite is rejected with all that is not finite.
        if isinstance(value, int | float) and most < value != math.inf:
            raise LadaError(f"{key}={shown(value)}: must be at most {most:,.10g} ({why}).")
