"""What machines do to long runs: one clear line, nothing half-written, and a later resume."""

import multiprocessing
import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers import ROOT, Result, record_of, run_in

from lada.training.modules import StudentModule

Cli = Callable[..., Result]


def one_line(err: str, *words: str) -> None:
    assert "Traceback" not in err
    lines = [line for line in err.strip().splitlines() if line.startswith("error:")]
    assert len(lines) == 1, err
    for word in words:
        assert word in lines[0], lines[0]


def weights(folder: Path) -> bytes:
    return (run_in(folder) / "artifact/model.safetensors").read_bytes()


def break_at(step: int, how: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> None:
    original = StudentModule.training_step

    def training_step(self: Any, *rest: Any) -> Any:
        if self.global_step == step:
            how()
        return original(self, *rest)

    monkeypatch.setattr(StudentModule, "training_step", training_step)


@pytest.mark.slow
@pytest.mark.parametrize("limit", [2_000, 1_200_000])
def test_disk_full(train_py: Cli, tiny: list[str], tmp_path: Path, limit: int) -> None:
    """No file may grow past the limit: the token cache, or a student's checkpoint."""
    places = [f"paths.{name}={tmp_path}/cut/{name}" for name in ("outputs", "teachers", "cache")]
    assert train_py(*tiny).code == 0
    if limit > 1_000_000:  # for this one, let the teacher be there
        places[1] = next(a for a in tiny if a.startswith("paths.teachers"))
    done = subprocess.run(
        [sys.executable, str(ROOT / "train.py"), *tiny, *places],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    one_line(done.stderr, "File too large")
    assert not [p for p in (tmp_path / "cut").rglob("*") if p.suffix == ".tmp"]
    assert not list((tmp_path / "cut").rglob("results.json"))
    assert train_py(*tiny, *places).code == 0
    assert weights(tmp_path / "cut") == weights(tmp_path / "out")


@pytest.mark.slow
def test_disk_of_its_own_full(train_py: Cli, tiny: list[str], tmp_path: Path) -> None:
    """A real disk of 3 MB, where this user may mount one; else the limit on sizes stands for it."""
    assert train_py(*tiny).code == 0
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(disk)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        return
    try:
        args = [*tiny, f"paths.outputs={disk}"]
        result = train_py(*args)
        assert result.code == 2
        one_line(result.err, "No space left")
        subprocess.run([*mount[:4], "remount,size=50m", *mount[5:]], check=True)
        result = train_py(*args)
        assert result.code == 0, result.err
        assert weights(disk) == weights(tmp_path / "out")
    finally:
        subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.slow
def test_disk_full_while_the_artifact_is_written(
    train_py: Cli, tiny: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import lada.artifact.container as container

    def full(*args: Any, **kwargs: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(container, "save_file", full)
        result = train_py(*tiny)
    assert result.code == 2
    one_line(result.err, "No space left")
    assert not list(run_in(tmp_path / "out").glob("*artifact*"))
    assert train_py(*tiny).code == 0
    assert record_of(tmp_path / "out")["resumed"]


@pytest.mark.slow
def test_killed_data_worker(
    train_py: Cli, tiny: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    args = [*tiny, "data.workers=1"]
    assert train_py(*args, f"paths.outputs={tmp_path}/whole").code == 0

    def kill() -> None:
        for child in multiprocessing.active_children():
            os.kill(child.pid or 0, signal.SIGKILL)

    with monkeypatch.context() as patch:
        break_at(14, kill, patch)
        result = train_py(*args)
    assert result.code == 2
    one_line(result.err, "was killed", "data.workers=0", "resumes")
    assert train_py(*args).code == 0
    assert weights(tmp_path / "out") == weights(tmp_path / "whole")


@pytest.mark.slow
def test_out_of_memory(
    train_py: Cli, tiny: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        break_at(14, lambda: torch.empty(1 << 60, dtype=torch.uint8), patch)
        result = train_py(*tiny)
    assert result.code == 2
    one_line(result.err, "optim.batch_size", "trainer.accumulate")
    assert train_py(*tiny).code == 0


def test_corrupted_token_cache_is_made_again(
    train_py: Cli, tiny: list[str], tmp_path: Path
) -> None:
    assert train_py(*tiny).code == 0
    first = weights(tmp_path / "out")
    for file in (tmp_path / "cache").glob("*.safetensors"):
        content = bytearray(file.read_bytes())
        content[-200] ^= 1  # a token, not the header
        file.write_bytes(content)
    assert train_py(*tiny, f"paths.outputs={tmp_path}/again").code == 0
    assert weights(tmp_path / "again") == first


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["weights", "config", "tokenizer", "record"])
def test_corrupted_teacher_is_made_again(
    train_py: Cli, tiny: list[str], tmp_path: Path, damage: str, caplog
) -> None:
    args = [*tiny, f"paths.teachers={tmp_path}/teachers"]
    assert train_py(*args).code == 0
    (folder,) = [p for p in (tmp_path / "teachers").iterdir() if p.is_dir()]
    name = {"weights": "model.safetensors", "config": "config.json",
            "tokenizer": "tokenizer.json", "record": "teacher.json"}[damage]  # fmt: skip
    whole = (folder / "model.safetensors").read_bytes()
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content if damage != "record" else b"{")
    assert train_py(*args, f"paths.outputs={tmp_path}/again").code == 0
    assert (folder / "model.safetensors").read_bytes() == whole
    assert weights(tmp_path / "again") == weights(tmp_path / "out")
