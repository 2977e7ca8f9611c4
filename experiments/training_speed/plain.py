"""The plain loop, as the repositories of papers have it: what our training is compared with.

fp32; every batch padded to the longest that a row may be; the teacher runs beside the student and
gives all maps and states; masks are multiplied in each forward pass; default AdamW. The factors are
two thin products here too, and the losses are ours, so the mathematics is the same.
"""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from contest import Model, batches, clocked, dense, student
from torch import Tensor, nn

from lada.nn.capture import set_attention
from lada.nn.factors import FactorizedEmbedding, FactorizedLinear, Factors
from lada.run.job import Job


class MaskedFactors(nn.Module):
    """Factors of a linear layer or of word embeddings; masks are applied in the forward pass."""

    def __init__(self, layer: Factors):
        super().__init__()
        self.factor_a = nn.Parameter(layer.active("factor_a").detach().clone())
        self.factor_b = nn.Parameter(layer.active("factor_b").detach().clone())
        self.register_buffer("mask_a", layer.active("mask_a").float())
        self.register_buffer("mask_b", layer.active("mask_b").float())

    def factors(self) -> tuple[Tensor, Tensor]:
        return self.factor_a * self.mask_a, self.factor_b * self.mask_b


class MaskedLinear(MaskedFactors):
    """``y = (x B) A^T + bias``."""

    def __init__(self, layer: FactorizedLinear):
        super().__init__(layer)
        self.bias = nn.Parameter(layer.bias.detach().clone())

    def forward(self, x: Tensor) -> Tensor:
        a, b = self.factors()
        return F.linear(F.linear(x, b.T), a, self.bias)


class MaskedEmbedding(MaskedFactors):
    """Rows of ``A B^T``."""

    def forward(self, ids: Tensor) -> Tensor:
        a, b = self.factors()
        return F.linear(F.embedding(ids, a), b)


def plain_student(model: Model) -> Model:
    """The same student with masks that are applied in the forward pass."""
    for name, layer in list(model.named_modules()):
        if isinstance(layer, Factors):
            parent, _, child = name.rpartition(".")
            kind = MaskedEmbedding if isinstance(layer, FactorizedEmbedding) else MaskedLinear
            setattr(model.get_submodule(parent), child, kind(layer))
    return model


def padded(job: Job, rows: np.ndarray) -> dict[str, Tensor]:
    """A batch padded to ``task.max_length``."""
    shape = (len(rows), job.config.task.max_length)
    ids = torch.full(shape, job.tokenizer.pad_token_id)
    mask, types = torch.zeros(shape, dtype=torch.int64), torch.zeros(shape, dtype=torch.int64)
    for place, row in enumerate(rows):
        words = job.train.ids[job.train.starts[row] : job.train.starts[row + 1]]
        ids[place, : len(words)] = torch.from_numpy(words.astype(np.int64))
        mask[place, : len(words)] = 1
        types[place, job.train.first[row] : len(words)] = 1
    return {"input_ids": ids, "attention_mask": mask, "token_type_ids": types}


def loss_of(ours: Any, theirs: Any, mask: Tensor) -> Tensor:
    """The four terms, each a mean over real elements."""
    tokens = mask.unsqueeze(-1).float()
    pairs = (mask.unsqueeze(1) * mask.unsqueeze(2)).unsqueeze(1).float()
    loss = -(F.softmax(theirs.logits, -1) * F.log_softmax(ours.logits, -1)).sum(-1).mean()
    for s, t in zip(ours.hidden_states, theirs.hidden_states, strict=True):
        loss = loss + ((s - t) ** 2 * tokens).sum() / (tokens.sum() * s.shape[-1])
    for s, t in zip(ours.attentions, theirs.attentions, strict=True):
        loss = loss + ((s - t) ** 2 * pairs).sum() / (pairs.sum() * s.shape[1])
    return loss


class Plain:
    """The loop."""

    name = "plain loop"

    def __init__(self, job: Job):
        self.job = job
        self.teacher = dense(job)
        self.student = plain_student(student(job)).train()
        for model in (self.teacher, self.student):
            set_attention(model, job.config.distill.maps)
        self.optimizer = torch.optim.AdamW(self.student.parameters(), lr=job.config.optim.lr)
        self.schedule = torch.optim.lr_scheduler.LinearLR(self.optimizer, 1.0, 0.0, job.steps)

    def loss(self, batch: dict[str, Tensor]) -> Tensor:
        with torch.no_grad():
            theirs = self.teacher(**batch, output_hidden_states=True, output_attentions=True)
        ours = self.student(**batch, output_hidden_states=True, output_attentions=True)
        return loss_of(ours, theirs, batch["attention_mask"])

    def step(self, rows: np.ndarray) -> None:
        loss = self.loss(padded(self.job, rows))
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.student.parameters(), 1.0)
        self.optimizer.step()
        self.schedule.step()
        loss.item()

    def run(self, warmup: int, steps: int) -> float:
        return clocked(self.step, batches(self.job), warmup, steps)
