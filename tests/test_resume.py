"""A run that is stopped, killed or truncated ends bit-equal to one that never was."""

import csv
import json
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from filelock import FileLock
from forked import start
from helpers import ROOT, Result, record_of, run_in, sentences, write_csv
from safetensors.torch import load_file
from stopped import ctrl_c, outcome, under

from lada.config import from_values
from lada.errors import LadaError
from lada.report.record import write_json
from lada.run.runs import RESULTS, claimed
from lada.training.checkpoints import _digest
from lada.training.modules import StudentModule, TeacherModule

Cli = Callable[..., Result]


def read(file: Path) -> dict[str, Any]:
    return json.loads(file.read_text())


@pytest.fixture(scope="session")
def done_before() -> dict[str, Any]:
    """What several tests begin with is run once: they only read it, or work on a copy."""
    return {}


@pytest.fixture(params=[1, 4], ids=lambda n: f"accumulate{n}")
def whole(
    request, train_py: Cli, tiny: list[str], tmp_path: Path, done_before: dict[str, Any]
) -> tuple[list[str], Any]:
    """Arguments of a run, and what it ends with if nothing happens.

    One reads its teacher's outputs from disk, one has the teacher run live.
    """
    args = [*tiny, f"trainer.accumulate={request.param}"]
    if request.param > 1:
        args.append("teacher_cache.gb=0")
    name = f"whole {request.param}"
    if name not in done_before:
        assert train_py(*under(tmp_path / "whole", args)).code == 0
        done_before[name] = outcome(tmp_path / "whole")
    return args, done_before[name]


@pytest.mark.parametrize(
    ("module", "step"),
    [
        pytest.param(TeacherModule, 9, marks=pytest.mark.slow),
        pytest.param(StudentModule, 0, marks=pytest.mark.slow),
        (StudentModule, 14),
    ],
)
def test_ctrl_c(train_py: Cli, tmp_path: Path, whole, module, step: int) -> None:
    args, expected = whole
    args = under(tmp_path / "cut", args)
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with ctrl_c(module, step):
        result = train_py(*args)
    assert result.code == 130
    assert "the same command resumes" in result.err
    assert "Traceback" not in result.err
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
    assert not list((tmp_path / "cut").rglob("artifact"))
    result = train_py(*args)
    assert result.code == 0, result.err
    assert outcome(tmp_path / "cut") == expected
    assert record_of(tmp_path / "cut")["resumed"] == (module is StudentModule)


