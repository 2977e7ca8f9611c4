"""The teacher: from a folder, or fine-tuned once and stored under a key of all its inputs."""

import json
import logging
import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from filelock import FileLock, Timeout
from safetensors import SafetensorError
from torch import Tensor
from transformers import PreTrainedModel

from lada.data.tokens import Encoded
from lada.errors import LadaError
from lada.files import apply_umask, temporary_folder
from lada.heads.base import Found
from lada.nn.device import move_
from lada.nn.pretrained import load_classifier, model_digest
from lada.run.identity import teacher_key
from lada.run.job import Job
from lada.run.length import teacher_length
from lada.run.machine import loop_of
from lada.run.pace import check, expect_outputs, teacher_step
from lada.run.resume import describe, pick_checkpoint, warn_of_other_machine
from lada.training.checkpoints import Checkpoints, drop_later, load_weights, step_of
from lada.training.datamodule import ExamplesModule
from lada.training.evaluate import predict
from lada.training.fit import fit, make_trainer
from lada.training.modules import TeacherModule
from lada.training.order import likely_order
from lada.training.pace import Pace, Paced, checks_of, steps_of
from lada.training.processes import World

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

log = logging.getLogger("lada")


@dataclass(frozen=True)
class Teacher:
    """A fine-tuned classifier and its record (stored in teacher.json)."""

    model: PreTrainedModel
    folder: Path
    record: dict[str, Any]


def get_teacher(job: Job, world: World, pace: Pace | None = None) -> Teacher:
    """The teacher of a run; fine-tuned now if no stored one fits. One run trains, others wait.

    Args:
        pace: is told how much of it is done.

    Raises:
        LadaError: its classes differ from the task's or are in another order, or it is near chance
            on the validation split.
        Stopped: by Ctrl-C or SIGTERM; a later run resumes the training.
    """
    config, data, validation = job.config, job.data, job.validation
    if config.teacher.path is not None:
        folder = Path(config.teacher.path)
        model = _classifier(job, folder)
        outputs = predict(model, job.head, validation, job.tokenizer.pad_token_id, job.device)
        teacher = Teacher(model, folder, {"given": True, "validation": _score(job, outputs)})
        if job.head.name == "single_label":
            assert isinstance(outputs, Tensor)
            _check_order(teacher, outputs, validation, data.labels, config.teacher.margin)
    elif job.head.kind.labelled or job.base is None:
        teacher = _stored_or_trained(job, world, pace)
    else:
        teacher = _as_it_is(job, job.base)
    _reject_chance(teacher, job)
    return teacher


def _as_it_is(job: Job, folder: Path) -> Teacher:
    """The pretrained model: without labels there is nothing to fine-tune it on.

    Args:
        folder: of the model.
    """
    model = _pretrained(job)
    outputs = predict(model, job.head, job.validation, job.tokenizer.pad_token_id, job.device)
    return Teacher(model, folder, {"given": False, "validation": _score(job, outputs)})


def _pretrained(job: Job) -> PreTrainedModel:
    kind = job.head.kind
    found: PreTrainedModel = load_classifier(
        job.base, job.data.labels, job.config.seed, problem=kind.problem, auto=kind.auto
    )
    return found


def _classifier(job: Job, folder: Path) -> PreTrainedModel:
    """A fine-tuned model, from its folder."""
    kind = job.head.kind
    found: PreTrainedModel = load_classifier(
        folder,
        job.data.labels,
        job.config.seed,
        fine_tuned=True,
        problem=kind.problem,
        auto=kind.auto,
    )
    return found


def _score(job: Job, outputs: Found) -> dict[str, Any]:
    """The scores of a teacher on the validation split."""
    head = job.head.tuned(outputs, job.validation, job.data.validation)
    head = head.compared_with(outputs, job.data.validation)
    return head.score(outputs, job.validation, job.data.validation)


