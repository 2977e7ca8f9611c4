"""``-m``: every job is one ``lada compress`` process, so that all launchers behave alike.

A job that was done before, in any sweep, is not done again; one that was started is resumed; one
that fails is recorded and does not stop others.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from hydra.core.hydra_config import HydraConfig
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from lada.config import Config, check
from lada.errors import LadaError
from lada.overrides import override
from lada.program import GROUP, again
from lada.report.page import write_sweep_page
from lada.report.record import write_json
from lada.report.table import sweep_table
from lada.run.identity import run_key
from lada.run.runs import (
    RESULTS,
    find_runs,
    find_unfinished,
    has_submitted,
    is_done,
    is_older_than_done,
    is_taken,
)
from lada.training.failures import last_line
from lada.values import printable

OUTCOME = "job.json"
LOG = "log.txt"
INTERRUPTED = 130


def run_job(cfg: DictConfig) -> None:
    """Run the current multirun job as a child process and record its outcome; never raises."""
    hydra = HydraConfig.get()
    home = Path(hydra.runtime.cwd)  # a launcher's worker may be elsewhere
    os.chdir(home)  # relative paths of the config refer to it
    own = home / hydra.sweep.dir / str(hydra.sweep.subdir)
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
    write_json(own / OUTCOME, outcome)  # should this process be killed, it stands
    try:
        _do_job(cfg, home, own, outcome)
    except (OSError, LadaError) as error:
        outcome |= {"exit_code": 2, "error": str(error)}
    finally:
        write_json(own / OUTCOME, outcome)


def _do_job(cfg: DictConfig, home: Path, own: Path, outcome: dict[str, Any]) -> None:
    """Fill in ``outcome``."""
    number, overrides = outcome["job"], outcome["overrides"]
    place = _place_of(cfg, own, home / str(cfg.paths.outputs))
    outcome["folder"] = str(place)
    if is_done(place):
        code = 0
        print(f"job {number} was done before: {printable(str(place))}", flush=True)
    else:
        print(f"job {number}: {printable(' '.join(overrides))}", flush=True)
        group = {GROUP: "-".join(Path(HydraConfig.get().sweep.dir).parts[-2:])}
        with _seat(cfg) as env:
            env = group | env
            code = _child(child_arguments(overrides, place), home, own / LOG, env)
    outcome["exit_code"] = code
    if code == 0:
        del outcome["error"]
        return
    outcome |= {"error": last_line(own / LOG), "log": str(own / LOG)}
    print(f"job {number} failed ({code}): {outcome['error']}", flush=True)


def _place_of(cfg: DictConfig, own: Path, outputs: Path) -> Path:
    """The folder of a job's run: done before, started before, or new."""
    try:
        config: Config = check(cfg)
    except LadaError:
        return own  # the child reports what is wrong with it
    key = run_key(config)
    if config.resume == "auto":
        places = (own.parent, outputs)
        for folder in (f for place in places for f in find_runs(place, key)):
            lacks = config.submit and not has_submitted(folder)
            if is_done(folder) and is_older_than_done(folder, config) and not lacks:
                return folder
        for place in places:
            begun = find_unfinished(place, key)
            if begun is not None:
                return begun
    # The sweep's folder may be of an earlier one, with another job under this number.
    return own.with_name(f"{own.name}-{key}") if is_taken(own) else own


def child_arguments(overrides: list[str], folder: Path) -> list[str]:
    """The command line of a process that does the run of this one in ``folder``."""
    hydra = HydraConfig.get()
    passed = [o for o in hydra.overrides.hydra if o.startswith("hydra.searchpath")]
    # --config-dir and --config-name are not overrides.
    places = [s.path for s in hydra.runtime.config_sources if s.provider == "command-line"]
    flags = [f"--config-dir={place}" for place in places]
    flags.append(f"--config-name={hydra.job.config_name}")
    return [*flags, *overrides, *passed, override("hydra.run.dir", str(folder))]


