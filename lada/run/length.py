"""The length of a training, given by epochs, by steps, or by neither. Pure numbers."""

import math
from dataclasses import dataclass, replace
from typing import TypeVar

from lada.config import Config, OptimConfig, TeacherConfig

EPOCHS = 3.0
"""Epochs if neither epochs nor steps are given."""
TEACHER_STEPS = 1000
"""Fewest optimizer steps of a teacher if neither is given: small data is used more often."""
STUDENT_STEPS = 1000
"""The same for a student."""
CHECKS = 20
"""Most validation checks of a training that is not given by epochs, unless one epoch has more."""

Settings = TypeVar("Settings", OptimConfig, TeacherConfig)


@dataclass(frozen=True)
class Length:
    """The length of a training.

    Attributes:
        steps: optimizer steps, at least 1.
        interval: optimizer steps between two validation checks, at least 1; there is one after the
            last step too, whether it divides ``steps`` or not.
        epochs: how often each example is used; as given, or computed from the steps.
    """

    steps: int
    interval: int
    epochs: float


def by_epochs(batches: int, epochs: float, checks: int) -> Length:
    """Of so many epochs.

    The steps are cut (by fewer than the number of checks) so that the intervals are equal.

    Args:
        batches: batches in an epoch, each for one optimizer step.
        epochs: may be a fraction.
        checks: validation checks in an epoch.
    """
    steps = max(1, int(batches * epochs))
    looks = min(steps, max(1, round(epochs * checks)))
    return Length(steps // looks * looks, steps // looks, epochs)


def by_steps(batches: int, steps: int, checks: int) -> Length:
    """Of exactly so many steps; arguments as in `by_epochs`.

    The checks are those of as many epochs, but no more than `CHECKS` and those of one epoch: small
    data has many epochs in few steps.
    """
    epochs = steps / batches
    looks = min(steps, max(1, min(round(epochs * checks), max(checks, CHECKS))))
    return Length(steps, math.ceil(steps / looks), epochs)


def settled(settings: Settings, rows: int, checks: int, least: int) -> Settings:
    """The settings with one of epochs and steps, where they have neither.

    That is `EPOCHS`, or ``least`` steps where those epochs have fewer.

    Args:
        rows: train examples.
        checks: validation checks in an epoch.
    """
    if settings.epochs is not None or settings.steps is not None:
        return settings
    batches = math.ceil(rows / settings.batch_size)
    if by_epochs(batches, EPOCHS, checks).steps >= least:
        return replace(settings, epochs=EPOCHS)
    return replace(settings, steps=least)


def _length(settings: OptimConfig | TeacherConfig, rows: int, checks: int) -> Length:
    batches = math.ceil(rows / settings.batch_size)
    if settings.steps is not None:
        return by_steps(batches, settings.steps, checks)
    assert settings.epochs is not None  # settled
    return by_epochs(batches, settings.epochs, checks)


def settled_teacher(config: Config, rows: int) -> TeacherConfig:
    """What the teacher is fine-tuned with on so many examples."""
    return settled(config.teacher, rows, config.trainer.checks, TEACHER_STEPS)


def settled_student(config: Config, rows: int) -> OptimConfig:
    """What the student is trained with on so many examples."""
    return settled(config.optim, rows, config.trainer.checks, STUDENT_STEPS)


def teacher_length(config: Config, rows: int) -> Length:
    """Of a teacher's fine-tuning on so many examples."""
    return _length(settled_teacher(config, rows), rows, config.trainer.checks)


def student_length(config: Config, rows: int) -> Length:
    """Of a student's training on so many examples."""
    return _length(settled_student(config, rows), rows, config.trainer.checks)
