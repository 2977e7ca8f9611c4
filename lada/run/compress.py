"""One run: data -> teacher -> student -> artifact -> the artifact read back -> report."""

import json
import logging
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from transformers import PreTrainedModel
from transformers.utils import logging as hf_logging

from lada import artifact
from lada.artifact.card import write_card
from lada.artifact.export import forms_of
from lada.compression import Compression
from lada.config import Config, plain
from lada.data.examples import Examples
from lada.data.outputs import TeacherOutputs
from lada.data.split import given_digest
from lada.data.submission import SUBMISSION
from lada.nn.compressed import set_bits_
from lada.nn.device import move_
from lada.nn.pretrained import model_digest
from lada.program import again
from lada.report.page import REPORT
from lada.report.record import write_json
from lada.report.table import run_table
from lada.report.watched import final
from lada.run.copies import get_copies
from lada.run.details import write_report
from lada.run.identity import determining
from lada.run.job import Job, prepare
from lada.run.length import Length
from lada.run.machine import loop_of, processes_of
from lada.run.pace import STUDENT, check, pace_of, student_step
from lada.run.results import about_artifact, make_record
from lada.run.resume import describe, pick_checkpoint, warn_of_other_machine
from lada.run.runs import CHECKPOINTS, PROCESSES, RESULTS, choose_folder, claimed, note, run_state
from lada.run.scoring import evaluate, outputs_of
from lada.run.spectra import get_spectra, tell_ranks
from lada.run.statistics import get_statistics
from lada.run.submit import submit
from lada.run.sweep import child_arguments
from lada.run.teacher import Teacher, get_teacher
from lada.run.teacher_cache import KEPT, LIVE, UNUSED, TeacherCache
from lada.run.watch import about_run, tell_end
from lada.training.balance import Balance
from lada.training.checkpoints import drop_later, step_of
from lada.training.dashboards import Dashboard
from lada.training.datamodule import ExamplesModule
from lada.training.loggers import check_logger, logging_to
from lada.training.modules import StudentModule
from lada.training.pace import OUTPUTS, Pace, Paced
from lada.training.processes import (
    ALONE,
    World,
    check_processes,
    is_launched,
    join,
    launch,
    processes_here,
)
from lada.training.stop import terminable
from lada.training.student import fit_student

log = logging.getLogger("lada")

ARTIFACT = "artifact"
"""Folder of the artifact, in that of its run."""


def start(config: Config, fresh: Path, overrides: list[str], *, named: bool) -> None:
    """Do the run that a command line asks for, or start the processes that do it together.

    Args:
        fresh: the folder made for this run.
        overrides: the command line.
        named: whether ``fresh`` and no other will do.

    Raises:
        LadaError: a mistake of the user.
        SystemExit: with the exit code of the processes, if they are started here.
    """
    processes = processes_of(config.trainer)
    check_processes(processes)
    with terminable():
        if processes.ddp and not is_launched():
            folder = choose_folder(config, fresh, named)
            command = [*again(), *child_arguments(overrides, folder)]
            code = launch(command, processes_here(processes), folder / PROCESSES)
            if not run_state(folder):  # rejected: leave nothing behind
                shutil.rmtree(folder / PROCESSES, ignore_errors=True)
            sys.exit(code)
        world = join(processes)
        found = str(choose_folder(config, fresh, named)) if world.first else ""
        _set_up_logging(config, world)
        done = compress(config, Path(world.share(found)), overrides, world, named=named)
        if done is not None:
            _tell(*done, submitted=config.submit)


def _set_up_logging(config: Config, world: World) -> None:
    """Show the log of the run on the terminal, and no bars of models that are loaded or written."""
    hf_logging.disable_progress_bar()
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    level = logging.WARNING if config.callbacks.progress == "none" else logging.INFO
    log.setLevel(level if world.first else logging.ERROR)  # the first process warns for all


def _tell(folder: Path, record: dict[str, Any], *, submitted: bool) -> None:
    """Print the result of a run, and its folder."""
    Console().print(run_table(record))
    print(f"artifact: {folder / ARTIFACT}\nrecord:   {folder / RESULTS}")
    if (folder / REPORT).is_file():
        print(f"report:   {folder / REPORT}")
    if submitted:
        print(f"for GLUE: {folder / SUBMISSION}")