def _child(arguments: list[str], home: Path, log: Path, env: dict[str, str]) -> int:
    """Run `lada compress`; if this process is stopped, the child first saves a checkpoint."""
    command = [*again(), *arguments]
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
            if not isinstance(stop, KeyboardInterrupt):  # Ctrl-C has reached the child itself
                child.terminate()
            child.wait()
            raise


@contextmanager
def _seat(cfg: DictConfig) -> Iterator[dict[str, str]]:
    """Wait for one of the ``trainer.jobs_per_gpu`` seats of a GPU; yields the child's environment.

    Launchers decide how many jobs run at once; seats spread them over the GPUs of this machine.
    Without GPUs, and for a job that takes several itself, there are none.
    """
    alone = cfg.trainer.accelerator != "cpu" and cfg.trainer.strategy == "single"
    gpus = _gpus() if alone and _sees_gpus() else []
    if not gpus:
        yield {}
        return
    seats = [(gpu, seat) for seat in range(cfg.trainer.jobs_per_gpu) for gpu in gpus]
    # Of this machine and this user, for jobs of all sweeps.
    folder = Path(tempfile.gettempdir()) / f"lada-seats-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    while True:
        for gpu, seat in seats:
            lock = FileLock(folder / f"{gpu}-{seat}.lock", timeout=0)
            try:
                lock.acquire()
            except Timeout:
                continue
            try:
                yield {"CUDA_VISIBLE_DEVICES": gpu}
            finally:
                lock.release()
            return
        time.sleep(1.0)


def _sees_gpus() -> bool:
    import torch

    return torch.cuda.device_count() > 0


@cache
def _gpus() -> list[str]:
    """Names of this machine's GPUs that are unique whichever of them a job may see."""
    # In another process: querying a GPU takes some of its memory while the process lives.
    look = (
        "import torch; [print(f'GPU-{torch.cuda.get_device_properties(i).uuid}')"
        " for i in range(torch.cuda.device_count())]"
    )
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=False)
    return done.stdout.split()


class SweepTable(Callback):
    """Hydra callback: prints a table of all jobs after a sweep; exit code 1 if any failed."""

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        # Jobs of an earlier sweep in the same folder do not belong to this one.
        for old in Path(config.hydra.sweep.dir).glob(f"*/{OUTCOME}"):
            old.unlink(missing_ok=True)

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        try:
            failed = self._show(Path(config.hydra.sweep.dir))
        except Exception as error:  # Hydra would turn it into a warning, and exit with 0
            print(f"error: the table of the sweep cannot be made ({error})", file=sys.stderr)
            failed = True
        if failed:
            sys.exit(1)

    def _show(self, folder: Path) -> bool:
        rows = [read_job(file) for file in folder.rglob(OUTCOME)]
        rows.sort(key=lambda row: int(row["job"]))
        write_json(folder / "sweep.json", rows)
        Console().print(sweep_table(rows))
        print(f"records: {folder}/sweep.json")
        _report(folder, [Path(row["folder"]) for row in rows if row.get("record")])
        return not rows or any(row["exit_code"] != 0 for row in rows)


def _report(folder: Path, runs: list[Path]) -> None:
    """Write ``report.html`` over the finished runs of a sweep; a failure is a warning."""
    if not runs:
        return
    try:
        print(f"report:  {write_sweep_page(folder, runs)}")
    except Exception as error:  # the sweep is done, and this can be made again
        print(f"warning: {folder}/report.html cannot be made ({error})", file=sys.stderr)


def read_job(file: Path) -> dict[str, Any]:
    """A job's outcome, with the record of its run if it has one."""
    row: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    results = Path(row["folder"]) / RESULTS
    row["outcome"] = "done" if row["exit_code"] == 0 else f"failed: {row['error']}"
    if row["exit_code"] == 0 and results.is_file():
        row["record"] = json.loads(results.read_text(encoding="utf-8"))
    return row
