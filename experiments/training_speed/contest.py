"""What all contestants of this benchmark share: one student, one teacher, the same rows."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from hydra import compose, initialize_config_dir
from torch import Tensor
from transformers import BertForSequenceClassification

from lada.config import DistillConfig, RatiosConfig, ScheduleConfig, check
from lada.data.batches import BucketBatches
from lada.methods.base import Combined
from lada.methods.objectives import FourTerms
from lada.methods.structures import Factorized
from lada.nn.pretrained import load_classifier
from lada.run.job import Job, prepare

CONF = Path(__file__).resolve().parents[2] / "conf"

Model = BertForSequenceClassification


def settle(overrides: list[str]) -> Job:
    """A run in one round, so that every step has the student at its final size."""
    with initialize_config_dir(str(CONF), version_base=None):
        config = check(compose("train", ["schedule.rounds=1", *overrides]))
    return prepare(config, overrides)


def method_for(target: float, rule: str) -> Combined:
    """LadaBERT's method in one round, without a config."""
    structure = Factorized(
        target,
        RatiosConfig(rule=rule),
        ScheduleConfig(rounds=1, recovery=0.2),
        lower_rank="truncate",
        threshold="factor",
    )
    return Combined(structure, FourTerms(DistillConfig()))


def dense(job: Job) -> Model:
    """The teacher. It is not fine-tuned: that changes no time."""
    model = load_classifier(job.base, job.data.labels, job.config.seed)
    return model.eval().requires_grad_(False)


def student(job: Job) -> Model:
    """The compressed student before its first step."""
    assert job.plan is not None
    model = job.method.build(dense(job), job.plan)
    job.method.compress_(model, job.plan.rounds[-1])
    return model


def batches(job: Job) -> Iterator[np.ndarray]:
    """Row numbers of every step, as a run of ours takes them."""
    order = BucketBatches(job.train.lengths, job.config.optim.batch_size, job.config.seed)
    epoch = 0
    while True:
        yield from order.epoch(epoch)
        epoch += 1


class Contestant(Protocol):
    """One way to train the student."""

    name: str

    def run(self, warmup: int, steps: int) -> float:
        """Train from the first batch; returns the seconds of the ``steps`` after ``warmup``."""
        ...


def clocked(step: Any, rows: Iterator[np.ndarray], warmup: int, steps: int) -> float:
    """Seconds that ``step`` takes over ``steps`` batches, after ``warmup`` others."""
    for _ in range(warmup):
        step(next(rows))
    started = time.perf_counter()
    for _ in range(steps):
        step(next(rows))
    return time.perf_counter() - started


def gradients(model: Model, loss: Tensor) -> dict[str, Tensor]:
    """Gradient of each parameter by name."""
    model.zero_grad(set_to_none=True)
    loss.backward()
    return {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}


def without_dropout(model: Model) -> Model:
    """The same model, deterministic in training mode."""
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    model.config.attention_probs_dropout_prob = 0.0
    for layer in model.bert.encoder.layer:
        layer.attention.self.dropout.p = 0.0
    return model
