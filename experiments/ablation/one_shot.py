"""The error of the layers' outputs right after compression, without any training.

    python experiments/ablation/one_shot.py SST2 OUT.json

For each combination of factorizer, score, split of the budget and allocation of ranks: compress the
pretrained MiniLM in one round, from statistics of 1,024 training sentences of SST-2 (the folder of
its train.tsv), and measure the relative squared error of every matrix's outputs on 1,024 other
training sentences; and, on 256 of them, that of the hidden states of the whole student.
"""

import argparse
import csv
import gzip
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import BertForSequenceClassification

from lada.data.batches import collate
from lada.data.split import Split
from lada.data.tokens import encode
from lada.methods.groups import RatiosConfig, ScheduleConfig
from lada.methods.parts import Parts
from lada.methods.structures import Factorized
from lada.nn.compressed import compressed_layers
from lada.nn.pretrained import find_model, load_tokenizer
from lada.nn.statistics import gather
from lada.ops.statistics import Statistics

EXAMPLES = 1024
STATES = 256
"""Sentences whose hidden states are compared."""

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


def sentences(folder: Path) -> list[str]:
    """Twice `EXAMPLES` sentences of the train file, drawn at random."""
    file = next(f for f in (folder / "train.tsv", folder / "train.tsv.gz") if f.exists())
    with (gzip.open if file.suffix == ".gz" else open)(file, "rt", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))
    chosen = np.random.default_rng(0).permutation(len(rows))[: 2 * EXAMPLES]
    return [rows[place]["sentence"] for place in chosen]


def batches(texts: list[str], tokenizer: Any) -> Iterator[dict[str, Tensor]]:
    """These texts, longest first."""
    split = Split("train", texts, None, np.zeros(len(texts), np.int64))
    rows = encode(split, tokenizer, 64, None)
    numbers = np.argsort(-rows.lengths, kind="stable")
    for at in range(0, len(numbers), 32):
        yield collate(rows, numbers[at : at + 32], tokenizer.pad_token_id)


@torch.no_grad()
def states(model: Any, texts: list[str], tokenizer: Any) -> list[Tensor]:
    """The hidden states of all tokens, without padding: (tokens, width) for each layer."""
    model.eval()
    found = []
    for batch in batches(texts, tokenizer):
        real = batch["attention_mask"].bool()
        out = model.bert(batch["input_ids"], attention_mask=real, output_hidden_states=True)
        found.append([state[real] for state in out.hidden_states])
    return [torch.cat(layer) for layer in zip(*found, strict=True)]


def distance(theirs: list[Tensor], ours: list[Tensor]) -> float:
    """The squared error of states over their variance, a mean over layers."""
    found = [
        float((a - b).square().sum() / (a - a.mean(0)).square().sum())
        for a, b in zip(theirs, ours, strict=True)
    ]
    return float(np.mean(found))


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
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sst2", type=Path)
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    folder = find_model("minilm-l6", None)
    torch.manual_seed(0)
    model = BertForSequenceClassification.from_pretrained(folder, dtype=torch.float32)
    texts = sentences(arguments.sst2)
    tokenizer = load_tokenizer(folder, [])
    ours, other = (
        gather(model, batches(part, tokenizer)) for part in (texts[:EXAMPLES], texts[EXAMPLES:])
    )
    shown = texts[-STATES:]
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
    done = {"examples": EXAMPLES, "torch": torch.__version__, "rows": rows}
    arguments.out.write_text(json.dumps(done, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
