"""The error of the layers' outputs right after compression, without any training.

    python experiments/ablation/one_shot.py SST2 OUT.json

For each combination of factorizer, score, split of the budget and allocation of ranks: compress the
pretrained MiniLM in one round, from statistics of 1,024 training sentences of SST-2 (the folder of
its train.tsv), and measure the relative squared error of every matrix's outputs on 1,024 other
training sentences; and, on 256 of them, that of the hidden states of the whole student.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from setting import begin, distance, finish, states, statistics
from torch import Tensor

from lada.methods.groups import RatiosConfig, ScheduleConfig
from lada.methods.parts import Parts
from lada.methods.structures import Factorized
from lada.nn.compressed import compressed_layers
from lada.ops.statistics import Statistics

CASES = [
    ("svd", "magnitude", "solved", "uniform"),
    ("svd", "product", "solved", "uniform"),
    ("svd", "activation", "solved", "uniform"),
    ("whitened", "magnitude", "solved", "uniform"),
    ("whitened", "product", "solved", "uniform"),
    ("whitened", "activation", "solved", "uniform"),
    ("svd", "magnitude", "fast", "uniform"),
    ("whitened", "magnitude", "fast", "uniform"),
    ("svd", "magnitude", "scaled", "uniform"),
    ("whitened", "activation", "scaled", "uniform"),
    ("svd", "magnitude", "fast", "marginal"),
    ("whitened", "magnitude", "fast", "marginal"),
    ("whitened", "activation", "scaled", "marginal"),
    ("whitened", "magnitude", "fast", "matrices"),
    ("whitened", "magnitude", "fast", "outputs"),
]
"""Factorizer, score, ratios, and allocation: of ``method.allocation``, or of `in_units`."""


def in_units(spectra: dict[str, Tensor], model: Any, how: str) -> dict[str, Tensor]:
    """Spectra, or the same in other units than those of `lada.ops.allocate.spectrum`.

    Args:
        how: "marginal": as they are; "matrices": the relative error of the outputs, of every matrix
            alike; "outputs": the same times the size of the matrix.
    """
    if how == "marginal":
        return spectra
    return {
        name: found / found.sum() * (model.get_submodule(name).weight.numel() ** (how == "outputs"))
        for name, found in spectra.items()
    }


@torch.no_grad()
def errors(model: Any, student: Any, other: Statistics) -> tuple[float, float]:
    """Mean relative squared error of the encoder's matrices, and that of the word embeddings."""
    found = []
    for name, layer in compressed_layers(student).items():
        weight = model.get_submodule(name).weight.double()
        wrong, part = weight - layer.product().double(), other.of(name)
        if part.counts is not None:
            rows = part.counts.double()[:, None]
            words = float((rows * wrong.square()).sum() / (rows * weight.square()).sum())
            continue
        assert part.second is not None
        second = part.second.double()
        found.append(float(((wrong @ second) * wrong).sum() / ((weight @ second) * weight).sum()))
    return float(np.mean(found)), words


def main() -> None:
    """Measure all cases at three targets; one line each, and a file of them."""
    setting = begin(__doc__)
    model, tokenizer, shown = setting.model, setting.tokenizer, setting.shown
    ours, other = statistics(setting)
    before = states(model, shown, tokenizer)
    spectra = {name: Parts(name, statistics=ours).spectra_of(model) for name in ("svd", "whitened")}
    rows: list[dict[str, Any]] = []
    for target in (7.5, 10.0, 20.0):
        for factorizer, score, rule, allocation in CASES:
            parts = Parts(factorizer, score, ours)
            if allocation != "uniform":
                found = in_units(spectra[factorizer], model, allocation)
                parts = replace(parts, spectra=found)
            method = Factorized(
                target,
                RatiosConfig(rule=rule),
                ScheduleConfig(rounds=1),
                lower_rank="truncate",
                threshold="factor",
                parts=parts,
            )
            plan = method.plan(model, 1)
            student = method.build(model, plan)
            method.compress_(student, plan.rounds[-1])
            encoder, words = errors(model, student, other)
            after = distance(before, states(student, shown, tokenizer))
            rows.append(
                {"target": target, "factorizer": factorizer, "score": score, "ratios": rule,
                 "allocation": allocation, "encoder": round(encoder, 4),
                 "word_embeddings": round(words, 4), "hidden_states": round(after, 4)}
            )  # fmt: skip
            print(rows[-1], flush=True)
    finish(rows, setting.out)


if __name__ == "__main__":
    main()
