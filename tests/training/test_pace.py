"""The line of the time that is left, with clocks that are set by hand."""

import logging
from types import SimpleNamespace
from typing import Any

import pytest

from lada.ops.timeleft import TimeLeft
from lada.training.pace import EVALUATION, OUTPUTS, Pace, Paced, checks_of, steps_of


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def trainer(step: int, steps: int = 100, interval: int = 25, accumulate: int = 2) -> Any:
    return SimpleNamespace(
        global_step=step,
        max_steps=steps,
        val_check_batch=interval * accumulate,
        accumulate_grad_batches=accumulate,
        callbacks=[],
    )


def train(paced: Paced, clock: Clock, begun: int, seconds: float) -> None:
    """Steps of two batches each, and a check that takes four steps' time after every 25."""
    paced.on_train_start(trainer(begun), None)
    for step in range(begun, 100):
        for batch in range(2):
            clock.now += seconds / 2
            paced.on_train_batch_end(trainer(step), None, None, None, 2 * step + batch)
        if (step + 1) % 25 == 0:
            clock.now += 4 * seconds
            paced.on_validation_end(trainer(step), None)
    paced.on_train_end(trainer(100), None)


@pytest.mark.parametrize("begun", [0, 50])
def test_a_line_at_each_tenth_that_is_right(begun: int, caplog: pytest.LogCaptureFixture) -> None:
    """A run of 60 s for every step: 116 minutes of teacher and student each, and the rest."""
    clock = Clock()
    work = {
        steps_of("teacher"): 100.0, checks_of("teacher"): 16.0, OUTPUTS: 40.0,
        steps_of("compression"): 100.0, checks_of("compression"): 16.0, EVALUATION: 20.0,
    }  # fmt: skip
    pace = Pace(TimeLeft(work), clock)
    assert pace.text() == ""
    with caplog.at_level(logging.INFO, logger="lada"):
        clock.now += 1000  # data are read
        train(Paced(pace, "teacher", 1.0, 4.0), clock, begun, 60.0)
        pace.begin()
        for _ in range(40):
            clock.now += 60.0
            pace.did(OUTPUTS, 1.0)
        train(Paced(pace, "compression", 1.0, 4.0), clock, 0, 60.0)
        pace.begin()
        for _ in range(20):
            clock.now += 60.0
            pace.did(EVALUATION, 1.0)
    lines = [record.getMessage() for record in caplog.records]
    shares = [int(line.split("after ")[1].split(" %")[0]) for line in lines]
    assert shares == list(range(10, 100, 10))
    assert pace.left.seconds() == 0.0
    whole = 292 - (58 if begun else 0) + 1000 / 60
    for line, share in zip(lines, shares, strict=True):
        text = line.removeprefix("time left: ").split(",")[0]
        hours, _, minutes = text.rpartition(" h ") if " h " in text else ("0", "", text)
        told = 60 * float(hours or 0) + float(minutes.removesuffix(" h").removesuffix(" min"))
        told = 60 * float(text.removesuffix(" h")) if text.endswith(" h") else told
        assert told == pytest.approx(whole * (1 - share / 100), abs=3)


def test_rounds_are_no_part_of_the_speed_of_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four rounds of 30 s in the first half of 100 steps of 1 s: 120 + 100 s in all."""
    compression = SimpleNamespace(round=-1, at=[0, 10, 20, 30])
    monkeypatch.setattr("lada.training.pace.compression_of", lambda trainer: compression)
    clock = Clock()
    pace = Pace(TimeLeft({steps_of("compression"): 100.0}), clock)
    paced = Paced(pace, "compression", 1.0, 4.0)
    paced.on_train_start(trainer(0, interval=100, accumulate=1), None)
    for step in range(100):
        if step in compression.at:
            clock.now += 30.0
            compression.round += 1
        paced.on_train_batch_start(trainer(step), None, None, step)
        clock.now += 1.0
        paced.on_train_batch_end(trainer(step, accumulate=1), None, None, None, step)
        left = pace.left.seconds()
        assert left is not None
        if step >= 15:  # a second round was measured
            rounds = sum(at > step for at in compression.at)
            check = 4  # that is never done
            assert left == pytest.approx(30 * rounds + 99 - step + check, abs=6)


def test_a_teacher_that_is_found_takes_no_time() -> None:
    clock = Clock()
    pace = Pace(TimeLeft({steps_of("teacher"): 100.0, EVALUATION: 10.0}), clock)
    pace.left.finish(steps_of("teacher"))
    pace.begin()
    for _ in range(5):
        clock.now += 60
        pace.did(EVALUATION, 1.0)
    assert pace.text() == "5 min"
