"""``-m``: every job is one ``python train.py`` process, so that all launchers behave alike.

A job that was done before, in whatever sweep, is not done again; one that was begun is gone on
with; one that fails is noted and stops no other.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout
from hydra.core.hydra_config import HydraConfig
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from lada.config import Config, check
from lada.errors import LadaError
from lada.report.record import write_json
from lada.report.table import sweep_table
from lada.runs import RESULTS, find_runs, find_unfinished, is_done, run_key

OUTCOME = "job.json"
LOG = "log.txt"
SCRIPT = Path(__file__).parent.parent / "train.py"
INTERRUPTED = 130


def run_job(cfg: DictConfig) -> None:
    """Do the present multirun job as a child process; record how it ended, never raise for it."""
    hydra = HydraConfig.get()
    home = Path(hydra.runtime.cwd)  # a launcher's worker may stand elsewhere
    own = home / hydra.runtime.output_dir
    own.mkdir(parents=True, exist_ok=True)
    overrides = list(hydra.overrides.task)
    outcome: dict[str, Any] = {
        "job": hydra.job.num,
        "overrides": overrides,
        "config": OmegaConf.to_container(cfg),
        "folder": str(own),
        "exit_code": INTERRUPTED,
        "error": "interrupted",
    }
    place = _place_of(cfg, [own.parent, home / str(cfg.paths.outputs)])
    try:
        if place is not None:
            outcome["folder"] = str(place)
        if place is not None and is_done(place):
            outcome["exit_code"] = 0
            print(f"job {hydra.job.num} was done before: {place}", flush=True)
        else:
            print(f"job {hydra.job.num}: {' '.join(overrides)}", flush=True)
            with _seat(cfg, own.parent) as env:
                arguments = [*overrides, f"hydra.run.dir='{place or own}'"]
                code = _child(arguments, home, own / LOG, env)
            outcome["exit_code"] = code
        if outcome["exit_code"] == 0:
            del outcome["error"]
        else:
            outcome["error"] = _last_line(own / LOG)
            outcome["log"] = str(own / LOG)
            print(f"job {hydra.job.num} failed ({code}): {outcome['error']}", flush=True)
    finally:
        write_json(own / OUTCOME, outcome)


def _place_of(cfg: DictConfig, places: list[Path]) -> Path | None:
    """The folder of a run of this config that is done, or else of one that can be gone on with."""
    try:
        config: Config = check(cfg)
    except LadaError:
        return None  # the child says what is wrong with it
    if config.resume != "auto":
        return None
    key = run_key(config)
    for place in places:
        for folder in find_runs(place, key):
            if is_done(folder):
                return folder
    for place in places:
        begun = find_unfinished(place, key)
        if begun is not None:
            return begun
    return None


def _child(arguments: list[str], home: Path, log: Path, env: dict[str, str]) -> int:
    """Run train.py; when this process is stopped, let the child keep a checkpoint first."""
    command = [sys.executable, str(SCRIPT), *arguments]
    with log.open("w", encoding="utf-8") as out:
        child = subprocess.Popen(
            command,
            cwd=home,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            env=os.environ | env,
        )
        try:
            return child.wait()
        except BaseException as stop:
            if not isinstance(stop, KeyboardInterrupt):  # Ctrl-C has reached the child by itself
                child.terminate()
            child.wait()
            raise


@contextmanager
def _seat(cfg: DictConfig, folder: Path) -> Iterator[dict[str, str]]:
    """Wait for one of the ``trainer.jobs_per_gpu`` seats of a GPU; what the child must know of it.

    Launchers say how many jobs run at once; seats spread them over the GPUs. Without GPUs, and for
    a job that takes several by itself, there are none.
    """
    gpus = torch.cuda.device_count()
    if not gpus or cfg.trainer.accelerator == "cpu" or cfg.trainer.strategy != "single":
        yield {}
        return
    names = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
    seats = [(gpu, seat) for seat in range(cfg.trainer.jobs_per_gpu) for gpu in range(gpus)]
    while True:
        for gpu, seat in seats:
            lock = FileLock(folder / f".gpu{gpu}-seat{seat}.lock", timeout=0)
            try:
                lock.acquire()
            except Timeout:
                continue
            try:
                yield {"CUDA_VISIBLE_DEVICES": names[gpu] if len(names) == gpus else str(gpu)}
            finally:
                lock.release()
            return
        time.sleep(1.0)


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1] if lines else "no output"


class SweepTable(Callback):
    """Hydra's callback: a table of all jobs ends a sweep; exit code 1 if any failed."""

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        folder = Path(config.hydra.sweep.dir)
        rows = [read_job(file) for file in folder.rglob(OUTCOME)]
        rows.sort(key=lambda row: int(row["job"]))
        write_json(folder / "sweep.json", rows)
        Console().print(sweep_table(rows))
        print(f"records: {folder}/sweep.json")
        if any(row["exit_code"] != 0 for row in rows):
            sys.exit(1)


def read_job(file: Path) -> dict[str, Any]:
    """A job's outcome, with the record of its run where it has one."""
    row: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    results = Path(row["folder"]) / RESULTS
    row["outcome"] = "done" if row["exit_code"] == 0 else f"failed: {row['error']}"
    if row["exit_code"] == 0 and results.is_file():
        row["record"] = json.loads(results.read_text(encoding="utf-8"))
    return row
