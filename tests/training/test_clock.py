"""When each step of a training was reached, also over a stop."""

import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from helpers import Result, record_of, run_in

from lada.report.curve import read_curve, read_times
from lada.training.clock import Clock

Cli = Callable[..., Result]


def at(step: int, first: bool = True) -> Any:
    return SimpleNamespace(global_step=step, is_global_zero=first)


def test_seconds_go_on_from_those_of_the_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, now = tmp_path / "times.csv", [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    assert read_times(file) == {}
    clock = Clock(file)
    clock.on_train_start(at(0), None)
    for step in (10, 20, 30):
        now[0] += 5
        clock.on_save_checkpoint(at(step), None, {})
    assert read_times(file) == {10: 5, 20: 10, 30: 15}
    with file.open("a") as f:
        f.write("31,")  # cut off
    now[0] = 7.0  # another process, from step 20
    clock = Clock(file)
    clock.on_train_start(at(20), None)
    now[0] += 2
    clock.on_save_checkpoint(at(30), None, {})
    assert read_times(file) == {10: 5, 20: 10, 30: 12}


def test_one_process_writes(tmp_path: Path) -> None:
    clock = Clock(tmp_path / "times.csv")
    clock.on_train_start(at(0, first=False), None)
    clock.on_save_checkpoint(at(1, first=False), None, {})
    assert not list(tmp_path.iterdir())


def test_a_run_has_a_time_for_each_validation_check(
    train_py: Cli, tiny: list[str], tmp_path: Path
) -> None:
    assert train_py(*tiny).code == 0
    folder = run_in(tmp_path / "out")
    times = read_times(folder / "times.csv")
    curve = read_curve(folder)
    assert [check["step"] for check in curve] == list(times)
    assert [check["seconds"] for check in curve] == sorted(times.values())
    record = record_of(folder)
    assert curve[-1]["step"] == record["steps"]
    assert curve[-1]["ratio"] == pytest.approx(record["reached"])
    assert record["artifact"]["validation_score"] in [
        pytest.approx(check["validation"]) for check in curve
    ]
