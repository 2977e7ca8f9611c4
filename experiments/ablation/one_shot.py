"""The error of the layers' outputs right after compression, without any training.

    python experiments/ablation/one_shot.py SST2 OUT.json

For each combination of factorizer, score and split of the budget: compress the pretrained MiniLM in
one round, from statistics of 1,024 training sentences of SST-2 (the folder of its train.tsv), and
measure the relative squared error of every matrix's outputs on 1,024 other training sentences.
"""

import argparse
import csv
import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
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
CASES = [
    ("svd", "magnitude", "solved"),
    ("svd", "product", "solved"),
    ("svd", "activation", "solved"),
    ("whitened", "magnitude", "solved"),
    ("whitened", "product", "solved"),
    ("whitened", "activation", "solved"),
    ("svd", "magnitude", "fast"),
    ("whitened", "magnitude", "fast"),
    ("svd", "magnitude", "scaled"),
    ("whitened", "activation", "scaled"),
]


def sentences(folder: Path) -> list[str]:
    """Twice `EXAMPLES` sentences of the train file, drawn at random."""
    file = next(f for f in (folder / "train.tsv", folder / "train.tsv.gz") if f.exists())
    with (gzip.open if file.suffix == ".gz" else open)(file, "rt", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))
    chosen = np.random.default_rng(0).permutation(len(rows))[: 2 * EXAMPLES]
    return [rows[place]["sentence"] for place in chosen]


def seen(model: BertForSequenceClassification, texts: list[str], tokenizer: Any) -> Statistics:
    """The statistics of the model on these texts."""
    split = Split("train", texts, None, np.zeros(len(texts), np.int64))
    rows = encode(split, tokenizer, 64, None)
    numbers = np.argsort(-rows.lengths, kind="stable")
    pad = tokenizer.pad_token_id
    return gather(
        model, (collate(rows, numbers[at : at + 32], pad) for at in range(0, len(numbers), 32))
    )


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
    ours, other = (seen(model, part, tokenizer) for part in (texts[:EXAMPLES], texts[EXAMPLES:]))
    rows: list[dict[str, Any]] = []
    for target in (7.5, 10.0, 20.0):
        for factorizer, score, rule in CASES:
            parts = Parts(factorizer, score, ours)
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
            rows.append(
                {"target": target, "factorizer": factorizer, "score": score, "ratios": rule,
                 "encoder": round(encoder, 4), "word_embeddings": round(words, 4)}
            )  # fmt: skip
            print(rows[-1], flush=True)
    found = {"examples": EXAMPLES, "torch": torch.__version__, "rows": rows}
    arguments.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
