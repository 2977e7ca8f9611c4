"""Seconds to tokenize as many pairs as MNLI has, and to open them again; memory of the workers.

    python experiments/training_speed/tokens.py --data PATH --out tokens.json

The MNLI examples in ``--data`` (``MNLI/train.tsv``) are repeated to 392,702. A worker's memory is
its private memory, without shared pages, after it has made batches of all examples. The digest is
that of all texts, by which the file is found.
"""

import argparse
import multiprocessing
import tempfile
import time
from itertools import cycle, islice
from pathlib import Path

import numpy as np
import torch

from lada.data.batches import BucketBatches, collate
from lada.data.source import load_task
from lada.data.split import Split
from lada.data.tokens import Encoded, encode
from lada.files import output_file
from lada.nn.pretrained import find_model, load_tokenizer
from lada.report.record import machine, write_json

ROWS = 392_702


def own_bytes() -> int:
    """Private memory of this process."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Private_"))


def work(rows: Encoded, found: "multiprocessing.Queue[int]") -> None:
    before = own_bytes()
    for index in BucketBatches(rows.lengths, 32, 1).epoch(0):
        collate(rows, index, 0)
    found.put(own_bytes() - before)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="folder with MNLI/")
    parser.add_argument("--out", type=output_file, required=True)
    parser.add_argument("--rows", type=int, default=ROWS)
    args = parser.parse_args()
    data = load_task("mnli", data_dir=args.data, validation_examples=None).train
    assert data.pairs is not None
    split = Split(
        "train",
        list(islice(cycle(data.texts), args.rows)),
        list(islice(cycle(data.pairs), args.rows)),
        np.resize(data.labels, args.rows),
    )
    tokenizer = load_tokenizer(find_model("minilm-l6", None))
    started = time.perf_counter()
    assert split.digest
    digest_seconds = time.perf_counter() - started
    with tempfile.TemporaryDirectory() as work_folder:
        seconds = []
        for _ in range(2):
            started = time.perf_counter()
            rows = encode(split, tokenizer, 128, Path(work_folder))
            seconds.append(time.perf_counter() - started)
        (file,) = Path(work_folder).iterdir()
        size = file.stat().st_size
        context = multiprocessing.get_context("fork")
        found = context.Queue()
        workers = [context.Process(target=work, args=(rows, found)) for _ in range(2)]
        for worker in workers:
            worker.start()
        own = [found.get() for _ in workers]
        for worker in workers:
            worker.join()
    record = {
        "command": "python experiments/training_speed/tokens.py --data PATH --out tokens.json",
        "machine": machine("cpu", torch.get_num_threads()),
        "rows": args.rows,
        "repeated": len(data),
        "tokens": int(rows.starts[-1]),
        "file_bytes": size,
        "digest_seconds": digest_seconds,
        "tokenizing_seconds": seconds[0],
        "opening_seconds": seconds[1],
        "worker_own_bytes": own,
    }
    write_json(args.out, record)
    print({name: value for name, value in record.items() if name != "machine"})


if __name__ == "__main__":
    main()