def compress(
    config: Config,
    folder: Path,
    overrides: list[str] | None = None,
    world: World = ALONE,
    *,
    named: bool = True,
    examples: Examples | None = None,
) -> tuple[Path, dict[str, Any]] | None:
    """Do a whole run into ``folder``; the command line and `lada.compress` both come here.

    An unfinished run of the same config in ``folder`` is resumed, if ``resume`` allows it.

    Args:
        overrides: the command line, for the record.
        world: the processes that do it together.
        named: whether ``folder`` and no other will do.
        examples: instead of the files of task=csv.

    Returns:
        The folder of the run, and its record (also in ``results.json`` there); None in all
        processes but the first.

    Raises:
        LadaError: a mistake of the user; before training, if it can be known before.
    """
    if config.trainer.threads is not None:
        torch.set_num_threads(config.trainer.threads)
    check_logger(config.logger.name)
    seconds: dict[str, float] = {}
    with _timed(seconds, "data"), world.first_first():
        job = prepare(config, overrides or [], examples)
    log.info(
        "plan: x%.2f in %d rounds over %d steps, %.3g epochs (delta %.3f)",
        job.plan.rounds[-1].ratio,
        len(job.at),
        job.steps,
        job.epochs,
        job.plan.delta,
    )
    resume = config.resume != "never"
    with ExitStack() as stack:
        with world.only_first():
            if world.first:
                claim = claimed(folder, config, resume=resume, named=named)
                folder = stack.enter_context(claim)
        folder = Path(world.share(str(folder)))
        record = _do(job, folder, world, seconds, pace_of(job))
    return None if record is None else (folder, record)


def _do(
    job: Job, folder: Path, world: World, seconds: dict[str, float], pace: Pace
) -> dict[str, Any] | None:
    config = job.config
    out = folder / ARTIFACT
    content: dict[str, str | None] = {
        "the training examples": job.data.train.digest,
        "the validation examples": job.data.validation.digest,
    }
    if job.data.unlabeled is not None:
        content["the texts without labels"] = job.data.unlabeled.digest
    if (given := given_digest(job.data)) is not None:
        content["the probabilities"] = given
    if not job.head.kind.labelled:
        content["the teacher's vectors"] = json.dumps(job.head.about())
    pretrained = getattr(config.method, "path", None)
    if pretrained is not None:
        content["method.path"] = model_digest(Path(pretrained))
    # Also checked before the teacher: a run that will be rejected should not train one.
    about = describe("student", determining(plain(config)), content, job.machine, world)
    pick_checkpoint(config.resume, folder / CHECKPOINTS, about, world)
    with _timed(seconds, "teacher"):
        teacher = get_teacher(job, world, pace)
    # A teacher whose students cannot be stored is rejected before one is trained.
    artifact.check_storable(
        job.compressed(teacher.model), job.of_student().tokenizer, about_artifact(job)
    )
    about["content"]["the teacher"] = model_digest(teacher.folder)
    if job.head.scales or job.head.compares:
        job = job.taught_by(outputs_of(job, teacher.model, job.validation))
    if config.method.needs_statistics:
        with _timed(seconds, "statistics"):
            job = job.with_statistics(get_statistics(job, teacher, world))
    if config.method.needs_spectra:
        with _timed(seconds, "spectra"):
            spectra = get_spectra(job, teacher, folder / CHECKPOINTS, about["content"], world)
            job = job.with_spectra(spectra, teacher.model)
        tell_ranks(job, teacher)
    if config.data.augment:
        with _timed(seconds, "augmentation"):
            job = job.with_copies(copies := get_copies(job, teacher, world))
        about["content"]["the changed copies"] = copies.digest
    noted, outputs, source = run_state(folder).get("teacher"), None, UNUSED
    if job.method.taught:
        with _timed(seconds, "teacher outputs"):
            cache = TeacherCache(job, teacher)
            outputs = cache.get(noted, world, pace)
            pace.left.finish(OUTPUTS)
        source = LIVE if outputs is None else KEPT
    if world.first and noted is None:
        note(folder, teacher=source)
    checkpoint = pick_checkpoint(config.resume, folder / CHECKPOINTS, about, world)
    if checkpoint is not None:
        log.info("resume: from %s", checkpoint)
        warn_of_other_machine(checkpoint, about)
    if world.first:
        drop_later(folder / CHECKPOINTS, checkpoint)
    step = None if checkpoint is None else step_of(checkpoint)
    run_id = str(run_state(folder)["id"])
    with logging_to(
        config.logger.name,
        folder,
        about_run(job, run_id),
        outputs=Path(config.paths.outputs),
        step=step,
        first=world.first,
    ) as logger:
        with _timed(seconds, "compression"):
            student, best = _fit(job, folder, teacher, outputs, logger, about, checkpoint, pace)
        if not world.first:
            return None
        with _timed(seconds, "artifact"):
            job = _tuned(job, student)
            model, values = move_(student, "cpu"), config.artifact.values
            own = job.of_student().tokenizer
            artifact.save(model, own, out, about_artifact(job), values=values)
        with _timed(seconds, "evaluation"):
            found = evaluate(job, teacher, folder, pace)
        if config.submit:
            with _timed(seconds, "submission"):
                submit(job, folder)
        record = make_record(
            job,
            folder,
            teacher,
            best=best,
            found=found,
            seconds=seconds,
            resumed=checkpoint is not None,
            outputs=source,
            processes=world.size,
        )
        write_card(out, record, forms_of(model))
        _tell_logger(logger, job, folder, record)
        write_json(folder / RESULTS, record)
        write_report(folder)
    return record