def test_second_ctrl_c_stops_at_once(
    train_py: Cli, tiny: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached = []

    def interrupt(self: Any, *rest: Any) -> Any:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        reached.append(self.global_step)

    with monkeypatch.context() as patch:
        patch.setattr(StudentModule, "training_step", interrupt)
        assert train_py(*under(tmp_path, tiny)).code == 130
    assert not reached
    assert train_py(*under(tmp_path, tiny)).code == 0


@pytest.mark.slow
def test_curves_of_two_stages(train_py: Cli, tiny: list[str], tmp_path: Path) -> None:
    """A term that the loss has no more is not written on, resumed or not."""
    args = [*tiny, "method=tinybert", "target=none", "method.layers=1", "method.width=48"]
    args += ["method.inner=96", "method.heads=2", "method.intermediate=0.5"]
    assert train_py(*under(tmp_path / "whole", args)).code == 0
    cut = under(tmp_path / "cut", args)
    with ctrl_c(StudentModule, 18):
        assert train_py(*cut).code == 130
    assert train_py(*cut).code == 0
    assert outcome(tmp_path / "cut") == outcome(tmp_path / "whole")
    with (run_in(tmp_path / "cut") / "metrics.csv").open() as file:
        last = [row for row in csv.DictReader(file) if row.get("train/loss")][-1]
    assert last["train/prediction"] == last["train/loss"]
    assert not last.get("train/attention")


@pytest.fixture
def cut(
    train_py: Cli,
    tiny: list[str],
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    done_before: dict[str, Any],
) -> list[str]:
    """Arguments of a run that was stopped in step 14 of 24; its folder is ``tmp_path/cut``."""
    if "cut" not in done_before:
        folder = tmp_path_factory.mktemp("stopped")
        with ctrl_c(StudentModule, 14):
            code = train_py(*under(folder, tiny), "callbacks.checkpoint_minutes=0").code
        assert code == 130
        done_before["cut"] = folder
    shutil.copytree(done_before["cut"], tmp_path / "cut")
    return [*under(tmp_path / "cut", tiny), "callbacks.checkpoint_minutes=0"]


@pytest.fixture
def uncut(train_py: Cli, cut: list[str], tmp_path: Path, done_before: dict[str, Any]) -> Any:
    """What the run that was stopped ends with if nothing happens."""
    if "uncut" not in done_before:
        assert train_py(*under(tmp_path / "whole", cut)).code == 0
        done_before["uncut"] = outcome(tmp_path / "whole")
    return done_before["uncut"]


def checkpoints(tmp_path: Path) -> list[Path]:
    return sorted(run_in(tmp_path / "cut").glob("checkpoints/step-*.ckpt"))


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["truncated", "flipped", "empty"])
def test_damaged_checkpoint(train_py: Cli, tmp_path: Path, cut, uncut, damage: str, caplog) -> None:
    last = checkpoints(tmp_path)[-1]
    content = bytearray(last.read_bytes())
    if damage == "flipped":
        content[len(content) // 2] ^= 1
    last.write_bytes(content[: {"truncated": 1000, "empty": 0}.get(damage)])
    caplog.clear()
    assert train_py(*cut).code == 0
    assert f"{last}: truncated or modified" in caplog.text
    assert outcome(tmp_path / "cut") == uncut


def test_damaged_best_weights(train_py: Cli, tmp_path: Path, cut, uncut) -> None:
    """A checkpoint whose best weights are gone is passed over too, not found out at the end."""
    with ctrl_c(StudentModule, 19):
        assert train_py(*cut).code == 130
    bests = sorted(run_in(tmp_path / "cut").glob("checkpoints/best-*.ckpt"))
    assert bests
    bests[-1].write_bytes(b"cut")
    assert train_py(*cut).code == 0
    assert outcome(tmp_path / "cut") == uncut


@pytest.mark.parametrize(
    "content",
    [{"lada": {"format": 1, "kind": "student"}}, [1, 2], {"lada": [1]}, {"state_dict": {}}],
)
def test_strange_checkpoint(train_py: Cli, tmp_path: Path, cut, content: Any) -> None:
    file = checkpoints(tmp_path)[-1]
    torch.save(content, file)
    file = file.rename(file.parent / f"step-00000099-{_digest(file)}.ckpt")
    for resume in ("auto", str(file)):
        result = train_py(*cut, f"resume={resume}")
        assert result.code == 2
        assert len(result.err.strip().splitlines()) == 1, result.err
        assert "is not a checkpoint of this project" in result.err


def test_all_checkpoints_truncated(train_py: Cli, tmp_path: Path, cut, uncut) -> None:
    for file in checkpoints(tmp_path):
        file.write_bytes(b"")
    assert train_py(*cut).code == 0
    assert outcome(tmp_path / "cut") == uncut


def test_last_few_and_best_are_kept(train_py: Cli, tmp_path: Path, cut) -> None:
    assert [int(file.name[5:13]) for file in checkpoints(tmp_path)] == [14, 15]
    assert train_py(*cut).code == 0
    names = {file.name[:5] for file in run_in(tmp_path / "cut").glob("checkpoints/*")}
    assert names == {"step-", "best-"}


def test_resume_from_a_file(train_py: Cli, tmp_path: Path, cut, uncut) -> None:
    earlier = checkpoints(tmp_path)[0]
    result = train_py(*cut, f"resume={earlier}")
    assert result.code == 0, result.err
    assert outcome(tmp_path / "cut") == uncut
    again = train_py(*cut, f"resume={checkpoints(tmp_path)[-1]}")
    assert again.code == 2
    assert "already has a run" in again.err


def test_resume_never(train_py: Cli, tmp_path: Path, cut) -> None:
    assert train_py(*cut, "resume=never").code == 0
    folders = {file.parent for file in (tmp_path / "cut").rglob("run.json")}
    assert len(folders) == 2
    assert not record_of(tmp_path / "cut")["resumed"]


def test_a_finished_run_is_not_touched(train_py: Cli, tmp_path: Path, cut) -> None:
    assert train_py(*cut).code == 0
    before = outcome(tmp_path / "cut")
    assert train_py(*cut).code == 0
    done = sorted((tmp_path / "cut").rglob("results.json"))
    assert len(done) == 2
    assert (done[0].parent / "artifact/model.safetensors").read_bytes() == before[0]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (["target=7.5x"], ["target.ratio=5.0", "7.5"]),
        (["optim.lr=1e-4"], ["optim.lr=0.001", "0.0001"]),
        (["data.validation=20"], ["data.validation=None", "20"]),
        (["trainer.checks=1"], ["trainer.checks=2", "1"]),
        (["seed=9"], ["seed=1", "9"]),
        (["distill=prediction"], ["distill.attention=1.0", "0.0"]),
    ],
)
def test_checkpoint_of_another_run(train_py: Cli, tmp_path: Path, cut, change, words) -> None:
    result = train_py(*cut, *change, f"resume={checkpoints(tmp_path)[-1]}")
    assert result.code == 2
    assert "Traceback" not in result.err
    assert len(result.err.strip().splitlines()) == 1
    assert all(word in result.err for word in words), result.err


