"""The statistics of a teacher's layers on training examples: from the cache, or gathered once."""

import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray
from safetensors import SafetensorError
from torch import Tensor

from lada.data.batches import collate
from lada.data.tokens import Encoded
from lada.files import temporary_file
from lada.methods.forms import ShapeSettings
from lada.methods.settings import PartsSettings
from lada.nn.device import move_
from lada.nn.statistics import gather, read_statistics, write_statistics
from lada.ops.statistics import Statistics
from lada.run.identity import statistics_key
from lada.run.job import Job
from lada.run.teacher import Teacher
from lada.training.processes import World

log = logging.getLogger("lada")

BATCH = 32
"""Examples of a forward pass."""


def chosen(examples: int, among: int) -> NDArray[np.int64]:
    """The numbers of the examples that statistics are of, ascending; the same in every run."""
    order = np.random.Generator(np.random.PCG64(0)).permutation(among)
    return np.sort(order[:examples])


def get_statistics(job: Job, teacher: Teacher, world: World) -> Statistics:
    """What the teacher's layers see of training examples, and of the texts without labels.

    Where gradients are needed, it is of examples with labels alone. The first process gathers
    them, if the cache has none; all read the same file.
    """
    settings = job.config.method
    assert isinstance(settings, PartsSettings | ShapeSettings)
    gradients = settings.needs_gradients
    examples = job.train if gradients else job.learned
    numbers = chosen(min(settings.examples, len(examples)), len(examples))
    key = statistics_key(teacher.folder, examples, len(numbers), job.machine, gradients=gradients)
    file = Path(job.config.paths.cache) / "statistics" / f"{key}.safetensors"
    with world.first_first():
        if (found := _read(file)) is None:
            file.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(file.with_suffix(".lock")):
                found = _read(file) or _gathered(job, teacher, examples, numbers, file)
    return found


def _read(file: Path) -> Statistics | None:
    """Stored statistics; None where there are none that are intact."""
    if not file.exists():
        return None
    try:
        return read_statistics(file)
    except (OSError, ValueError, KeyError, SafetensorError):
        log.warning("teacher: %s is corrupt and is made again", file)
        return None


def _gathered(
    job: Job, teacher: Teacher, examples: Encoded, numbers: NDArray[np.int64], file: Path
) -> Statistics:
    log.info("teacher: statistics of its layers on %d examples, once", len(numbers))
    model, before = teacher.model, teacher.model.device
    move_(model, job.device)
    try:
        batches = _batches(examples, numbers, job.tokenizer.pad_token_id)
        settings = job.config.method
        found = gather(model, batches, job.head.summed if settings.needs_gradients else None)
    finally:
        move_(model, before)
    temporary = temporary_file(file)
    try:
        write_statistics(found, temporary)
        temporary.replace(file)
    finally:
        temporary.unlink(missing_ok=True)
    return read_statistics(file)


def _batches(
    examples: Encoded, numbers: NDArray[np.int64], pad_id: int
) -> Iterator[dict[str, Tensor]]:
    """Batches of examples of similar length, longest first."""
    order = numbers[np.argsort(-examples.lengths[numbers], kind="stable")]
    for start in range(0, len(order), BATCH):
        yield collate(examples, order[start : start + BATCH], pad_id)
