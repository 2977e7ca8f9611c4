"""Runs of exactly so many steps, and by default of enough: small data is not trained too little."""

from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import Result, record_of, run_in
from test_resume import ctrl_c, outcome, under

from lada.report.curve import read_curve
from lada.training.modules import StudentModule, TeacherModule

Cli = Callable[..., Result]


@pytest.fixture(params=[1, 3], ids=lambda n: f"accumulate{n}")
def odd(request: pytest.FixtureRequest, tiny: list[str]) -> list[str]:
    """A run whose steps no interval between checks divides."""
    lengths = ["optim.epochs=null", "optim.steps=23", "teacher.epochs=null", "teacher.steps=37"]
    return [*tiny, *lengths, f"trainer.accumulate={request.param}"]


@pytest.mark.slow
def test_steps_are_exact_and_the_last_is_checked(
    train_py: Cli, tmp_path: Path, odd: list[str]
) -> None:
    args = under(tmp_path / "whole", odd)
    assert train_py(*args).code == 0
    record = record_of(tmp_path / "whole")
    assert (record["steps"], record["teacher"]["steps"]) == (23, 37)
    assert record["epochs"] == pytest.approx(23 / 9, abs=1e-4)  # 288 of 320 rows, by 32
    assert record["teacher"]["epochs"] == pytest.approx(37 / 9, abs=1e-4)
    curve = read_curve(run_in(tmp_path / "whole"))
    assert [look["step"] for look in curve] == [5, 10, 15, 20, 23]
    for module, step in ((TeacherModule, 36), (StudentModule, 22)):
        cut = under(tmp_path / f"{module.__name__}{step}", odd)
        with ctrl_c(module, step):
            assert train_py(*cut).code == 130
        assert train_py(*cut).code == 0
        assert outcome(tmp_path / f"{module.__name__}{step}") == outcome(tmp_path / "whole")


@pytest.mark.slow
def test_the_default_is_enough_steps(
    train_py: Cli, tiny: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lada.run.length.TEACHER_STEPS", 40)
    monkeypatch.setattr("lada.run.length.STUDENT_STEPS", 30)
    args = [*tiny, "optim.epochs=null", "teacher.epochs=null"]
    assert train_py(*args, f"hydra.run.dir={tmp_path}/few").code == 0
    record = record_of(tmp_path / "few")
    assert (record["steps"], record["teacher"]["steps"]) == (30, 40)
    # What was done can be given again, whatever the default becomes.
    assert record["config"]["optim"]["steps"] == 30
    assert record["config"]["teacher"]["steps"] == 40
    assert record["config"]["optim"]["epochs"] is None

    monkeypatch.setattr("lada.run.length.STUDENT_STEPS", 20)
    assert train_py(*args, f"hydra.run.dir={tmp_path}/more").code == 0
    more = record_of(tmp_path / "more")
    assert (more["steps"], more["epochs"]) == (24, 3)  # three epochs, cut to equal intervals
    assert more["config"]["optim"]["epochs"] == 3
    assert train_py(*args, "optim.epochs=3", f"hydra.run.dir={tmp_path}/same").code == 0
    same = record_of(tmp_path / "same")
    assert same["artifact"] == more["artifact"]