@pytest.mark.parametrize(
    ("part", "value", "words"),
    [
        ("format", 0, "its format is 0, that of this run is 4"),
        ("kind", "teacher", "its kind is teacher"),
    ],
)
def test_checkpoint_of_another_format(
    train_py: Cli, tmp_path: Path, cut, part: str, value: Any, words: str
) -> None:
    file = checkpoints(tmp_path)[-1]
    saved = torch.load(file, weights_only=True)
    saved["lada"][part] = value
    torch.save(saved, file)
    file = file.rename(file.parent / f"step-00000099-{_digest(file)}.ckpt")
    for resume in ("auto", str(file)):
        result = train_py(*cut, f"resume={resume}")
        assert result.code == 2
        assert words in result.err


def test_best_weights_are_no_checkpoint(train_py: Cli, tmp_path: Path, cut) -> None:
    assert train_py(*cut).code == 0
    folder = run_in(tmp_path / "cut")
    (folder / "results.json").unlink()
    best = next(folder.glob("checkpoints/best-*.ckpt"))
    result = train_py(*cut, f"resume={best}")
    assert result.code == 2
    assert "only weights" in result.err


@pytest.mark.parametrize("content", [b"", b"not a checkpoint"])
def test_no_checkpoint_at_all(train_py: Cli, tmp_path: Path, cut, content: bytes) -> None:
    file = run_in(tmp_path / "cut") / "checkpoints/mine.ckpt"
    file.write_bytes(content)
    result = train_py(*cut, f"resume={file}")
    assert result.code == 2
    assert str(file) in result.err
    stray = tmp_path / "stray.ckpt"
    stray.write_bytes(content)
    result = train_py(*cut, f"resume={stray}")
    assert result.code == 2
    assert "not in a run's folder" in result.err


@pytest.mark.slow
def test_data_changed_since(train_py: Cli, tiny: list[str], tmp_path: Path) -> None:
    train, header = tmp_path / "train.csv", ("text", "label")
    write_csv(train, sentences(320, 1), header)
    args = [*tiny, f"task.train_file={train}"]
    with ctrl_c(StudentModule, 9):
        assert train_py(*args).code == 130
    rows = sentences(320, 1)
    rows[0], rows[2] = rows[2], rows[0]
    write_csv(train, rows, header)
    result = train_py(*args)
    assert result.code == 2
    assert "content of the training examples has changed since" in result.err
    assert train_py(*args, "resume=never").code == 0
    # The old content under a new name is the old data.
    write_csv(train, sentences(320, 1), header)
    assert train_py(*args).code == 0
    assert sorted(r["resumed"] for r in map(read, (tmp_path / "out").rglob("results.json"))) == [
        False,
        True,
    ]


