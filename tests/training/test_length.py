"""How long a training is: exactly as given; else some epochs, but never too few steps."""

import math

import pytest
from helpers import ROOT
from hydra import compose, initialize_config_dir
from hypothesis import given
from hypothesis import strategies as st

from lada.config import Config, check
from lada.errors import LadaError
from lada.run.length import (
    CHECKS,
    EPOCHS,
    STUDENT_STEPS,
    TEACHER_STEPS,
    by_epochs,
    by_steps,
    settled_student,
    settled_teacher,
    student_length,
    teacher_length,
)


def composed_config(*overrides: str) -> Config:
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        return check(compose("train", overrides=list(overrides)))


@given(st.integers(1, 5000), st.integers(1, 10**6), st.integers(1, 40))
def test_steps_are_exact_and_the_checks_end_with_them(
    batches: int, steps: int, checks: int
) -> None:
    length = by_steps(batches, steps, checks)
    assert length.steps == steps
    assert length.epochs == steps / batches
    looks = math.ceil(steps / length.interval)  # the last interval may be shorter
    assert 1 <= looks <= max(CHECKS, checks)
    assert looks <= max(1, round(checks * steps / batches))


@given(st.integers(1, 5000), st.floats(0.01, 50), st.integers(1, 40))
def test_epochs_are_cut_to_equal_intervals(batches: int, epochs: float, checks: int) -> None:
    length = by_epochs(batches, epochs, checks)
    assert length.steps % length.interval == 0
    looks = length.steps // length.interval
    assert max(1, int(batches * epochs)) - looks < length.steps <= max(1, batches * epochs)
    assert length.epochs == epochs


@pytest.mark.parametrize(
    ("rows", "epochs", "checks", "steps", "interval"),
    [  # of recorded runs
        (65_349, 3, 2, 6126, 1021),
        (73_983, 1, 2, 2312, 1156),
        (30_167, 2, 15, 1860, 62),
        (5_400, 3, 2, 504, 84),
    ],
)
def test_recorded_lengths(rows: int, epochs: float, checks: int, steps: int, interval: int) -> None:
    config = composed_config(f"optim.epochs={epochs}", f"trainer.checks={checks}")
    length = student_length(config, rows)
    assert (length.steps, length.interval, length.epochs) == (steps, interval, epochs)


@pytest.mark.parametrize("rows", [1, 50, 2_700, 7_650, 10_600])
def test_small_data_has_the_fewest_steps_by_default(rows: int) -> None:
    config = composed_config()
    for length, least in (
        (student_length(config, rows), STUDENT_STEPS),
        (teacher_length(config, rows), TEACHER_STEPS),
    ):
        assert length.steps == least
        assert length.epochs == least / math.ceil(rows / 32) > EPOCHS
    assert (settled_student(config, rows).epochs, settled_student(config, rows).steps) == (
        None,
        STUDENT_STEPS,
    )


@pytest.mark.parametrize("rows", [12_000, 65_349, 390_000])
def test_large_data_has_its_epochs_by_default(rows: int) -> None:
    config, given = composed_config(), composed_config("optim.epochs=3", "teacher.epochs=3")
    assert student_length(config, rows) == student_length(given, rows)
    assert teacher_length(config, rows) == teacher_length(given, rows)
    assert settled_student(config, rows) == given.optim
    assert settled_teacher(config, rows) == given.teacher


@pytest.mark.parametrize("rows", [50, 3_000, 100_000])
def test_what_is_given_is_taken(rows: int) -> None:
    config = composed_config("optim.steps=37", "teacher.epochs=0.5")
    assert student_length(config, rows).steps == 37
    assert teacher_length(config, rows) == by_epochs(math.ceil(rows / 32), 0.5, 2)
    assert settled_student(config, rows) == config.optim
    assert settled_teacher(config, rows) == config.teacher


@pytest.mark.parametrize("group", ["optim", "teacher"])
@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["epochs=1", "steps=100"], "epochs=null"),
        (["epochs=0.5", "steps=7"], "epochs=0.5"),
        (["steps=0"], "at least 1"),
        (["steps=-5"], "at least 1"),
        (["steps=10000000000"], "at most 100,000,000"),
        (["epochs=0"], "must be over 0"),
    ],
)
def test_what_cannot_be(group: str, given: list[str], words: str) -> None:
    with pytest.raises(LadaError) as error:
        composed_config(*(f"{group}.{one}" for one in given))
    assert words in str(error.value)
    assert f"{group}." in str(error.value)


def test_one_may_be_taken_back() -> None:
    config = composed_config("debug=fast", "optim.epochs=null", "optim.steps=9")
    assert student_length(config, 100).steps == 9
