"""Several processes, and a batch cut into parts: the same training, done together."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from multiprocessing.connection import wait
from pathlib import Path

import forked
import pytest
import torch
from forked import start
from heads.files import OF_KINDS, with_kind
from helpers import ROOT, Result, record_of, run_in
from safetensors.torch import load_file
from torch import Tensor

Cli = Callable[..., Result]
SCRIPT = ROOT / "tests/watched.py"
NULLS = [f"method.{key}=null" for key in ("layers", "width", "inner", "heads")]
DDP = ["trainer=ddp", "trainer.devices=2", "trainer.accelerator=cpu"]

pytestmark = pytest.mark.slow


@pytest.fixture
def given(train_py: Cli, tiny: list[str], teachers: Path, tmp_path: Path) -> list[str]:
    """Arguments of six steps from a given teacher without dropout; its last batch is short."""
    return from_teacher(train_py, tiny, teachers, tmp_path)


def from_teacher(train_py: Cli, tiny: list[str], teachers: Path, tmp_path: Path) -> list[str]:
    """See `given`."""
    done = train_py(*tiny)
    assert done.code == 0, done.err
    key = record_of(tmp_path / "out")["teacher"]["key"]
    folder = tmp_path / "teacher"
    shutil.copytree(teachers / key, folder)
    config = json.loads((folder / "config.json").read_text())
    config |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    (folder / "config.json").write_text(json.dumps(config))
    shutil.rmtree(tmp_path / "out")
    short = ["optim.batch_size=53", "optim.epochs=1", "schedule.rounds=3"]
    return [*tiny, *short, "teacher=folder", f"teacher.path={folder}", "trainer.checks=1"]


def watched(folder: Path, args: list[str], processes: int) -> list[dict[str, Tensor]]:
    """What each process notes of a run (see watched.py)."""
    folder.mkdir()
    args = [str(folder), *args, f"paths.outputs={folder}/out", *(DDP if processes > 1 else [])]
    with socket.create_server(("localhost", 0)) as free:
        port = free.getsockname()[1]
    logs = [folder / f"{rank}.log" for rank in range(processes)]
    runs = [
        start(SCRIPT, args, log, **(as_torchrun(rank, processes, port) if processes > 1 else {}))
        for rank, log in enumerate(logs)
    ]
    while any(run.exitcode is None for run in runs) and not any(run.exitcode for run in runs):
        wait([run.sentinel for run in runs if run.exitcode is None])
    for run in runs:
        run.kill()  # one that waits for another that has failed
        run.join()
    assert [run.exitcode for run in runs] == [0] * processes, [log.read_text() for log in logs]
    return [load_file(folder / f"{rank}.safetensors") for rank in range(processes)]


def as_torchrun(rank: int, processes: int, port: int) -> dict[str, str]:
    """What torchrun tells each of its processes."""
    return {
        "RANK": str(rank), "LOCAL_RANK": str(rank), "GROUP_RANK": "0",
        "WORLD_SIZE": str(processes), "LOCAL_WORLD_SIZE": str(processes),
        "MASTER_ADDR": "localhost", "MASTER_PORT": str(port),
        "TORCHELASTIC_RUN_ID": "1", "OMP_NUM_THREADS": "1",
    }  # fmt: skip


def per_step(notes: list[dict[str, Tensor]], steps: int) -> Tensor:
    """Loss of each optimizer step: parts are averaged over processes and over accumulation."""
    return torch.stack([n["loss"] for n in notes]).mean(0).view(steps, -1).mean(1)


def test_a_loss_that_leaves_parameters_out(given: list[str], tmp_path: Path) -> None:
    """TinyBERT's first stage has no gradient for the classifier, its second none for the map."""
    given = [a for a in given if not a.startswith("schedule.")]  # it has no rounds
    given = [*given, "method=tinybert", *NULLS]
    (alone,) = watched(tmp_path / "1", given, 1)
    notes = watched(tmp_path / "2", given, 2)
    steps = len(alone["loss"])
    losses = per_step(notes, steps), per_step([alone], steps)
    torch.testing.assert_close(*losses, rtol=1e-5, atol=1e-5)
    # None, and not zero: an optimizer that counts steps without a gradient makes the first ones
    # with one too large.
    for note in (alone, *notes):
        found = {name for name in note if name.startswith("grad/")}
        assert "grad/bert.encoder.layer.0.output.dense.weight" in found
        assert not [n for n in found if "classifier" in n or "pooler" in n]


