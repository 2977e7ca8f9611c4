"""One run: data -> teacher -> student -> artifact -> the artifact read back -> report."""

import errno
import logging
import re
import shutil
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from rich.console import Console
from transformers import BertForSequenceClassification, PreTrainedModel
from transformers.utils import logging as hf_logging

from lada import artifact
from lada.artifact.card import write_card
from lada.artifact.export import forms_of
from lada.compression import Compression
from lada.config import Config, check, plain
from lada.data.examples import Examples
from lada.data.outputs import TeacherOutputs
from lada.data.submission import SUBMISSION
from lada.errors import LadaError
from lada.hints import ANOTHER, IN_A_PLACE, hydra_line
from lada.identity import determining
from lada.job import Job, prepare
from lada.length import Length
from lada.machine import loop_of, processes_of
from lada.nn.device import move_
from lada.nn.pretrained import model_digest
from lada.program import again
from lada.report.record import write_json
from lada.report.table import run_table
from lada.results import about_artifact, make_record
from lada.resume import describe, pick_checkpoint, warn_of_other_machine
from lada.runs import CHECKPOINTS, PROCESSES, RESULTS, choose_folder, claimed, note, run_state
from lada.scoring import evaluate
from lada.submit import submit
from lada.sweep import child_arguments, run_job
from lada.teacher import Teacher, get_teacher
from lada.teacher_cache import KEPT, LIVE, UNUSED, TeacherCache
from lada.training import failures
from lada.training.checkpoints import drop_later, step_of
from lada.training.datamodule import ExamplesModule
from lada.training.evaluate import predict, score
from lada.training.loggers import logging_to
from lada.training.modules import StudentModule
from lada.training.processes import (
    ALONE,
    World,
    check_processes,
    is_launched,
    join,
    launch,
    processes_here,
)
from lada.training.stop import Stopped, terminable
from lada.training.student import fit_student
from lada.values import is_unicode, printable

log = logging.getLogger("lada")

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
NO_MORE = (
    "no more threads or processes can be started here, or no memory is left for them; lower "
    "trainer.threads, data.workers or trainer.devices"
)
ARTIFACT = "artifact"
"""Folder of the artifact, in that of its run."""
LONGEST = 2000
"""Characters of what is said of a failure: more is a value, not a message."""
LOOPS = ("fit", "predict")
"""Functions in which batches go through a model."""


def guarded(main: Callable[[], None]) -> None:
    """Run ``main``; say what a user can mend in one line and exit with code 2."""
    try:
        main()
    except LadaError as error:
        _fail(str(error))
    except (HydraException, OmegaConfBaseException) as error:
        _fail(hydra_line(error, sys.argv[1:], _is_override))
    except OSError as error:
        known = (*FULL, errno.EAGAIN, errno.ENOMEM)
        if error.filename is None and error.errno not in known:
            raise
        if error.errno in (errno.EAGAIN, errno.ENOMEM):
            _fail(NO_MORE)
        place = "paths.outputs, paths.cache or paths.teachers"
        _fail(f"{error.filename or 'disk'}: {error.strerror}; give another folder by {place}")
    except (MemoryError, RuntimeError) as error:
        line = _known_failure(error)
        if line is None and _is_of_hydra(error):
            line = hydra_line(error, sys.argv[1:], _is_override)
        if line is None:
            raise
        _fail(line)
    except Stopped as stop:
        print(f"stopped by {stop}; the same command goes on from here", file=sys.stderr)
        sys.exit(128 + stop.signum)
    except KeyboardInterrupt:
        line = "interrupted; the same command goes on from the last checkpoint, if there is one"
        print(line, file=sys.stderr)
        sys.exit(130)
    except Exception as error:
        if not _is_of_hydra(error):
            raise
        _fail(hydra_line(error, sys.argv[1:], _is_override))


def _known_failure(error: Exception) -> str | None:
    text = str(error)
    memory = ("out of memory", "not enough memory", "can't allocate memory")
    if isinstance(error, MemoryError | torch.OutOfMemoryError) or any(m in text for m in memory):
        size = re.search(r"allocate (\d[\d.]* ?\w*)", text)
        what = f"out of memory{f' (asked for {size.group(1)})' if size else ''}"
        if any(frame.name in LOOPS for frame in traceback.extract_tb(error.__traceback__)):
            return (
                f"{what} while training; lower optim.batch_size, teacher.batch_size or "
                "task.max_length, or raise trainer.accumulate, which cuts a batch into parts with "
                "the same result"
            )
        return (
            f"{what} before or after training; data and models have to fit: give fewer rows or a "
            "smaller model, or free memory"
        )
    if any(t in text for t in ("start new thread", "temporarily unavailable")):
        return NO_MORE
    if "closed by peer" in text or "Connection reset" in text:
        return f"another process of this run has ended; what it said is in its {PROCESSES}/ folder"
    return None


