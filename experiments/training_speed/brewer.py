"""TextBrewer (Yang et al. 2020, arXiv 2002.12620), with the same student, teacher, losses and data.

From PyPI: ``pip install textbrewer``. It trains in fp32 (it has no bf16), and does not apply masks
after a step, so the student multiplies by them in its forward pass, as in the plain loop.
"""

import logging
import tempfile
import time
from itertools import islice
from typing import Any

import numpy as np
import torch
from contest import batches, dense, student
from plain import padded, plain_student
from textbrewer import DistillationConfig, GeneralDistiller, TrainingConfig
from torch import Tensor

from lada.data.batches import collate
from lada.nn.capture import set_attention
from lada.run.job import Job

logging.getLogger("Distillation").setLevel(logging.ERROR)


def adaptor(batch: dict[str, Tensor], out: Any) -> dict[str, Any]:
    """The inputs of its losses."""
    return {
        "logits": out.logits,
        "hidden": out.hidden_states,
        "attention": out.attentions,
        "inputs_mask": batch["attention_mask"],
    }


class Rows:
    """Its data loader; records when the timed steps start."""

    def __init__(self, job: Job, bucketed: bool, warmup: int, steps: int):
        self._job, self._bucketed = job, bucketed
        self._warmup, self._steps = warmup, steps
        self.started = 0.0

    def _batch(self, rows: np.ndarray) -> dict[str, Tensor]:
        if not self._bucketed:
            return padded(self._job, rows)
        found = collate(self._job.train, rows, self._job.tokenizer.pad_token_id)
        return {n: found[n] for n in ("input_ids", "attention_mask", "token_type_ids")}

    def __iter__(self) -> Any:
        for place, rows in enumerate(islice(batches(self._job), self._warmup + self._steps)):
            if place == self._warmup:
                self.started = time.perf_counter()
            yield self._batch(rows)


class Brewer:
    """Padded to the maximum, as its examples do, or with our batches by length given to it."""

    def __init__(self, job: Job, bucketed: bool):
        self.name = "TextBrewer, batches by length" if bucketed else "TextBrewer"
        self.job, self._bucketed = job, bucketed
        self.teacher = dense(job)
        self.student = plain_student(student(job)).train()
        for model in (self.teacher, self.student):
            set_attention(model, job.config.distill.maps)

    def distiller(self, folder: str) -> GeneralDistiller:
        layers = self.teacher.config.num_hidden_layers

        def match(feature: str, layer: int) -> dict[str, Any]:
            pair = {"layer_T": layer, "layer_S": layer, "weight": 1.0}
            return {**pair, "feature": feature, "loss": f"{feature}_mse"}

        matches = [match("hidden", n) for n in range(layers + 1)]
        matches += [match("attention", n) for n in range(layers)]
        return GeneralDistiller(
            TrainingConfig(device="cpu", ckpt_steps=10**9, output_dir=folder, log_dir=None),
            DistillationConfig(
                temperature=1.0,
                kd_loss_type="ce",
                kd_loss_weight=1.0,
                hard_label_weight=0.0,
                intermediate_matches=matches,
            ),
            self.teacher,
            self.student,
            adaptor,
            adaptor,
        )

    def loss(self, batch: dict[str, Tensor]) -> Tensor:
        """Its loss on one batch."""
        with tempfile.TemporaryDirectory() as folder:
            asked = {"output_hidden_states": True, "output_attentions": True}
            total, _ = self.distiller(folder).train_on_batch(batch, asked)
        return total

    def run(self, warmup: int, steps: int) -> float:
        rows = Rows(self.job, self._bucketed, warmup, steps)
        optimizer = torch.optim.AdamW(self.student.parameters(), lr=self.job.config.optim.lr)
        with tempfile.TemporaryDirectory() as folder:
            distiller = self.distiller(folder)
            # It saves a checkpoint at the end, which is not part of a step.
            distiller.save_and_callback = lambda *args: None
            with distiller:
                distiller.train(
                    optimizer,
                    rows,
                    num_steps=warmup + steps,
                    max_grad_norm=1.0,
                    output_hidden_states=True,
                    output_attentions=True,
                )
        return time.perf_counter() - rows.started
