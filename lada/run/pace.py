"""How much work a run has, in tokens of the teacher's forward pass.

The ratios are guesses, for kinds of work that have not begun; a backward pass takes twice the time
of a forward pass. Measured with MiniLM-L6 on two cores, a step of a student that is compressed to
1 / 7.5 takes 0.9 of a step of its teacher, loss included, and one more forward pass where the
teacher runs with it.
"""

from typing import Any

from lada.data.tokens import Encoded
from lada.ops.timeleft import TimeLeft
from lada.run.job import Job
from lada.run.length import teacher_length
from lada.run.live import layout_of, why_live
from lada.training.pace import EVALUATION, OUTPUTS, Pace, checks_of, steps_of

TRAINED = 3.0
"""A training step against a forward pass."""
STUDENT = 0.9
"""A student against its teacher."""
TIMED = 15 * 1.5
"""Examples of a batch of one, by which both are timed at the end."""


def pace_of(job: Job) -> Pace:
    """The work of a run as far as it is known before the teacher is."""
    found = {}
    if job.config.teacher.path is None and job.head.kind.labelled:
        length = teacher_length(job.config, len(job.train))
        checks = -(-length.steps // length.interval)
        found[steps_of("teacher")] = length.steps * teacher_step(job)
        found[checks_of("teacher")] = checks * check(job)
    if job.steps:
        checks = -(-job.steps // job.interval)
        found[steps_of("compression")] = job.steps * student_step(job, live=False)
        found[checks_of("compression")] = checks * check(job) * STUDENT
    if job.method.taught:
        found[OUTPUTS] = float(job.learned.lengths.sum())
    dev = sum(dev_work(split, who) for split in job.dev.values() for who in ("teacher", "artifact"))
    found[EVALUATION] = dev + TIMED * job.config.task.max_length * (1 + STUDENT)
    return Pace(TimeLeft(found))


def expect_outputs(pace: Pace, job: Job, config: Any) -> None:
    """Expect the work that depends on whether the teacher runs with the student.

    That is settled when the teacher is there; this is before it is trained.

    Args:
        config: of the teacher's model.
    """
    if not job.method.taught:
        return
    layout, trainer = layout_of(job, config), job.config.trainer
    reason = why_live(
        layout,
        layout.bytes(job.learned.lengths),
        gb=job.config.teacher_cache.gb,
        epochs=job.epochs,
        accelerator=job.machine.accelerator,
        nodes=trainer.num_nodes,
        free=2**63,
    )
    if reason is not None:
        pace.left.expect(OUTPUTS, 0.0)
    pace.left.expect(
        steps_of("compression"), job.steps * student_step(job, live=reason is not None)
    )


def teacher_step(job: Job) -> float:
    """The work of a step of the teacher's training."""
    return TRAINED * job.config.teacher.batch_size * float(job.train.lengths.mean())


def student_step(job: Job, *, live: bool) -> float:
    """The work of a step of the student's training.

    Args:
        live: whether the teacher runs with it.
    """
    size = job.config.optim.batch_size * float(job.learned.lengths.mean())
    return size * (TRAINED * STUDENT + (1.0 if live else 0.0))


def dev_work(split: Encoded, who: str) -> float:
    """The work of scoring the teacher, or the artifact, on a dev split."""
    return float(split.lengths.sum()) * (1.0 if who == "teacher" else STUDENT)


def check(job: Job) -> float:
    """The work of a validation check of a model of the teacher's size."""
    return float(job.validation.lengths.sum())
