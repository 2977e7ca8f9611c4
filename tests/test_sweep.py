"""``-m``: one process a job, a failed job does not stop the rest, a table ends it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import ROOT

pytestmark = pytest.mark.slow


def train(*args: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "train.py"), *args]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_sweep(tiny: list[str], tmp_path: Path) -> None:
    folder = tmp_path / "sweep"
    args = [a for a in tiny if not a.startswith("target=")]
    done = train("-m", *args, "target=2.5x,5x", "seed=1,-1", f"hydra.sweep.dir={folder}")
    assert done.returncode == 1, done.stderr  # seed=-1 is refused
    rows = json.loads((folder / "sweep.json").read_text())
    assert [row["exit_code"] for row in rows] == [0, 2, 0, 2]
    assert [row["record"]["target"] for row in rows[::2]] == [2.5, 5.0]
    assert "seed=-1" in rows[1]["outcome"]
    for word in ("target=2.5x", "target=5x", "done", "failed", "accuracy"):
        assert word in done.stdout
    good = folder / "0"
    assert (good / "artifact/model.safetensors").is_file()
    assert (good / "log.txt").read_text()
    keys = {row["record"]["teacher"]["key"] for row in rows[::2]}
    assert len(keys) == 1  # the sweep trained its teacher once


def test_wandb_has_one_closed_run_a_job(tiny: list[str], tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    folder = tmp_path / "sweep"
    args = [*tiny, "logger=wandb", f"hydra.sweep.dir={folder}"]
    done = train("-m", *args, "seed=1,2")
    assert done.returncode == 0, done.stdout + done.stderr
    for job in ("0", "1"):
        (run,) = (folder / job / "wandb").glob("offline-run-*/run-*.wandb")
        assert run.stat().st_size > 1000
        log = (folder / job / "log.txt").read_text()
        assert "Traceback" not in log


def test_tensorboard(tiny: list[str], tmp_path: Path) -> None:
    folder = tmp_path / "run"
    done = train(*tiny, "logger=tensorboard", f"hydra.run.dir={folder}")
    assert done.returncode == 0, done.stderr
    assert list(folder.rglob("events.out.tfevents*"))


def test_help_and_cfg_say_what_can_be_chosen() -> None:
    text = train("--help").stdout
    for word in ("python train.py task=sst2", "target: ", "7.5x", "minilm-l6", "resume=PATH"):
        assert word in text
    shown = train("--cfg", "job", "task=mnli")
    assert shown.returncode == 0
    assert "name: mnli" in shown.stdout


def test_unknown_option_is_one_line_and_code_2() -> None:
    done = train("task=sst3")
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "error: task=sst3: no such choice; did you mean sst2?; "
        "choose one of csv, demo, mnli, qnli, qqp, sst2"
    ]