def _stored_or_trained(job: Job, world: World, pace: Pace | None) -> Teacher:
    config, data = job.config, job.data
    key, parts = teacher_key(config, job.machine, data, job.base, world.size)
    store = Path(config.paths.teachers)
    store.mkdir(parents=True, exist_ok=True)
    folder = store / key
    lock = FileLock(store / f"{key}.lock")
    if world.first:
        _acquire(lock)
    try:
        if world.share(_is_whole(folder)):
            log.info("teacher: stored one found, %s", folder)
        elif not job.head.kind.labelled:
            if world.first:  # the tiny model, which has no folder yet
                found = _as_it_is(job, folder)
                record = found.record | {"key": key, "parts": parts}
                _keep(found.model, job.tokenizer, record, folder)
        else:
            log.info("teacher: fine-tuning %s on %s", config.model.name, data.task)
            _train(job, folder, parts, world, pace)
        world.barrier()
    finally:
        lock.release()
    if pace is not None:
        pace.left.finish(steps_of("teacher"))
        pace.left.finish(checks_of("teacher"))
    record = json.loads((folder / "teacher.json").read_text(encoding="utf-8"))
    if "select" in record:  # stored by an older version
        record["validation"] = record.pop("select")
    model = _classifier(job, folder)
    return Teacher(model, folder, record)


def _acquire(lock: FileLock) -> None:
    try:
        lock.acquire(timeout=0)
    except Timeout:
        log.info("teacher: another run is training it; waiting")
        lock.acquire()


