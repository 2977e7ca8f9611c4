"""What Lightning, Hydra, callbacks and logging cost beside the same mathematics in a bare loop.

    python experiments/training_speed/overhead.py --data PATH --out overhead.json

A training of ours takes its steps, and after each of them the bare loop takes its own on the same
rows with a student of its own: whatever else the machine does falls on both alike. Every step's
pair of times is kept. Each of ours lasts from the end of the bare step before to its own end, with
all that the trainer does between two steps; validation checks and checkpoints are outside.
"""

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from contest import batches
from lightning.pytorch.callbacks import Callback
from ours import Bare, Ours
from setting import arguments, command, outputs_of, prepared

from lada.report.record import PACKAGES, machine, write_json


class Pairs(Callback):
    """After each step of ours one of the bare loop; keeps the seconds of both."""

    def __init__(self, bare: Bare, warmup: int):
        self._step, self._rows = bare.stepper(), batches(bare.job)
        self._warmup = warmup
        self._ended = 0.0
        self.ours: list[float] = []
        self.bare: list[float] = []

    def on_train_batch_end(
        self, trainer: Any, module: Any, outputs: Any, batch: Any, index: int
    ) -> None:
        began = time.perf_counter()
        self._step(next(self._rows))
        ended = time.perf_counter()
        if index >= self._warmup:
            self.ours.append(began - self._ended)
            self.bare.append(ended - began)
        self._ended = ended


def interval(ours: list[float], bare: list[float]) -> tuple[float, float, float]:
    """Ratio of the sums, and 95 % of what it is in resamples of blocks of ten steps."""
    a, b = (np.array(x)[: len(x) // 10 * 10].reshape(-1, 10).sum(1) for x in (ours, bare))
    drawn = np.random.default_rng(0).integers(0, len(a), (2000, len(a)))
    ratios = a[drawn].sum(1) / b[drawn].sum(1)
    low, high = np.quantile(ratios, [0.025, 0.975])
    return float(a.sum() / b.sum()), float(low), float(high)


def main() -> None:
    args = arguments(__doc__.splitlines()[0], steps=200).parse_args()
    with tempfile.TemporaryDirectory() as work:
        jobs = prepared(Path(work), args)
        record: dict[str, Any] = {
            "command": command("overhead.py", args.data),
            "machine": machine("cpu", torch.get_num_threads(), PACKAGES),
            "rows": args.rows,
            "steps": args.steps,
            "warmup": args.warmup,
            "pairs": {},
        }
        for precision, job in jobs.items():
            written, _ = outputs_of(job, 1)
            for kept in (False, True):
                outputs = written if kept else None
                name = f"{precision}, {'kept outputs' if kept else 'live teacher'}"
                pairs = Pairs(Bare(job, outputs, ""), args.warmup)
                Ours(job, outputs, "").run(args.warmup, args.steps, [pairs])
                ratio = interval(pairs.ours, pairs.bare)
                record["pairs"][name] = {
                    "ratio": ratio,
                    "ours": [round(seconds, 5) for seconds in pairs.ours],
                    "bare": [round(seconds, 5) for seconds in pairs.bare],
                }
                cost = " to ".join(f"{100 * (r - 1):+.1f} %" for r in ratio[1:])
                print(f"{name}: {100 * (ratio[0] - 1):+.1f} % ({cost})", flush=True)
                write_json(args.out, record, indent=None)


if __name__ == "__main__":
    main()
