"""Seconds of one compression of BERT-base: factors of 72 matrices and word embeddings, then masks.

    python experiments/training_speed/rounds.py --out experiments/training_speed/rounds.json

On one thread. Random weights have the flattest possible spectrum; ``--decay`` gives each matrix
singular values that fall by this power, like those of a trained one.
"""

import argparse
import statistics
import sys
import time
from pathlib import Path

import torch
from contest import method_for

sys.path.insert(0, str(Path(__file__).parents[2]))

from experiments.shapes import bert_base
from lada.files import output_file
from lada.ops.mask import largest
from lada.report.record import machine, write_json


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=output_file, required=True)
    parser.add_argument("--decay", type=float, default=0.5)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    torch.set_num_threads(1)
    teacher = bert_base(args.decay)
    method = method_for(7.5, "paper")
    plan = method.plan(teacher, 1)
    scores = torch.randn(85_000_000).abs()
    seconds: dict[str, list[float]] = {"factors": [], "masks": [], "threshold of 85 M": []}
    for _ in range(args.repeats):
        times = [time.perf_counter()]
        student = method.build(teacher, plan)
        times.append(time.perf_counter())
        method.compress_(student, plan.rounds[-1])
        times.append(time.perf_counter())
        largest(scores, 20_000_000)
        times.append(time.perf_counter())
        for name, start, end in zip(seconds, times[:-1], times[1:], strict=True):
            seconds[name].append(end - start)
    record = {
        "command": f"python experiments/training_speed/rounds.py --decay {args.decay:g}",
        "machine": machine("cpu", 1),
        "decay": args.decay,
        "seconds": seconds,
        "median": {name: statistics.median(found) for name, found in seconds.items()},
    }
    write_json(args.out, record)
    print(record["median"])


if __name__ == "__main__":
    main()