def test_two_runs_in_one_folder(train_py: Cli, tiny: list[str], tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    with FileLock(folder / ".lock"):
        result = train_py(*tiny, f"hydra.run.dir={folder}")
    assert result.code == 2
    assert "another run is active" in result.err
    (folder / "mine.txt").write_text("mine")
    result = train_py(*tiny, f"hydra.run.dir={folder}")
    assert result.code == 2
    assert "mine.txt" in result.err


def test_other_threads_are_one_warning(train_py: Cli, tmp_path: Path, cut, caplog) -> None:
    caplog.clear()
    assert train_py(*cut, "trainer.threads=2").code == 0
    lines = [r.getMessage() for r in caplog.records if "bit by bit" in r.getMessage()]
    assert len(lines) == 1
    assert "threads 1 -> 2" in lines[0]


KILLS = [("teacher", 5), ("teacher", 18), ("outputs", 99), ("student", 0), ("student", 9),
         ("student", 13), ("student", 22), ("artifact", 0)]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(("workers", "every"), [(0, "always"), (2, "looks")])
def test_sigkill(train_py: Cli, tmp_path: Path, whole, workers: int, every: str) -> None:
    """Killed again and again, in both trainings and while the artifact is written."""
    args, expected = whole
    args = under(tmp_path / "cut", [*args, f"data.workers={workers}"])
    if every == "always":
        args.append("callbacks.checkpoint_minutes=0")
    kills = [k for k in KILLS if k[0] != "outputs" or "teacher_cache.gb=0" not in args]
    for phase, step in kills[:: 2 if workers or every == "looks" else 1]:
        kill = [phase, str(step), "SIGKILL"]
        run = start(ROOT / "tests/killed.py", [*kill, *args], tmp_path / "log.txt")
        run.join()
        assert run.exitcode == -signal.SIGKILL, (tmp_path / "log.txt").read_text()
    assert train_py(*args).code == 0
    assert outcome(tmp_path / "cut") == expected


@pytest.mark.slow
def test_sigkill_at_random_moments(train_py: Cli, tmp_path: Path, whole) -> None:
    """Killed in whatever it does a moment after it has kept a new checkpoint."""
    args, expected = whole
    args = [*under(tmp_path / "cut", args), "callbacks.checkpoint_minutes=0"]
    draw = random.Random(len(expected[0]))
    for _ in range(4):
        seen = set((tmp_path / "cut").rglob("step-*.ckpt"))
        run = start(ROOT / "train.py", args, tmp_path / "log.txt")
        while run.is_alive() and not set((tmp_path / "cut").rglob("step-*.ckpt")) - seen:
            time.sleep(0.01)
        time.sleep(0.4 * draw.random())
        run.kill()
        run.join()
    if not list((tmp_path / "cut").rglob("results.json")):
        assert train_py(*args).code == 0
    assert outcome(tmp_path / "cut") == expected


@pytest.mark.slow
@pytest.mark.parametrize("whole", [1], indirect=True)
def test_sigterm_to_all_of_its_processes(train_py: Cli, tmp_path: Path, whole) -> None:
    args, expected = whole
    args = under(tmp_path / "cut", [*args, "data.workers=2"])
    for phase, step in [("teacher", 7), ("student", 10), ("artifact", 0)]:
        command = [sys.executable, str(ROOT / "tests/killed.py"), phase, str(step), "SIGTERM"]
        done = subprocess.run(
            [*command, *args], capture_output=True, text=True, check=False, start_new_session=True
        )
        assert done.returncode == 143, done.stderr
        assert "Traceback" not in done.stderr
    assert train_py(*args).code == 0
    assert outcome(tmp_path / "cut") == expected
    assert load_file(run_in(tmp_path / "cut") / "artifact/model.safetensors")


def test_a_run_of_the_same_second_gets_a_folder_of_its_own(tmp_path: Path) -> None:
    """Unless the user named the folder, or a checkpoint in it."""
    first, second = from_values({"seed": 1}), from_values({"seed": 2})
    fresh = tmp_path / "12-00-00-demo-lada-7.5x"
    with claimed(fresh, first, resume=True, named=False) as folder:
        assert folder == fresh
        write_json(folder / RESULTS, {})
    with claimed(fresh, second, resume=True, named=False) as folder:
        assert folder == tmp_path / f"{fresh.name}-2"
    for config, named in ((second, True), (replace(second, resume="step-1.ckpt"), False)):
        with (
            pytest.raises(LadaError, match="already has a run"),
            claimed(fresh, config, resume=True, named=named),
        ):
            pass
