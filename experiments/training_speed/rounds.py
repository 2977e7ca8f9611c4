"""Seconds of one compression of BERT-base: factors of 72 matrices and word embeddings, then masks.

    python experiments/training_speed/rounds.py --out experiments/training_speed/rounds.json

On one thread. Random weights have the flattest possible spectrum; ``--decay`` gives each matrix
singular values that fall by this power, like those of a trained one.
"""

import argparse
import statistics
import time

import torch
from contest import method_for
from transformers import BertConfig, BertForSequenceClassification

from lada.files import output_file
from lada.ops.mask import largest
from lada.report.record import machine, write_json


def bert(decay: float) -> BertForSequenceClassification:
    """BERT-base whose matrices have singular values k^-decay."""
    torch.manual_seed(1)
    model = BertForSequenceClassification(BertConfig()).eval()
    for parameter in model.parameters() if decay else ():
        if parameter.ndim == 2 and min(parameter.shape) > 2:
            left, _ = torch.linalg.qr(torch.randn(parameter.shape[0], min(parameter.shape)))
            right, _ = torch.linalg.qr(torch.randn(parameter.shape[1], min(parameter.shape)))
            values = torch.arange(1, left.shape[1] + 1).float() ** -decay
            parameter.data = (left * values) @ right.T
    return model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=output_file, required=True)
    parser.add_argument("--decay", type=float, default=0.5)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    torch.set_num_threads(1)
    teacher = bert(args.decay)
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
