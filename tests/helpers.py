"""What several test files need."""

import csv
import json
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import stranger
from transformers import BertConfig, BertForSequenceClassification

from lada.report.predictions import to_hex

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str


def small_bert() -> BertForSequenceClassification:
    """Two layers, 32 wide, for the vocabulary of the tiny model; random, by torch's generator."""
    config = BertConfig(
        vocab_size=2000,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=32,
        id2label={0: "bad", 1: "good"},
        label2id={"bad": 0, "good": 1},
    )
    return BertForSequenceClassification(config)


def record_of(folder: Path) -> dict[str, Any]:
    """The record of the one finished run under ``folder``."""
    (found,) = folder.rglob("results.json")
    return json.loads(found.read_text(encoding="utf-8"))


def run_in(folder: Path) -> Path:
    """Folder of the one run, finished or not, under ``folder``."""
    (found,) = folder.rglob("run.json")
    return found.parent


def write_csv(path: Path, rows: list[tuple[str, ...]], header: tuple[str, ...]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as f:
        writer = csv.writer(f)
        writer.writerow(header)
        writer.writerows(rows)
    return path


def sentences(count: int, seed: int) -> list[tuple[str, str]]:
    """Rows that a random two-layer model learns in seconds: the label is in one word."""
    draw = random.Random(seed)
    rows = []
    for i in range(count):
        good = i % 2 == 0
        word = draw.choice(("lovely", "great", "fine") if good else ("awful", "bad", "poor"))
        filler = " ".join(draw.choice("the a of in on it we they old new red".split())
                          for _ in range(draw.randint(2, 8)))  # fmt: skip
        rows.append((f"{filler} {word} {i}", "good" if good else "bad"))
    return rows


def check_same_model(first: Path, second: Path) -> None:
    """The same packed tensors and config, but for digests of files: a model alone has none."""
    tensors = [stranger.packed(folder / "model.safetensors") for folder in (first, second)]
    assert tensors[0] == tensors[1]
    configs = [json.loads((folder / "config.json").read_text()) for folder in (first, second)]
    assert "files" in configs[0]["lada"]
    assert "files" not in configs[1]["lada"]
    for config in configs:
        config["lada"].pop("files", None)
        config["lada"].pop("version")
    assert configs[0] == configs[1]


def comparison_row(method: str, right: Any, seed: int = 1, **changed: Any) -> dict[str, Any]:
    """A row of the comparison, of a run that has these dev examples right."""
    bits = np.asarray(right, dtype=bool)
    score = {"rows": len(bits), "correct": int(bits.sum()), "accuracy": float(bits.mean())}
    teacher = {"rows": len(bits), "correct": len(bits), "accuracy": 1.0}
    return {
        "command": "python train.py",
        "seed": seed,
        "task": "sst2",
        "model": "minilm-l6",
        "method": method,
        "start": "",
        "target": "7.5x",
        "reached": 7.5,
        "values": "int8",
        "machine": {"device": "cpu"},
        "precision": "bf16",
        "rate": 3e-4,
        "steps": 100,
        "data": {
            "train": {"rows": 1000, "sha256": "b"},
            "dev": {"rows": len(bits), "sha256": "a"},
        },
        "teacher": {
            "key": f"sst2-{seed}",
            "parameters": 7500,
            "stored_bytes": 30000,
            "scores": {"dev": teacher},
            "correct": {"dev": to_hex(np.ones(len(bits), dtype=bool))},
        },
        "artifact": {
            "validation_score": 0.9,
            "nonzeros": 1000,
            "stored_bytes": 1100,
            "scores": {"dev": score},
            "correct": {"dev": to_hex(bits)},
        },
        "curve": [],
        **changed,
    }
