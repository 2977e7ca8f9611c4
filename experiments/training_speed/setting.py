"""Shared by compare.py and overhead.py: command line, examples, the teacher's outputs."""

import argparse
import gzip
import logging
import sys
import time
import warnings
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import torch
from contest import dense, settle

from lada.data.outputs import TeacherOutputs
from lada.files import output_file
from lada.overrides import override
from lada.run.job import Job
from lada.run.teacher import Teacher
from lada.run.teacher_cache import TeacherCache
from lada.training.processes import ALONE


def arguments(description: str, *, steps: int) -> argparse.ArgumentParser:
    """A parser with the common arguments; ``steps``: default number of timed steps."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--out", type=output_file, required=True)
    parser.add_argument("--data", required=True, help="folder with SST-2/")
    parser.add_argument("--precisions", default="fp32,bf16", help="with commas")
    parser.add_argument(
        "--rows", type=int, default=8000, help="training examples, from the start of the file"
    )
    parser.add_argument("--warmup", type=int, default=10, help="steps")
    parser.add_argument("--steps", type=int, default=steps, help="timed steps per repeat")
    parser.add_argument("overrides", nargs="*", help="of the config, such as trainer.threads=1")
    return parser


def command(script: str, data: str) -> str:
    """The command line for the record, without the path of the ``data``."""
    line = " ".join([f"python experiments/training_speed/{script}", *sys.argv[1:]])
    return line.replace(data, "PATH")


def lines(file: Path) -> Iterator[str]:
    """Of a file, or of the one with .gz after its name."""
    if file.is_file():
        yield from file.read_text(encoding="utf-8").splitlines(keepends=True)
        return
    with gzip.open(f"{file}.gz", "rt", encoding="utf-8") as f:
        yield from f


def prepared(work: Path, args: argparse.Namespace) -> dict[str, Job]:
    """A job for each of ``args.precisions``, on the first examples, with all caches in ``work``."""
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    folder = work / "SST-2"
    folder.mkdir()
    for name, count in (("train", args.rows + 64), ("dev", 64)):
        with gzip.open(folder / f"{name}.tsv.gz", "wt", encoding="utf-8") as f:
            f.writelines(islice(lines(Path(args.data) / f"SST-2/{name}.tsv"), count + 1))
    common = [
        "task=sst2",
        override("data.dir", str(work)),
        "data.validation=64",
        "data.split_by=example",
        override("paths.cache", f"{work}/cache"),
        "optim.epochs=3",
        "trainer.accelerator=cpu",
        *args.overrides,
    ]
    jobs = {p: settle([*common, f"trainer.precision={p}"]) for p in args.precisions.split(",")}
    some = next(iter(jobs.values()))
    if some.config.trainer.threads is not None:
        torch.set_num_threads(some.config.trainer.threads)
    return jobs


def outputs_of(job: Job, repeats: int) -> tuple[TeacherOutputs, list[float]]:
    """The teacher's outputs, and the seconds to write them, for each repeat."""
    teacher, seconds = Teacher(dense(job), Path(str(job.base)), {}), []
    place = Path(job.config.paths.cache)
    for repeat in range(repeats):
        job.config.paths.cache = str(place / f"pass-{repeat}")
        started = time.perf_counter()
        cache = TeacherCache(job, teacher)
        found = cache.get(None, ALONE)
        seconds.append(time.perf_counter() - started)
    job.config.paths.cache = str(place)
    assert found is not None
    return found, seconds
