"""The kept teacher: found by all it depends on, trained once, never half-written."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from forked import start
from helpers import ROOT, Result
from hydra import compose, initialize_config_dir

from lada.config import Config, check
from lada.data.source import load_task
from lada.data.split import TaskData
from lada.run.identity import teacher_key
from lada.run.machine import settle

Cli = Callable[..., Result]


def config_of(*overrides: str) -> Config:
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        return check(compose("train", overrides=["model=tiny", *overrides]))


def key_of(config: Config, data: TaskData) -> tuple[str, dict[str, Any]]:
    return teacher_key(config, settle(config), data, None)


@pytest.fixture(scope="module")
def data() -> TaskData:
    return load_task("demo", data_dir=None, validation_examples=None)


@pytest.mark.parametrize(
    "override",
    ["teacher.lr=1e-5", "teacher.epochs=1", "teacher.steps=900", "seed=3",
     "task.max_length=20", "trainer.accumulate=2", "trainer.precision=fp32 trainer.precision=bf16"],
)  # fmt: skip
def test_key_changes_with_what_changes_the_teacher(data: TaskData, override: str) -> None:
    first, _, second = override.partition(" ")
    a = config_of(first) if second else config_of()
    b = config_of(second or first)
    assert key_of(a, data)[0] != key_of(b, data)[0]


@pytest.mark.parametrize("override", ["target=2.5x", "optim.lr=1e-3", "teacher.margin=1"])
def test_key_stays_with_what_does_not(data: TaskData, override: str) -> None:
    keys = {key_of(config_of(*o), data)[0] for o in ([], [override])}
    assert len(keys) == 1


def test_key_by_epochs_is_the_one_it_was_before_steps(
    data: TaskData, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also of the default, where the data is large enough."""
    before = {"lr": 3e-4, "batch_size": 32, "warmup": 0.1, "weight_decay": 0.01}
    for epochs in (0.5, 2.0):
        _, parts = key_of(config_of(f"teacher.epochs={epochs}"), data)
        assert parts["settings"] == {**before, "lr": parts["settings"]["lr"], "epochs": epochs}
    default = key_of(config_of(), data)
    assert (default[1]["settings"]["steps"], "epochs" in default[1]["settings"]) == (1000, False)
    assert default[0] == key_of(config_of("teacher.steps=1000"), data)[0]
    monkeypatch.setattr("lada.run.length.TEACHER_STEPS", 500)
    named = key_of(config_of("teacher.epochs=3"), data)
    assert key_of(config_of(), data) == named


def test_key_changes_with_the_data(data: TaskData) -> None:
    other = load_task("demo", data_dir=None, validation_examples=100)
    assert key_of(config_of(), data)[0] != key_of(config_of(), other)[0]


def test_half_written_teacher_is_made_again(train_py: Cli, tiny: list[str], tmp_path: Path) -> None:
    store = tmp_path / "teachers"
    args = [*tiny, f"paths.teachers={store}"]
    assert train_py(*args, f"hydra.run.dir={tmp_path}/a").code == 0
    (made,) = [p for p in store.iterdir() if p.is_dir()]
    weights = (made / "model.safetensors").read_bytes()
    (made / "teacher.json").unlink()
    (made / "model.safetensors").write_bytes(b"half")
    assert train_py(*args, f"hydra.run.dir={tmp_path}/b").code == 0
    assert (made / "model.safetensors").read_bytes() == weights
    # Temporary folders are gone, the lock and the teacher remain.
    assert {p.suffix for p in store.iterdir()} <= {"", ".lock"}
    assert not [p for p in store.iterdir() if p.name.startswith(".")]


def test_stored_teacher_is_not_trained_again(
    train_py: Cli, tiny: list[str], tmp_path: Path
) -> None:
    store = tmp_path / "teachers"
    args = [*tiny, f"paths.teachers={store}", "callbacks.progress=lines"]
    first = train_py(*args, f"hydra.run.dir={tmp_path}/a")
    second = train_py(*args, f"hydra.run.dir={tmp_path}/b", "target=2.5x")
    assert (first.code, second.code) == (0, 0)
    a, b = (json.loads((tmp_path / n / "results.json").read_text())["teacher"] for n in "ab")
    assert a == b
    (made,) = [p for p in store.iterdir() if p.is_dir()]
    # Version 0.2.0 called the validation split "select".
    file = made / "teacher.json"
    file.write_text(file.read_text().replace('"validation"', '"select"'))
    third = train_py(*args, f"hydra.run.dir={tmp_path}/c", "target=10x")
    assert third.code == 0
    assert json.loads((tmp_path / "c/results.json").read_text())["teacher"] == a


@pytest.mark.slow
def test_two_processes_train_one_teacher(tiny: list[str], tmp_path: Path) -> None:
    store = tmp_path / "teachers"
    jobs = [[*tiny, f"paths.teachers={store}", f"hydra.run.dir={tmp_path}/{name}"] for name in "ab"]
    runs = [start(ROOT / "train.py", job, tmp_path / f"log{i}.txt") for i, job in enumerate(jobs)]
    for run in runs:
        run.join()
    assert [run.exitcode for run in runs] == [0, 0]
    a, b = (json.loads((tmp_path / n / "results.json").read_text()) for n in "ab")
    assert a["teacher"]["key"] == b["teacher"]["key"]
    # One of the two waited for the other and trained nothing: its record is the same file's.
    assert a["teacher"]["seconds"] == b["teacher"]["seconds"]
