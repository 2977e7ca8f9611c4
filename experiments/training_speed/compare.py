"""Examples per second of our training, compared with the plain loop and TextBrewer.

    pip install textbrewer
    python experiments/training_speed/compare.py --data PATH --out compare.json

Real SST-2 examples (``--data`` has ``SST-2/``), MiniLM-L6 as teacher and student, target 7.5x.

First the plain loop and ours must agree on one batch in fp32 without dropout: loss and gradients;
and TextBrewer's loss is theirs. Then all train over the same rows in turns, in a new order each
time; medians of the repeats. Where the teacher's outputs are kept, they lie in the system's page
cache, and writing them has a clock of its own.
"""

import random
import statistics
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from contest import Contestant, batches, dense, gradients, student, without_dropout
from ours import Bare, Ours
from plain import Plain, loss_of, padded, plain_student
from setting import arguments, command, outputs_of, prepared

from lada.nn.capture import set_attention
from lada.nn.compressed import compressed_layers
from lada.report.record import PACKAGES, machine, write_json
from lada.run.job import Job


def agreement(job: Job, with_brewer: bool) -> dict[str, float]:
    """How far plain loop and ours are apart on a batch, as parts of loss and largest gradient."""
    rows = next(batches(job))
    bare = Bare(job, None, "")
    model = without_dropout(student(job)).train()
    set_attention(model, job.method.maps)
    ours = bare.loss(model, bare.batch(rows))
    ours_grad = gradients(model, ours)
    ranks = {name: layer.rank for name, layer in compressed_layers(model).items()}

    teacher = dense(job)
    other = without_dropout(plain_student(student(job))).train()
    for m in (teacher, other):
        set_attention(m, job.method.maps)
    batch = padded(job, rows)
    asked = {"output_hidden_states": True, "output_attentions": True}
    with torch.no_grad():
        theirs = teacher(**batch, **asked)
    plain = loss_of(other(**batch, **asked), theirs, batch["attention_mask"])
    plain_grad = gradients(other, plain)
    assert ours_grad.keys() == plain_grad.keys()
    worst = 0.0
    for name, gradient in plain_grad.items():
        mine = ours_grad[name]
        layer = name.rpartition(".")[0]
        if layer in ranks and mine.ndim == 2:
            mine = mine[:, : ranks[layer]]
        worst = max(worst, float((mine - gradient).abs().max()))
    largest = max(float(g.abs().max()) for g in plain_grad.values())
    found = {"loss": float((ours - plain).abs() / plain.abs()), "gradients": worst / largest}
    if with_brewer:
        from brewer import Brewer

        one = Brewer(job, False)
        one.student = other
        found["textbrewer_loss"] = float((one.loss(batch) - plain).abs() / plain.abs())
    if max(found.values()) > 1e-5:
        raise SystemExit(f"the contestants do not learn the same: {found}")
    return found


def contestants(
    jobs: dict[str, Job], names: set[str], repeats: int, record: dict[str, Any]
) -> list[Contestant]:
    """All that are named; every one has a student of its own."""
    found: list[Contestant] = []
    if "plain" in names:
        found.append(Plain(jobs["fp32"]))
    if "textbrewer" in names:
        from brewer import Brewer

        found += [Brewer(jobs["fp32"], False), Brewer(jobs["fp32"], True)]
    for precision, job in jobs.items():
        written, seconds = outputs_of(job, repeats)
        record["pass_seconds"][precision] = seconds
        for kept in (False, True):
            outputs = written if kept else None
            label = f"{precision}, {'kept outputs' if kept else 'live teacher'}"
            if "ours" in names:
                found.append(Ours(job, outputs, f"ours, {label}"))
            if "compiled" in names and kept:
                found.append(Ours(job, outputs, f"ours, {label}, compiled", compiled=True))
    return found


def main() -> None:
    parser = arguments(__doc__.splitlines()[0], steps=50)
    parser.add_argument("--only", default="plain,textbrewer,ours,compiled", help="with commas")
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        jobs = prepared(Path(work), args)
        some = next(iter(jobs.values()))
        record: dict[str, Any] = {
            "command": command("compare.py", args.data),
            "machine": machine("cpu", torch.get_num_threads(), (*PACKAGES, "textbrewer")),
            "rows": args.rows,
            "batch": some.config.optim.batch_size,
            "max_length": some.config.task.max_length,
            "mean_length": float(np.mean(some.train.lengths)),
            "steps": args.steps,
            "warmup": args.warmup,
            "epochs": some.config.optim.epochs,
            "seconds": {},
            "pass_seconds": {},
        }
        names = set(args.only.split(","))
        if "fp32" in jobs:
            record["agreement"] = agreement(jobs["fp32"], "textbrewer" in names)
            print("agreement:", record["agreement"], flush=True)
        found = contestants(jobs, names, args.repeats, record)
        order = random.Random(0)
        for repeat in range(args.repeats):
            order.shuffle(found)
            for one in found:
                seconds = one.run(args.warmup, args.steps)
                record["seconds"].setdefault(one.name, []).append(seconds)
                rate = args.steps * record["batch"] / seconds
                print(f"{repeat + 1}/{args.repeats} {one.name}: {rate:.1f} examples/s", flush=True)
            write_json(args.out, record)
    show(record)


def show(record: dict[str, Any]) -> None:
    """Seconds a 1,000 rows; what is kept costs its share of the writing in each epoch."""
    rows = record["steps"] * record["batch"]
    medians = {n: 1000 * statistics.median(s) / rows for n, s in record["seconds"].items()}
    base = medians.get("plain loop")
    for name, seconds in sorted(medians.items(), key=lambda item: -item[1]):
        written = next(
            (statistics.median(s) for p, s in record["pass_seconds"].items() if p in name), 0.0
        )
        share = 1000 * written / record["rows"] / record["epochs"] if "kept" in name else 0.0
        ratio = f"  x{base / (seconds + share):.2f}" if base else ""
        print(f"{name:36s} {seconds:7.2f} s + {share:.2f} s{ratio}")


if __name__ == "__main__":
    main()