def _is_whole(folder: Path) -> bool:
    """Whether there is a stored teacher whose files are intact."""
    try:
        record = json.loads((folder / "teacher.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    if isinstance(record, dict) and record.get("sha256") == model_digest(folder):
        return True
    log.warning("teacher: %s is corrupt and is made again", folder)
    return False


def _train(job: Job, folder: Path, parts: dict[str, Any], world: World, pace: Pace | None) -> None:
    """Fine-tune, take the weights that validate best, write under a temporary name, rename.

    The checkpoints are in a folder next to it; a training that was stopped resumes from them.
    """
    started = time.monotonic()
    config, t = job.config, job.config.teacher
    # Lightning does not change the mode of modules, and loaded ones are in eval mode.
    model = _pretrained(job).train()
    if pace is not None:
        expect_outputs(pace, job, model.config)
    examples = ExamplesModule(
        job.train,
        job.validation,
        job.data.validation,
        batch_size=t.batch_size,
        pad_id=job.tokenizer.pad_token_id,
        seed=config.seed,
        workers=job.machine.workers,
    )
    length = teacher_length(config, len(job.train))
    log.info("teacher: %d steps, %.3g epochs", length.steps, length.epochs)
    module = TeacherModule(
        model,
        head=job.head,
        total_steps=length.steps,
        seed=config.seed,
        optimizer={"lr": t.rate, "weight_decay": t.weight_decay},
        warmup=t.warmup,
        clip=1.0,
        max_nonfinite=job.machine.skips,
    )
    partial = folder.with_name(f".{folder.name}-partial")
    if world.first:
        if config.resume == "never":
            shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(exist_ok=True)
    world.barrier()
    about = describe("teacher", parts, {}, job.machine, world)
    loop = loop_of(config, job.machine, length)
    kept = Checkpoints(partial, about, minutes=loop.minutes, keep=loop.keep)
    checkpoint = pick_checkpoint("auto", partial, about, world)
    if world.first:
        drop_later(partial, checkpoint)
    if checkpoint is not None:
        log.info("teacher: resuming after step %d", step_of(checkpoint))
        warn_of_other_machine(checkpoint, about)
    paced = None if pace is None else Paced(pace, "teacher", teacher_step(job), check(job))
    trainer = make_trainer(loop, phase="teacher", folder=partial, callbacks=[kept], paced=paced)
    fit(trainer, module, examples, resume=checkpoint)
    kept.obey(trainer)
    if not world.first:
        return
    assert kept.best_name is not None
    load_weights(partial / kept.best_name, module)
    outputs = predict(
        module.model, job.head, job.validation, job.tokenizer.pad_token_id, job.device
    )
    record = {
        "given": False,
        "key": folder.name,
        "parts": parts,
        "steps": length.steps,
        "epochs": round(length.epochs, 4),
        "seconds": round(time.monotonic() - started, 1),
        "validation": _score(job, outputs),
    }
    _keep(move_(module.model, "cpu"), job.tokenizer, record, folder)
    shutil.rmtree(partial, ignore_errors=True)


def _keep(
    model: PreTrainedModel,
    tokenizer: "PreTrainedTokenizerFast",
    record: dict[str, Any],
    folder: Path,
) -> None:
    """Write a teacher to the store, atomically."""
    for left in folder.parent.glob(f".{folder.name}-new-*"):  # of a killed run; the lock is held
        shutil.rmtree(left, ignore_errors=True)
    temporary = temporary_folder(folder.with_name(f"{folder.name}-new"))
    try:
        model.save_pretrained(temporary)
        tokenizer.save_pretrained(temporary)
        apply_umask(temporary)
        record["sha256"] = model_digest(temporary)
        (temporary / "teacher.json").write_text(json.dumps(record, indent=2), encoding="utf-8")
        if folder.exists():  # corrupt, or not a teacher
            shutil.rmtree(folder)
        os.replace(temporary, folder)
    except SafetensorError as error:  # not an OSError, even if the system raised one
        raise LadaError(
            f"{folder}: the teacher cannot be stored ({error}). Free disk space."
        ) from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _majority(validation: Encoded) -> float:
    return float(np.bincount(validation.labels).max() / len(validation))


def _least(validation: Encoded, margin: float) -> float:
    """The accuracy that a teacher must have: ``margin`` percent of the way from chance to 1."""
    majority = _majority(validation)
    return majority + margin / 100 * (1 - majority)


def _check_order(
    teacher: Teacher, logits: Tensor, validation: Encoded, names: Sequence[str], margin: float
) -> None:
    """Warn or raise if a given teacher's answers are right with its classes in another order."""
    order, better = likely_order(logits, validation.labels)
    accuracy = teacher.record["validation"]["accuracy"]
    if better < accuracy + 0.1:
        return
    changed = [(label, output) for label, output in enumerate(order) if label != output]
    line = (
        f"teacher.path={teacher.folder}: {100 * accuracy:.1f} % on the validation split, but "
        f"{100 * better:.1f} % with its classes in another order: what it calls "
        f"{', '.join(f'{names[output]} is {names[label]}' for label, output in changed[:20])}. "
        "Correct id2label and label2id in its config.json."
    )
    least = _least(validation, margin)
    inverted = better > _majority(validation) and better >= accuracy + 0.3
    if accuracy < least and (better >= least or inverted):
        raise LadaError(line)
    if accuracy >= least:
        log.warning(line)


def _reject_chance(teacher: Teacher, job: Job) -> None:
    metric, margin = job.head.chosen_by, job.config.teacher.margin
    score = teacher.record["validation"][metric.name]
    floor = job.head.floor(job.data.validation)
    if score >= floor + margin / 100 * (1 - floor):
        return
    if metric.name == "accuracy":
        said = (
            f"the teacher scores {metric.shown(score)} % on the validation split, where the "
            f"largest class alone is {metric.shown(floor)} %: near chance, nothing to distil"
        )
    else:
        said = (
            f"the teacher's {metric.title} on the validation split is {metric.shown(score)}: near "
            "chance, nothing to distil"
        )
    if teacher.record["given"]:
        raise LadaError(
            f"teacher.path={teacher.folder}: {said}. Check that it is a teacher of this task, with "
            "its own tokenizer, or lower teacher.margin."
        )
    raise LadaError(
        f"{said}. Train it longer (teacher.steps or teacher.epochs, teacher.lr), check its "
        "labels, or lower teacher.margin."
    )
