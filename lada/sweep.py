"""``-m``: every job is one ``python train.py`` process, so that all launchers behave alike."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.experimental.callback import Callback
from omegaconf import DictConfig
from rich.console import Console

from lada.report.record import write_json
from lada.report.table import sweep_table

OUTCOME = "job.json"
LOG = "log.txt"


def run_job() -> None:
    """Run the present multirun job as a child process; record how it ended, never raise for it."""
    hydra = HydraConfig.get()
    folder = Path(hydra.runtime.output_dir)
    folder.mkdir(parents=True, exist_ok=True)
    overrides = list(hydra.overrides.task)
    command = [sys.executable, sys.argv[0], *overrides, f"hydra.run.dir='{folder}'"]
    print(f"job {hydra.job.num}: {' '.join(overrides)}", flush=True)
    with (folder / LOG).open("w", encoding="utf-8") as log:
        code = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, check=False
        ).returncode
    outcome = {"job": hydra.job.num, "overrides": overrides, "exit_code": code}
    if code != 0:
        outcome["error"] = _last_line(folder / LOG)
        print(f"job {hydra.job.num} failed ({code}): {outcome['error']}", flush=True)
    write_json(folder / OUTCOME, outcome)


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
    results = file.parent / "results.json"
    row["outcome"] = "done" if row["exit_code"] == 0 else f"failed: {row['error']}"
    if row["exit_code"] == 0 and results.is_file():
        row["record"] = json.loads(results.read_text(encoding="utf-8"))
    return row