@pytest.mark.parametrize(
    ("method", "teacher"),
    # One of each structure with masks, one of each kind of loss.
    [("lada", "live"), ("lada", "kept"), ("pruning", "live")],
)
def test_the_parts_of_a_batch_make_the_same_step(
    given: list[str], tmp_path: Path, method: str, teacher: str
) -> None:
    given = [*given, f"method={method}"]
    if teacher == "kept":  # some rows are seen twice
        given = [*given, "optim.epochs=1.2"]
    (alone,) = watched(tmp_path / "1-1", given, 1)
    # Batches of 53 rows, and a last one of 23: no number of parts here divides both.
    for processes, accumulate in ((1, 4), (2, 1), (2, 4)):
        args = [*given, f"trainer.accumulate={accumulate}"]
        notes = watched(tmp_path / f"{processes}-{accumulate}", args, processes)
        steps = len(alone["loss"])
        losses = per_step(notes, steps), per_step([alone], steps)
        torch.testing.assert_close(*losses, rtol=1e-5, atol=1e-5)
        for n in notes:
            for name in (key for key in alone if key.startswith("grad/")):
                torch.testing.assert_close(n[name], alone[name], rtol=1e-5, atol=1e-5)
        for name in (key for key in notes[0] if key.startswith("round/")):
            assert all(torch.equal(n[name], notes[0][name]) for n in notes), name


def test_statistics_and_spectra_are_of_the_first_process(given: list[str], tmp_path: Path) -> None:
    """Whitened factors, ranks by spectra, scores by activation: each process plans the same."""
    given = [*given, "method=lada_plus"]
    (alone,) = watched(tmp_path / "1", given, 1)
    notes = watched(tmp_path / "2", given, 2)
    steps = len(alone["loss"])
    torch.testing.assert_close(
        per_step(notes, steps), per_step([alone], steps), rtol=1e-5, atol=1e-5
    )
    names = [name for name in alone if name.startswith("round/")]
    assert len(names) > 10
    for name in names:
        assert torch.equal(notes[0][name], notes[1][name]), name
        assert notes[0][name].shape == alone[name].shape, name


@pytest.mark.parametrize("word", ["method.score=platon", "method.score=grain", "method=grain"])
def test_scores_remember_the_gradients_of_all_processes(
    given: list[str], tmp_path: Path, word: str
) -> None:
    """Of the whole batch, accumulated and averaged, and the same on each process."""
    given = [*given, word]
    (alone,) = watched(tmp_path / "1", given, 1)
    notes = watched(tmp_path / "2", [*given, "trainer.accumulate=2"], 2)
    for name in (key for key in notes[0] if key.startswith("round/")):
        assert torch.equal(notes[0][name], notes[1][name]), name
    parts = ("importance", "_uncertainty")
    names = [n for n in alone if n.startswith("round/1/") and n.endswith(parts)]
    assert len(names) >= 6
    for name in names:
        # Of what is pruned nothing is remembered; another order of sums may prune another entry.
        mine, theirs = alone[name], notes[0][name]
        both = (mine != 0) & (theirs != 0)
        assert both.sum() > 0.99 * (mine != 0).sum() > 0
        torch.testing.assert_close(theirs[both], mine[both], rtol=1e-2, atol=1e-3 * mine.max())


@pytest.mark.parametrize("kind", OF_KINDS)
def test_two_processes_make_the_step_of_one(
    kind: str, train_py: Cli, tiny: list[str], teachers: Path, tmp_path: Path
) -> None:
    """Of each kind; texts and passages are compared within a part, so one process has two parts."""
    args = with_kind(kind, tiny, tmp_path / "data")
    args = from_teacher(train_py, args, teachers, tmp_path)
    (alone,) = watched(tmp_path / "1", [*args, "trainer.accumulate=2"], 1)
    notes = watched(tmp_path / "2", args, 2)
    steps = len(alone["loss"]) // 2
    losses = per_step(notes, steps), per_step([alone], steps)
    torch.testing.assert_close(*losses, rtol=1e-5, atol=1e-5)
    names = [name for name in alone if name.startswith("grad/")]
    assert len(names) > 10
    for note in notes:
        for name in names:
            torch.testing.assert_close(note[name], alone[name], rtol=1e-5, atol=1e-5)


def test_processes_drop_different_units(tiny: list[str], tmp_path: Path) -> None:
    args = [str(SCRIPT), str(tmp_path), *tiny, "optim.epochs=0.7", "schedule.rounds=2", *DDP]
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    env = os.environ | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, *launcher, *args]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    a, b = (load_file(tmp_path / f"{rank}.safetensors") for rank in range(2))
    assert a["dropped"].float().mean() == pytest.approx(0.1, abs=0.02)
    rows, length = (min(x.shape[i] for x in (a["dropped"], b["dropped"])) for i in (0, 1))
    same = (a["dropped"] & b["dropped"])[:rows, :length].float().mean()
    assert same == pytest.approx(0.01, abs=0.005)


def train(*args: str) -> subprocess.CompletedProcess[str]:
    return forked.run(ROOT / "train.py", list(args))


def test_one_log_one_artifact_one_voice(tiny: list[str], tmp_path: Path) -> None:
    # No interval between checks divides the steps; there is one after the last all the same.
    steps = ["optim.epochs=null", "optim.steps=23"]
    own = f"paths.teachers={tmp_path}/teachers"
    done = train(*tiny, *DDP, *steps, "callbacks=default", own)
    assert done.returncode == 0, done.stderr
    found = record_of(tmp_path / "out")
    assert found["machine"]["processes"] == 2
    assert found["reached"] == pytest.approx(5, rel=0.005)
    assert found["artifact"]["scores"]["dev"]["rows"] == 80
    assert len(list((tmp_path / "out").rglob("metrics.csv"))) == 1
    assert done.stderr.count("round 4/4") == 1
    assert done.stdout.count("artifact read back") == 1
    last = [line for line in done.stderr.splitlines() if "step 23 of 23" in line]
    assert len(last) == 1


