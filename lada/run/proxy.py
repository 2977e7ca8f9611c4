"""A measure of a compression that costs seconds: no file, no rounds, no score.

Candidates of a search can be ordered by it before any is trained. How well that order is the order
of whole runs has to be measured for each task: experiments/search does so.
"""

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import PreTrainedModel

from lada.compression import Compression
from lada.config import Config
from lada.data.batches import BucketBatches, collate, totals
from lada.data.tokens import Encoded
from lada.errors import LadaError
from lada.methods.settings import RankSettings
from lada.nn.capture import forward
from lada.nn.compressed import set_bits_
from lada.nn.device import move_
from lada.report.record import write_json
from lada.run.job import Job, prepare
from lada.run.runs import RESULTS
from lada.run.scoring import outputs_of
from lada.run.statistics import get_statistics
from lada.run.teacher import Teacher, get_teacher
from lada.training.optim import linear_decay, make_adamw
from lada.training.processes import ALONE

EXAMPLES = 256
"""Training texts that the loss is measured on; the recovery does not see them."""
STEPS = 100
"""Steps of the recovery."""


@dataclass(frozen=True)
class Proxy:
    """What is known of a compression without a run.

    Attributes:
        loss: of the student's predictions against its teacher's, without temperature; smaller is
            better. Differences between candidates count: with classes it contains the entropy of
            the teacher's predictions, which is the same for all.
        fractions: of the plan, by name; None: it has none.
        seconds: without those of data and teacher.
    """

    loss: float
    fractions: dict[str, float] | None
    seconds: float


def proxy(config: Config, examples: int = EXAMPLES, steps: int = STEPS) -> Proxy:
    """Compress in one round, train for a moment, and compare the predictions with the teacher's.

    Everything is as the config says, but for the rounds and the length of the training. The teacher
    is that of its runs, and is trained if none is stored.

    Args:
        examples: training texts that the loss is measured on.
        steps: of the training.

    Raises:
        LadaError: the method reads no ratios, there are too few texts, or as for a run.
    """
    if "ratios" not in config.method.reads or not config.method.trained:
        raise LadaError(
            f"method={config.method.name}: has no proxy, which is of methods that read ratios and "
            "train. Search with whole runs."
        )
    if config.trainer.threads is not None:
        torch.set_num_threads(config.trainer.threads)
    job = prepare(_shortened(config, steps), [])
    size = config.optim.batch_size
    if len(job.learned) < examples + size:
        raise LadaError(
            f"proxy: needs {examples + size} training texts and has {len(job.learned)}. Search "
            "with whole runs, which are short then."
        )
    teacher = get_teacher(job, ALONE)
    started = time.monotonic()
    job, dense, student = _student(job, teacher)
    compression = Compression(student, job.method, job.plan, job.at, job.head)
    order = np.random.Generator(np.random.PCG64(0)).permutation(len(job.learned))
    measured, rest = order[:examples], order[examples:]
    move_(dense, job.device)
    move_(student, job.device)
    _recover(job, compression, dense, rest, steps)
    loss = _loss(job, student, dense, measured)
    fractions = vars(job.plan.fractions) if job.plan.fractions else None
    return Proxy(loss, fractions, round(time.monotonic() - started, 1))


def tell(config: Config, folder: Path) -> None:
    """Compute a proxy, print it, and write it into a folder as the record of a run is."""
    found = proxy(config)
    folder.mkdir(parents=True, exist_ok=True)
    record = {
        "proxy": found.loss,
        "plan": {"fractions": found.fractions},
        "seconds": found.seconds,
        "examples": EXAMPLES,
        "steps": STEPS,
    }
    write_json(folder / RESULTS, record)
    print(f"proxy: {found.loss:.5f} (loss of the predictions; {found.seconds} s)")


def _shortened(config: Config, steps: int) -> Config:
    """The same in one round, of so many steps."""
    schedule = replace(config.schedule, rounds=1, every="auto", delta=None, start="compressed")
    return replace(
        config,
        schedule=schedule,
        optim=replace(config.optim, steps=steps, epochs=None),
        data=replace(config.data, augment=0, mlm=None),
    )


def _student(job: Job, teacher: Teacher) -> tuple[Job, PreTrainedModel, PreTrainedModel]:
    """The job with what it knows of its teacher, what is compressed, and the student."""
    if job.head.scales or job.head.compares:
        job = job.taught_by(outputs_of(job, teacher.model, job.validation))
    settings = job.config.method
    if settings.needs_statistics:
        job = job.with_statistics(get_statistics(job, teacher, ALONE))
    if settings.needs_spectra:
        assert isinstance(settings, RankSettings)
        spectra = settings.parts(job.context).spectra_of(job.compressed(teacher.model))
        job = job.with_spectra(spectra, teacher.model)
    dense = job.compressed(teacher.model)
    job = job.of_student()
    student = job.method.build(dense, job.plan)
    set_bits_(student, job.config.artifact.values)
    return job, dense.eval().requires_grad_(False), student.train()


def _recover(
    job: Job,
    compression: Compression,
    teacher: PreTrainedModel,
    among: NDArray[np.int64],
    steps: int,
) -> None:
    """Do the round, and train on some of the examples."""
    o, student = job.config.optim, compression.model
    torch.manual_seed(job.config.seed)
    optimizer = make_adamw(
        student, lr=o.rate, weight_decay=o.weight_decay, betas=(o.beta1, o.beta2), eps=o.eps
    )
    schedule = linear_decay(optimizer, steps, o.warmup)
    batches = BucketBatches(job.learned.lengths[among], o.batch_size, job.config.seed)
    numbers = [among[batch] for epoch in range(steps) for batch in batches.epoch(epoch)[:steps]]
    for step, batch in enumerate(numbers[:steps]):
        compression.before_step(step, optimizer)
        tensors = _batch(job, job.learned, batch)
        with torch.autocast(job.device, torch.bfloat16, enabled=job.machine.precision == "bf16"):
            loss = compression.distillation_loss(tensors, teacher=teacher)
        loss.backward()
        compression.after_backward()
        torch.nn.utils.clip_grad_norm_(student.parameters(), o.clip)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()


@torch.no_grad()
def _loss(
    job: Job, student: PreTrainedModel, teacher: PreTrainedModel, numbers: NDArray[np.int64]
) -> float:
    """The mean loss of the predictions over examples, in fp32."""
    student.eval()
    found = 0.0
    for batch in np.array_split(numbers, max(1, len(numbers) // 32)):
        tensors = _batch(job, job.learned, batch)
        tensors["totals"] = totals(job.learned.lengths[batch]).float().to(job.device)
        tensors["targets"] = torch.tensor(float(job.learned.targets[batch].sum()))
        ours, theirs = (
            forward(model, tensors, output=job.head.output).logits for model in (student, teacher)
        )
        found += float(job.head.soft(ours, theirs, tensors, 1.0)) * len(batch)
    return found / len(numbers)


def _batch(job: Job, examples: Encoded, numbers: NDArray[np.int64]) -> dict[str, Tensor]:
    made: dict[str, Any] = collate(examples, numbers, job.tokenizer.pad_token_id)
    return {name: tensor.to(job.device) for name, tensor in made.items()}