def _is_of_hydra(error: Exception) -> bool:
    """Whether Hydra or a launcher has failed, on what a command line, a config or a machine is."""
    frames = traceback.extract_tb(error.__traceback__)
    if not any(frame.name == _run.__name__ and frame.filename == __file__ for frame in frames):
        return True  # no run has begun
    # Where a recursion ends is no telling.
    last = frames[-20:] if isinstance(error, RecursionError) else frames[-1:]
    packages = {name for frame in last for name in Path(frame.filename).parts[:-1]}
    return bool({"hydra", "omegaconf", "antlr4"} & packages)


def _is_override(word: str) -> bool:
    """Whether Hydra can parse a word of the command line."""
    try:
        OverridesParser.create().parse_override(word)
    except (HydraException, ValueError, RecursionError):
        return False
    return True


def _fail(line: str) -> None:
    line = f"error: {printable(line.strip())}"[:LONGEST]
    failures.leave(line)
    print(line, file=sys.stderr)
    sys.exit(2)


def run(cfg: DictConfig) -> None:
    """What `lada compress` does with a composed config; under ``-m``, start a job for it."""
    # Guarded here too: an error that passes through Hydra gets a line of Hydra's before ours.
    guarded(lambda: _run(cfg))


def _check_places(runtime: Any) -> None:
    """Reject a run's folder, or a working directory, that Hydra or the libraries would misread."""
    raw = OmegaConf.to_container(runtime, resolve=False)
    assert isinstance(raw, dict)
    for name in ("cwd", "output_dir"):
        if "${" in str(raw[name]):
            raise LadaError(IN_A_PLACE)
        if not is_unicode(str(raw[name])):
            raise LadaError(f"{raw[name]}: is not valid UTF-8. {ANOTHER}")


def _run(cfg: DictConfig) -> None:
    hydra = HydraConfig.get()
    _check_places(hydra.runtime)
    if hydra.mode == RunMode.MULTIRUN:
        with terminable():
            run_job(cfg)
        return
    fresh = Path(hydra.runtime.output_dir)
    named = any(o.startswith("hydra.run.dir") for o in hydra.overrides.hydra)
    overrides = list(hydra.overrides.task)
    try:
        config = check(cfg)
        processes = processes_of(config.trainer)
        check_processes(processes)
        with terminable():
            if processes.ddp and not is_launched():
                folder = choose_folder(config, fresh, named)
                command = [*again(), *child_arguments(overrides, folder)]
                code = launch(command, processes_here(processes), folder / PROCESSES)
                if not run_state(folder):  # refused: leave nothing behind
                    shutil.rmtree(folder / PROCESSES, ignore_errors=True)
                sys.exit(code)
            world = join(processes)
            found = str(choose_folder(config, fresh, named)) if world.first else ""
            _set_up_logging(config, world)
            done = compress(config, Path(world.share(found)), overrides, world, named=named)
            if done is not None:
                _tell(*done, submitted=config.submit)
    finally:
        if fresh.is_dir() and not any(fresh.iterdir()):  # refused before anything was made
            fresh.rmdir()


def _set_up_logging(config: Config, world: World) -> None:
    """Show on the terminal what the run logs, and no bars of models that are loaded or written."""
    hf_logging.disable_progress_bar()
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    level = logging.WARNING if config.callbacks.progress == "none" else logging.INFO
    log.setLevel(level if world.first else logging.ERROR)  # the first process warns for all