@contextmanager
def _timed(seconds: dict[str, float], phase: str) -> Iterator[None]:
    started = time.monotonic()
    yield
    seconds[phase] = round(time.monotonic() - started, 1)


def build_module(job: Job, teacher: PreTrainedModel, *, live: bool) -> StudentModule:
    """The student before its first round, with its loss and optimizer.

    Args:
        teacher: what is compressed (`Job.compressed`), which answers as the teacher does.
        live: whether the teacher runs at each step (see `StudentModule`).
    """
    config, o = job.config, job.config.optim
    student = job.method.build(teacher, job.plan)
    set_bits_(student, config.artifact.values)
    balanced = "distill" in config.method.reads and config.distill.balance == "gradients"
    return StudentModule(
        job.method,
        student,
        teacher,
        head=job.head,
        total_steps=job.steps,
        seed=config.seed,
        optimizer={
            "lr": o.rate,
            "weight_decay": o.weight_decay,
            "betas": (o.beta1, o.beta2),
            "eps": o.eps,
        },
        warmup=o.warmup,
        clip=o.clip,
        max_nonfinite=job.machine.skips,
        renewals=job.renewals,
        stages=job.stages,
        compiled=config.compile,
        live=live,
        given_weight=config.task.given_weight,
        balance=Balance(job.at) if balanced else None,
    )


def build_examples(job: Job, outputs: TeacherOutputs | None) -> ExamplesModule:
    """The training and validation examples of the student.

    Args:
        outputs: the teacher's on the training examples, if they are stored.
    """
    return ExamplesModule(
        job.learned,
        job.validation,
        job.data.validation,
        batch_size=job.config.optim.batch_size,
        pad_id=job.tokenizer.pad_token_id,
        seed=job.config.seed,
        workers=job.machine.workers,
        teacher=outputs,
    )


def _fit(
    job: Job,
    folder: Path,
    teacher: Teacher,
    outputs: TeacherOutputs | None,
    logger: Any,
    about: dict[str, Any],
    checkpoint: Path | None,
    pace: Pace,
) -> tuple[PreTrainedModel, float]:
    """Compress and distil; returns the best model of the final round, its validation score."""
    start, job = job.compressed(teacher.model), job.of_student()
    if not job.method.trained:
        student = job.method.build(start, job.plan)
        answers = outputs_of(job, student, job.validation)
        head = job.head.tuned(answers, job.validation, job.data.validation)
        found = head.score(answers, job.validation, job.data.validation)
        return student, found[head.chosen_by.name]
    live = job.method.taught and outputs is None
    module = build_module(job, start, live=live)
    best = fit_student(
        loop_of(job.config, job.machine, Length(job.steps, job.interval, job.epochs)),
        folder / CHECKPOINTS,
        module,
        build_examples(job, outputs),
        compression=Compression(module.model, job.method, job.plan, job.at),
        logger=logger,
        about=about,
        resume=checkpoint,
        paced=Paced(pace, "compression", student_step(job, live=live), check(job) * STUDENT),
    )
    return module.model, best


def _tuned(job: Job, student: PreTrainedModel) -> Job:
    """The job with what the artifact's answers need to have chosen, on the validation split."""
    if not job.head.tunes:
        return job
    own = job.of_student()
    outputs = outputs_of(own, student, own.validation)
    return replace(job, head=job.head.tuned(outputs, own.validation, job.data.validation))


def _tell_logger(logger: Any, job: Job, folder: Path, record: dict[str, Any]) -> None:
    """Log the final scores and sizes, and to a dashboard what else it shows."""
    if isinstance(logger, Dashboard):
        tell_end(logger, job, folder, record)
    else:
        logger.log_metrics(final(record), step=record["steps"])
        logger.save()  # fit has already saved it once