def test_under_slurm(tiny: list[str], tmp_path: Path) -> None:
    """What srun sets for two tasks on one machine, without a cluster."""
    args = [*tiny, *DDP, "optim.epochs=1", "schedule.rounds=2"]
    jobs = []
    for rank in range(2):
        slurm = {
            "SLURM_JOB_ID": "4711", "SLURM_JOB_NAME": "lada", "SLURM_NTASKS": "2",
            "SLURM_STEP_NUM_TASKS": "2", "SLURM_PROCID": str(rank), "SLURM_LOCALID": str(rank),
            "SLURM_NODEID": "0", "SLURM_NODELIST": "localhost", "SLURM_NTASKS_PER_NODE": "2",
            "SLURM_NNODES": "1", "OMP_NUM_THREADS": "1",
        }  # fmt: skip
        jobs.append(
            subprocess.Popen(
                [sys.executable, str(ROOT / "train.py"), *args],
                env=os.environ | slurm,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
    ends = [job.communicate(timeout=200) for job in jobs]
    assert [job.returncode for job in jobs] == [0, 0], ends[0][1] + ends[1][1]
    assert record_of(tmp_path / "out")["machine"]["processes"] == 2
    assert not ends[1][0]


def test_one_process_is_enough(tiny: list[str], tmp_path: Path) -> None:
    done = train(*tiny, "trainer=ddp", "trainer.devices=1", "trainer.accelerator=cpu")
    assert done.returncode == 0, done.stderr
    assert record_of(tmp_path / "out")["machine"]["processes"] == 1


def changed_train(folder: Path, change: str, *args: str) -> subprocess.CompletedProcess[str]:
    """Run train.py with ``change`` run first in it and in every process that it starts."""
    (folder / "sitecustomize.py").write_text(change)
    env = os.environ | {"PYTHONPATH": f"{folder}{os.pathsep}{ROOT}"}
    command = [sys.executable, str(ROOT / "train.py"), *args]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False)


def test_a_failure_of_another_process_is_said(tiny: list[str], tmp_path: Path) -> None:
    """Only the second process runs out of memory; what it says must reach the user."""
    done = changed_train(
        tmp_path,
        "import os\n"
        "import torch\n"
        "from lada.training.modules import StudentModule\n"
        "step = StudentModule.training_step\n"
        "def training_step(self, batch, index):\n"
        "    if self.global_step == 5 and os.environ.get('RANK') == '1':\n"
        "        torch.empty(1 << 60, dtype=torch.uint8)\n"
        "    return step(self, batch, index)\n"
        "StudentModule.training_step = training_step\n",
        *tiny,
        *DDP,
    )
    assert done.returncode != 0
    lines = done.stderr.splitlines()
    assert any(line.startswith("process 1: error:") and "accumulate" in line for line in lines)
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("rank", "late"), [(0, 0.15), (1, 3)])
def test_rejected_once(tiny: list[str], tmp_path: Path, rank: int, late: float) -> None:
    """One process is later than the other: just too late, or stopped before it says anything."""
    done = changed_train(
        tmp_path,
        "import os, time\n"
        "from lada.run import entry\n"
        "fail = entry._fail\n"
        "def slow(line):\n"
        f"    time.sleep({late} if os.environ.get('RANK') == '{rank}' else 0)\n"
        "    fail(line)\n"
        "entry._fail = slow\n",
        *tiny,
        *DDP,
        "task.train_file=nowhere.csv",
    )
    assert done.returncode == 2, done.stderr
    (line,) = done.stderr.strip().splitlines()
    assert line.removeprefix("process 1: ").startswith(
        "error: task.train_file=nowhere.csv: there is no such file"
    )


def test_stopped_and_resumed(tiny: list[str], tmp_path: Path) -> None:
    store = f"paths.teachers={tmp_path}/teachers"
    whole = [*tiny, *DDP, store, f"paths.outputs={tmp_path}/whole"]
    assert train(*whole).returncode == 0
    args = [*tiny, *DDP, store, f"paths.outputs={tmp_path}/cut", "optim.epochs=3"]
    run = subprocess.Popen(
        [sys.executable, str(ROOT / "train.py"), *args], stderr=subprocess.PIPE, text=True
    )
    while run.poll() is None and not list((tmp_path / "cut").rglob("step-*.ckpt")):
        time.sleep(0.02)
    run.send_signal(signal.SIGTERM)
    _, err = run.communicate(timeout=120)
    assert run.returncode == 143, err
    assert "Traceback" not in err
    assert not list((tmp_path / "cut").rglob("results.json"))
    assert train(*args).returncode == 0
    a, b = (
        load_file(run_in(tmp_path / name) / "artifact/model.safetensors")
        for name in ("whole", "cut")
    )
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert record_of(tmp_path / "cut")["resumed"]
