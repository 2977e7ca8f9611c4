"""``-m``: one process a job, a failed job does not stop the rest, a table ends it."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
import torch
from forked import start
from helpers import ROOT, Result, sentences, write_csv
from omegaconf import OmegaConf
from wandb_files import stored

import lada.run.sweep
from lada.run.sweep import _seat

Cli = Callable[..., Result]

pytestmark = pytest.mark.slow


def train(*args: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "train.py"), *args]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_sweep(tiny: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a config folder of one's own; jobs that are rejected or die do not stop the rest."""
    monkeypatch.setenv("WANDB_MODE", "offline")
    (tmp_path / "conf/target").mkdir(parents=True)
    (tmp_path / "conf/target/mine.yaml").write_text("ratio: 3\n")
    folder, own = tmp_path / "sweep", f"--config-dir={tmp_path}/conf"
    args = [a for a in tiny if not a.startswith("target=")]
    jobs = ["target=mine,5x", "optim.lr=1e-3,1e30,-1", "logger=wandb"]
    done = train("-m", own, *args, *jobs, f"hydra.sweep.dir={folder}")
    assert done.returncode == 1, done.stdout + done.stderr
    rows = json.loads((folder / "sweep.json").read_text())
    assert [row["exit_code"] for row in rows] == [0, 2, 2, 0, 2, 2]
    assert [row["record"]["target"] for row in rows[::3]] == [3.0, 5.0]
    assert rows[1]["config"]["optim"]["lr"] == 1e30
    assert "error:" in rows[1]["error"]
    assert Path(rows[1]["log"]).is_file()
    assert "optim.lr=-1" in rows[2]["outcome"]
    for word in ("target=mine", "target=5x", "done", "failed", "accuracy"):
        assert word in done.stdout
    page = (folder / "report.html").read_text()
    assert "Take run 1, lada" in page and "./0/report.html" in page and "./3/report.html" in page
    good = folder / "0"
    assert (good / "artifact/model.safetensors").is_file()
    assert (good / "log.txt").read_text()
    keys = {row["record"]["teacher"]["key"] for row in rows[::3]}
    assert len(keys) == 1  # the sweep trained its teacher once
    for job, name in (("0", "csv-lada-3x-seed1"), ("3", "csv-lada-5x-seed1")):
        check_closed_run(folder / job, name, f"{tmp_path.name}-sweep")


def check_closed_run(job: Path, name: str, group: str) -> None:
    """A job has one run in wandb, of its own, which is closed."""
    (run,) = (job / "wandb").glob("offline-run-*/run-*.wandb")
    assert run.stat().st_size > 1000
    assert "Traceback" not in (job / "log.txt").read_text()
    (about,) = [r.run for r in stored(run) if r.WhichOneof("record_type") == "run"]
    assert (about.run_group, about.display_name) == (group, name)


