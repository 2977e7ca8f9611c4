"""What a classifier still knows right after factorization, by what the factors are best for.

    python experiments/ablation/one_shot_fisher.py SST2 TEACHER OUT.json

The matrices of a classifier that was fine-tuned on SST-2 become factors in one shot, rank alone, by
each ``method.factorizer``, from statistics (and gradients) of 1,024 training sentences. Accuracy on
SST-2's dev sentences, and the mean KL divergence of the predictions from the teacher's.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch
from setting import EXAMPLES, finish, rows_of
from torch import Tensor
from transformers import BertForSequenceClassification

from lada.data.batches import collate
from lada.data.split import Split
from lada.data.tokens import encode
from lada.heads import head_named
from lada.methods.groups import RatiosConfig, ScheduleConfig
from lada.methods.parts import Parts
from lada.methods.structures import Factorized
from lada.nn.pretrained import load_tokenizer
from lada.nn.statistics import gather
from lada.ops.factorizers import FACTORIZERS

TARGETS = (5.0, 7.5)


def examples(file: Path) -> tuple[list[str], list[int]]:
    """Sentences and labels, in the order of the file."""
    rows = rows_of(file)
    return [row["sentence"] for row in rows], [int(row["label"]) for row in rows]


def batches(texts: list[str], labels: list[int], tokenizer: Any) -> list[dict[str, Tensor]]:
    """The examples, longest first."""
    rows = encode(Split("train", texts, None, np.array(labels)), tokenizer, 64, None)
    order = np.argsort(-rows.lengths, kind="stable")
    parts = [order[at : at + 32] for at in range(0, len(order), 32)]
    return [collate(rows, part, tokenizer.pad_token_id) for part in parts]


@torch.no_grad()
def predictions(model: Any, dev: list[dict[str, Tensor]]) -> Tensor:
    """The log-probabilities (examples, 2) of all batches."""
    model.eval()
    out = [model(b["input_ids"], attention_mask=b["attention_mask"]).logits for b in dev]
    return torch.cat(out).log_softmax(1)


def main() -> None:
    """Measure all factorizers at two targets; one line each, and a file of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sst2", type=Path)
    parser.add_argument("teacher", type=Path)
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    model = BertForSequenceClassification.from_pretrained(arguments.teacher, dtype=torch.float32)
    tokenizer = load_tokenizer(arguments.teacher, [])
    texts, labels = examples(arguments.sst2 / "train.tsv")
    chosen = np.random.default_rng(0).permutation(len(texts))[:EXAMPLES]
    seen = batches([texts[i] for i in chosen], [labels[i] for i in chosen], tokenizer)
    statistics = gather(model, seen, head_named("single_label", ("0", "1")).summed)
    dev = batches(*examples(arguments.sst2 / "dev.tsv"), tokenizer)
    truth = torch.cat([batch["labels"] for batch in dev])
    before = predictions(model, dev)
    accuracy = float((before.argmax(1) == truth).double().mean())
    rows: list[dict[str, Any]] = [{"factorizer": "teacher", "accuracy": round(accuracy, 4)}]
    print(rows[-1], flush=True)
    for factorizer in FACTORIZERS:
        student: Any = None
        for target in TARGETS:  # columns fall, so that dropping some is the best of a lower rank
            method = Factorized(
                target,
                RatiosConfig(rule="fast", round_to=1),
                ScheduleConfig(rounds=1),
                lower_rank="truncate",
                threshold="factor",
                parts=Parts(factorizer, statistics=statistics),
            )
            plan = method.plan(model, 1)
            student = method.build(model, plan) if student is None else student
            method.compress_(student, plan.rounds[-1])
            after = predictions(student, dev)
            accuracy = float((after.argmax(1) == truth).double().mean())
            distance = float((before.exp() * (before - after)).sum(1).mean())
            rows.append(
                {"factorizer": factorizer, "target": target, "accuracy": round(accuracy, 4),
                 "kl": round(distance, 4)}
            )  # fmt: skip
            print(rows[-1], flush=True)
    finish(rows, arguments.out)


if __name__ == "__main__":
    main()
