"""Seconds a step and peak memory of our training as one size grows, and the slopes of both.

    python experiments/training_speed/growth.py --out experiments/training_speed/growth.json

The bare loop of a step, with the teacher live. Random BERT models; each point is a process of its
own, so that its peak memory is its own. A slope is that of log seconds over log size between the
two largest points (of log bytes, those of an empty process taken off): 1 is proportional.
"""

import argparse
import json
import math
import statistics
import subprocess
import sys
import time
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from contest import method_for
from transformers import BertConfig, BertForSequenceClassification

from lada.data.batches import BucketBatches, collate, totals
from lada.data.tokens import Encoded
from lada.files import output_file
from lada.nn.capture import forward, set_attention
from lada.probe import peak_bytes
from lada.report.record import machine, write_json
from lada.run.machine import has_bf16
from lada.training.optim import make_adamw

BASE = {"batch": 16, "length": 64, "layers": 4, "width": 256, "rows": 4000}
POINTS = {
    "batch": (4, 8, 16, 32, 64),
    "length": (16, 32, 64, 128, 256, 512),
    "layers": (2, 4, 8, 12),
    "width": (128, 256, 512, 768),
    "rows": (1000, 10_000, 100_000, 1_000_000),
}
VOCABULARY = 5000
STEPS = 8


def model_of(size: dict[str, int]) -> BertForSequenceClassification:
    """A random teacher."""
    torch.manual_seed(1)
    config = BertConfig(
        vocab_size=VOCABULARY,
        hidden_size=size["width"],
        num_hidden_layers=size["layers"],
        num_attention_heads=size["width"] // 64,
        intermediate_size=4 * size["width"],
    )
    model = BertForSequenceClassification(config).eval().requires_grad_(False)
    set_attention(model, "scores")
    return model


def rows_of(size: dict[str, int]) -> Encoded:
    """Random rows, all of one length."""
    generator = np.random.default_rng(1)
    n, length = size["rows"], size["length"]
    return Encoded(
        ids=generator.integers(5, VOCABULARY, n * length, dtype=np.int32),
        starts=np.arange(n + 1, dtype=np.int64) * length,
        first=np.full(n, length, dtype=np.int32),
        labels=generator.integers(0, 2, n),
    )


def point(size: dict[str, int]) -> dict[str, float]:
    """Median seconds of a step in this process, and the most memory that it has held."""
    method = method_for(5.0, "solved")
    teacher, rows = model_of(size), rows_of(size)
    plan = method.plan(teacher, 1)
    student = method.build(teacher, plan)
    method.compress_(student, plan.rounds[-1])
    optimizer = make_adamw(student, lr=1e-4, weight_decay=0.01)
    needs = {"hidden": True, "attentions": True}
    seconds = []
    for index in islice(BucketBatches(rows.lengths, size["batch"], 1).epoch(0), STEPS + 2):
        started = time.perf_counter()
        batch = collate(rows, index, 0) | {"totals": totals(rows.lengths[index]).float()}
        with torch.autocast("cpu", torch.bfloat16, enabled=has_bf16("cpu")):
            with torch.no_grad():
                theirs = forward(teacher, batch, **needs)
            terms = method.losses(forward(student, batch, **needs), theirs, batch, 0.0)
            loss = torch.stack([weight * term for weight, term in terms.values()]).sum()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(student.parameters(), 1.0)
        optimizer.step()
        seconds.append(time.perf_counter() - started)
    peak = peak_bytes()
    return {"seconds": statistics.median(seconds[2:]), "bytes": peak}


def slope(found: list[dict[str, Any]], key: str, less: float = 0.0) -> float:
    """Between the two largest sizes, on logarithmic axes; ``less`` is taken from both values."""
    one, two = found[-2:]
    rise = math.log((two[key] - less) / (one[key] - less))
    return rise / math.log(two["size"] / one["size"])


def draw(record: dict[str, Any], file: Path) -> None:
    """Seconds and memory against each size."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3.0 * len(record["points"]), 5.6), layout="constrained")
    axes = figure.subplots(2, len(record["points"]), squeeze=False, sharey="row")
    for column, (name, found) in enumerate(record["points"].items()):
        sizes = [p["size"] for p in found]
        for row, (key, unit, what) in enumerate(
            (("seconds", 1e-3, "milliseconds a step"), ("bytes", 1e9, "peak memory, GB"))
        ):
            ax = axes[row][column]
            ax.plot(sizes, [p[key] / unit for p in found], marker="o", markersize=4)
            ax.set_xscale("log", base=10 if name == "rows" else 2)
            ax.set_yscale("log" if key == "seconds" else "linear")
            ax.set_xlabel(name)
            ax.set_ylabel(what if column == 0 else "")
            ax.set_title(f"slope {record['slopes'][name][key]:.2f}", fontsize=9)
            ax.grid(alpha=0.3)
    axes[1][0].set_ylim(bottom=0)
    figure.savefig(file)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=output_file, help="JSON; a drawing is put beside it")
    parser.add_argument("--point", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.point:
        print(json.dumps(point(json.loads(args.point))))
        return
    if args.out is None:
        parser.error("--out is needed")
    floor = _measure(BASE | {"batch": 1, "length": 8, "layers": 1, "width": 64, "rows": 20})
    record: dict[str, Any] = {
        "command": "python experiments/training_speed/growth.py --out growth.json",
        "machine": machine("cpu", torch.get_num_threads()),
        "base": BASE,
        "empty_process_bytes": floor["bytes"],
        "points": {},
        "slopes": {},
    }
    for name, sizes in POINTS.items():
        found = record["points"].setdefault(name, [])
        for size in sizes:
            found.append({"size": size} | _measure(BASE | {name: size}))
            print(name, found[-1], flush=True)
            write_json(args.out, record)
        record["slopes"][name] = {
            "seconds": slope(found, "seconds"),
            "bytes": slope(found, "bytes", floor["bytes"]),
        }
    write_json(args.out, record)
    draw(record, args.out.with_suffix(".png"))


def _measure(size: dict[str, int]) -> dict[str, float]:
    command = [sys.executable, __file__, "--point", json.dumps(size)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


if __name__ == "__main__":
    main()