def test_finished_jobs_are_not_done_again_and_started_ones_are_resumed(
    tiny: list[str], tmp_path: Path
) -> None:
    args = [*tiny, "callbacks.checkpoint_minutes=0"]
    log, kill = tmp_path / "log.txt", ["student", "9", "SIGKILL"]
    killed = start(ROOT / "tests/killed.py", [*kill, *args, "seed=2"], log)
    killed.join()
    finished = start(ROOT / "train.py", [*args, "seed=1"], log)
    finished.join()
    assert (killed.exitcode, finished.exitcode) == (-9, 0)
    folder = tmp_path / "out/sweep"
    done = train("-m", *args, "seed=1,2,3", f"hydra.sweep.dir={folder}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "job 0 was done before" in done.stdout
    rows = json.loads((folder / "sweep.json").read_text())
    assert [row["record"]["resumed"] for row in rows] == [False, True, False]
    assert [row["record"]["seed"] for row in rows] == [1, 2, 3]
    # The same command again: all is there.
    again = train("-m", *args, "seed=1,2,3")
    assert again.returncode == 0
    assert again.stdout.count("was done before") == 3
    assert len(list(tmp_path.rglob("results.json"))) == 3


def test_a_job_is_done_again_when_its_data_has_changed(tiny: list[str], tmp_path: Path) -> None:
    file, header = tmp_path / "train.csv", ("text", "label")
    write_csv(file, sentences(320, 1), header)
    args = ["-m", *tiny, f"task.train_file={file}", f"hydra.sweep.dir={tmp_path}/out/sweep"]
    assert train(*args, "seed=1").returncode == 0
    write_csv(file, sentences(320, 5), header)
    again = train(*args, "seed=1")
    assert again.returncode == 0, again.stdout + again.stderr
    assert "was done before" not in again.stdout
    hashes = {
        json.loads(found.read_text())["data"]["train"]["sha256"]
        for found in tmp_path.rglob("results.json")
    }
    assert len(hashes) == 2
    # Another job under the same number, and the table is of this sweep alone.
    other = train(*args, "seed=2")
    assert other.returncode == 0, other.stdout + other.stderr
    (row,) = json.loads((tmp_path / "out/sweep/sweep.json").read_text())
    assert row["record"]["seed"] == 2


def test_sigterm_reaches_the_job(tiny: list[str], tmp_path: Path) -> None:
    args = ["-m", *tiny, "optim.epochs=200", f"hydra.sweep.dir={tmp_path}/sweep"]
    sweep = subprocess.Popen(
        [sys.executable, str(ROOT / "train.py"), *args],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    while sweep.poll() is None and not list((tmp_path / "sweep").rglob("step-*.ckpt")):
        time.sleep(0.05)
    sweep.terminate()
    out, _ = sweep.communicate(timeout=120)
    assert sweep.returncode == 143, out
    assert "the same command resumes" in (tmp_path / "sweep/0/log.txt").read_text()
    assert json.loads((tmp_path / "sweep/0/job.json").read_text())["exit_code"] == 130


def test_seats_spread_jobs_over_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(lada.run.sweep, "_gpus", lambda: ["GPU-a", "GPU-b"])
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path))
    cfg = OmegaConf.create(
        {"trainer": {"accelerator": "auto", "strategy": "single", "jobs_per_gpu": 2}}
    )
    with ExitStack() as taken:
        given = [taken.enter_context(_seat(cfg)) for _ in range(4)]
        assert [env["CUDA_VISIBLE_DEVICES"] for env in given] == [
            "GPU-a",
            "GPU-b",
            "GPU-a",
            "GPU-b",
        ]
        slept: list[float] = []

        def give_one_back(seconds: float) -> None:
            slept.append(seconds)
            taken.close()

        monkeypatch.setattr(time, "sleep", give_one_back)
        with _seat(cfg) as env:  # all are taken: it waits
            assert env == {"CUDA_VISIBLE_DEVICES": "GPU-a"}
        assert len(slept) == 1
    cfg.trainer.accelerator = "cpu"
    with _seat(cfg) as env:
        assert env == {}


def test_ctrl_c_lets_the_job_keep_a_checkpoint(tiny: list[str], tmp_path: Path) -> None:
    args = ["-m", *tiny, "optim.epochs=200", "seed=1,2", f"hydra.sweep.dir={tmp_path}/sweep"]
    sweep = subprocess.Popen(
        [sys.executable, str(ROOT / "train.py"), *args],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        # Where these tests run in the background of a script, it is ignored, and so is it here.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    while sweep.poll() is None and not list((tmp_path / "sweep").rglob("step-*.ckpt")):
        time.sleep(0.05)
    os.killpg(sweep.pid, signal.SIGINT)  # as a terminal does, to all of them
    out, _ = sweep.communicate(timeout=120)
    assert sweep.returncode != 0, out
    outcome = json.loads((tmp_path / "sweep/0/job.json").read_text())
    assert outcome["exit_code"] == 130
    log = (tmp_path / "sweep/0/log.txt").read_text()
    assert "the same command resumes" in log
    assert not (tmp_path / "sweep/1").exists()


def test_tensorboard(train_py: Cli, tiny: list[str], tmp_path: Path) -> None:
    folder = tmp_path / "run"
    done = train_py(*tiny, "logger=tensorboard", f"hydra.run.dir={folder}")
    assert done.code == 0, done.err
    assert list(folder.rglob("events.out.tfevents*"))


def test_help_and_cfg_say_what_can_be_chosen() -> None:
    text = train("--help").stdout
    for word in ("python train.py task=sst2", "target: ", "7.5x", "minilm-l6", "resume=never"):
        assert word in text
    shown = train("--cfg", "job", "task=mnli")
    assert shown.returncode == 0
    assert "name: mnli" in shown.stdout


def test_unknown_option_is_one_line_and_code_2() -> None:
    done = train("task=sst3")
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "error: task=sst3: no such choice; did you mean sst2? "
        "Choose one of cola, conll, csv, demo, mnli, mrpc, qnli, qqp, rte, squad, sst2, stsb, "
        "texts, wnli."
    ]