def _tell(folder: Path, record: dict[str, Any], *, submitted: bool) -> None:
    """Print what a run came to, and where it is."""
    Console().print(run_table(record))
    print(f"artifact: {folder / ARTIFACT}\nrecord:   {folder / RESULTS}")
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

    An unfinished run of the same config in ``folder`` is gone on with, if ``resume`` allows it.

    Args:
        overrides: the command line, for the record.
        world: the processes that do it together.
        named: whether ``folder`` and no other will do.
        examples: in place of the files of task=csv.

    Returns:
        The folder that the run took, and its record (also in ``results.json`` there); None in all
        processes but the first.

    Raises:
        LadaError: something a user can mend; before training, where it can be known before.
    """
    if config.trainer.threads is not None:
        torch.set_num_threads(config.trainer.threads)
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
    go_on = config.resume != "never"
    with ExitStack() as stack:
        with world.only_first():
            if world.first:
                claim = claimed(folder, config, go_on=go_on, named=named)
                folder = stack.enter_context(claim)
        folder = Path(world.share(str(folder)))
        record = _do(job, folder, world, seconds)
    return None if record is None else (folder, record)


def _do(job: Job, folder: Path, world: World, seconds: dict[str, float]) -> dict[str, Any] | None:
    config = job.config
    out = folder / ARTIFACT
    content: dict[str, str | None] = {
        "the training examples": job.data.train.digest,
        "the validation examples": job.data.validation.digest,
    }
    pretrained = getattr(config.method, "path", None)
    if pretrained is not None:
        content["method.path"] = model_digest(Path(pretrained))
    # Looked at before the teacher too: nobody should wait for one only to be refused.
    about = describe("student", determining(plain(config)), content, job.machine, world)
    pick_checkpoint(config.resume, folder / CHECKPOINTS, about, world)
    with _timed(seconds, "teacher"):
        teacher = get_teacher(job, world)
    # What its students could not be stored with is said before one is trained.
    artifact.check_storable(teacher.model, job.tokenizer, about_artifact(job))
    about["content"]["the teacher"] = model_digest(teacher.folder)
    noted, outputs, source = run_state(folder).get("teacher"), None, UNUSED
    if job.method.taught:
        with _timed(seconds, "teacher outputs"):
            cache = TeacherCache(job, teacher)
            outputs = cache.get(noted, world)
        source = LIVE if outputs is None else KEPT
    if world.first and noted is None:
        note(folder, teacher=source)
    checkpoint = pick_checkpoint(config.resume, folder / CHECKPOINTS, about, world)
    if checkpoint is not None:
        log.info("resume: going on from %s", checkpoint)
        warn_of_other_machine(checkpoint, about)
    if world.first:
        drop_later(folder / CHECKPOINTS, checkpoint)
    step = None if checkpoint is None else step_of(checkpoint)
    run_id = str(run_state(folder)["id"])
    with logging_to(
        config.logger.name,
        folder,
        project=config.logger.project,
        config=plain(config),
        run_id=run_id,
        step=step,
        first=world.first,
    ) as logger:
        with _timed(seconds, "compression"):
            student, best = _fit(job, folder, teacher, outputs, logger, about, checkpoint)
        if not world.first:
            return None
        with _timed(seconds, "artifact"):
            model, values = move_(student, "cpu"), config.artifact.values
            artifact.save(model, job.tokenizer, out, about_artifact(job), values=values)
        with _timed(seconds, "evaluation"):
            found = evaluate(job, teacher, folder)
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
        _tell_logger(logger, record)
        write_json(folder / RESULTS, record)
    return record


@contextmanager
def _timed(seconds: dict[str, float], phase: str) -> Iterator[None]:
    started = time.monotonic()
    yield
    seconds[phase] = round(time.monotonic() - started, 1)


def build_module(job: Job, teacher: BertForSequenceClassification, *, live: bool) -> StudentModule:
    """The student, before its first round, and how it learns.

    Args:
        live: whether the teacher runs beside it (see `StudentModule`).
    """
    config, o = job.config, job.config.optim
    return StudentModule(
        job.method,
        job.method.build(teacher, job.plan),
        teacher,
        total_steps=job.steps,
        seed=config.seed,
        optimizer={
            "lr": o.lr,
            "weight_decay": o.weight_decay,
            "betas": (o.beta1, o.beta2),
            "eps": o.eps,
        },
        warmup=o.warmup,
        clip=o.clip,
        max_nonfinite=job.machine.skips,
        renewals=job.renewals,
        compiled=config.compile,
        live=live,
    )


def build_examples(job: Job, outputs: TeacherOutputs | None) -> ExamplesModule:
    """The training and validation examples of the student.

    Args:
        outputs: the teacher's on the training examples, where they are stored.
    """
    return ExamplesModule(
        job.train,
        job.validation,
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
) -> tuple[PreTrainedModel, float]:
    """Compress and distil; gives the best weights of the final round, their validation accuracy."""
    if not job.method.trained:
        student = job.method.build(teacher.model, job.plan)
        logits = predict(student, job.validation, job.tokenizer.pad_token_id, job.device)
        return student, score(logits, job.validation.labels, ("accuracy",))["accuracy"]
    live = job.method.taught and outputs is None
    module = build_module(job, teacher.model, live=live)
    best = fit_student(
        loop_of(job.config, job.machine, Length(job.steps, job.interval, job.epochs)),
        folder / CHECKPOINTS,
        module,
        build_examples(job, outputs),
        compression=Compression(module.model, job.method, job.plan, job.at),
        logger=logger,
        about=about,
        resume=checkpoint,
    )
    return module.model, best


def _tell_logger(logger: Any, record: dict[str, Any]) -> None:
    """The final figures beside the curves."""
    final = {"final/ratio": record["reached"], "final/bytes": record["artifact"]["stored_bytes"]}
    for split, found in record["artifact"]["scores"].items():
        for metric in ("accuracy", "mcc", "macro_f1"):
            final[f"final/{split}_{metric}"] = found[metric]
    logger.log_metrics(final, step=record["steps"])
    logger.save()  # fit has closed its books already
