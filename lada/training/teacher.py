"""The teacher: from a folder, or fine-tuned once and kept under a key of all it depends on."""

import hashlib
import json
import logging
import math
import os
import shutil
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock
from lightning.pytorch.callbacks import ModelCheckpoint
from transformers import BertForSequenceClassification

from lada.config import Config
from lada.data.split import TaskData
from lada.data.tokens import Encoded
from lada.errors import LadaError
from lada.nn.pretrained import load_classifier, model_digest
from lada.training.datamodule import RowsModule
from lada.training.device import pick_accelerator, pick_precision
from lada.training.evaluate import predict, score
from lada.training.fit import count_steps, fit, make_trainer
from lada.training.modules import TeacherModule

log = logging.getLogger("lada")

FORMAT = 1
"""Raised when the training of a teacher changes, so that older ones are not taken for new."""


@dataclass(frozen=True)
class Teacher:
    """A fine-tuned classifier and what is known of it (kept in teacher.json)."""

    model: BertForSequenceClassification
    folder: Path
    record: dict[str, Any]


def teacher_key(config: Config, data: TaskData, base: Path | None) -> tuple[str, dict[str, Any]]:
    """Name of the teacher that this config trains, and all that the name is made from."""
    accelerator = pick_accelerator(config.trainer.accelerator)
    settings = asdict(config.teacher)
    for name in ("path", "margin"):  # neither changes the weights
        settings.pop(name)
    parts = {
        "format": FORMAT,
        "task": data.task,
        "labels": list(data.labels),
        "train": data.train.digest,
        "select": data.select.digest,
        "model": model_digest(base),
        "max_length": config.task.max_length,
        "settings": settings,
        "seed": config.seed,
        "accumulate": config.trainer.accumulate,
        "checks": config.trainer.checks,
        "precision": pick_precision(config.trainer.precision, accelerator),
        "device": accelerator,
    }
    text = json.dumps(parts, sort_keys=True)
    return f"{data.task}-{hashlib.sha256(text.encode()).hexdigest()[:16]}", parts


def get_teacher(
    config: Config,
    data: TaskData,
    base: Path | None,
    tokenizer: Any,
    train: Encoded,
    select: Encoded,
) -> Teacher:
    """The teacher of a run; fine-tuned now if no kept one fits. One process trains, others wait.

    Raises:
        LadaError: its classes are others than the task's, or it is near chance on `select`.
    """
    if config.teacher.path is not None:
        folder = Path(config.teacher.path)
        model = load_classifier(folder, data.labels, config.seed, fine_tuned=True)
        logits = predict(model, select, tokenizer.pad_token_id, _device(config))
        record = {"given": True, "select": score(logits, select.labels, data.metrics)}
        teacher = Teacher(model, folder, record)
    else:
        teacher = _kept_or_trained(config, data, base, tokenizer, train, select)
    _refuse_chance(teacher, select, config.teacher.margin)
    return teacher


def _device(config: Config) -> str:
    return "cuda" if pick_accelerator(config.trainer.accelerator) == "gpu" else "cpu"


def _kept_or_trained(
    config: Config,
    data: TaskData,
    base: Path | None,
    tokenizer: Any,
    train: Encoded,
    select: Encoded,
) -> Teacher:
    key, parts = teacher_key(config, data, base)
    store = Path(config.paths.teachers)
    store.mkdir(parents=True, exist_ok=True)
    folder = store / key
    with FileLock(store / f"{key}.lock"):
        if not (folder / "teacher.json").is_file():
            log.info("teacher: fine-tuning %s on %s", config.model.name, data.task)
            _train(config, data, base, tokenizer, train, select, folder, parts)
        else:
            log.info("teacher: kept one found, %s", folder)
    record = json.loads((folder / "teacher.json").read_text(encoding="utf-8"))
    model = load_classifier(folder, data.labels, config.seed, fine_tuned=True)
    return Teacher(model, folder, record)


def _train(
    config: Config,
    data: TaskData,
    base: Path | None,
    tokenizer: Any,
    train: Encoded,
    select: Encoded,
    folder: Path,
    parts: dict[str, Any],
) -> None:
    """Fine-tune, keep the best check on `select`, write under a temporary name, rename."""
    started = time.monotonic()
    t = config.teacher
    # Lightning leaves modules in the mode they come in, and loaded ones come in eval mode.
    model = load_classifier(base, data.labels, config.seed).train()
    batch = max(1, t.batch_size // config.trainer.accumulate)
    rows = RowsModule(
        train,
        select,
        batch_size=batch,
        pad_id=tokenizer.pad_token_id,
        seed=config.seed,
        workers=config.data.workers,
    )
    steps, interval = count_steps(
        math.ceil(len(train) / batch), t.epochs, config.trainer.accumulate, config.trainer.checks
    )
    module = TeacherModule(
        model,
        total_steps=steps,
        seed=config.seed,
        optimizer={"lr": t.lr, "weight_decay": t.weight_decay},
        warmup=t.warmup,
        clip=1.0,
    )
    temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        best = ModelCheckpoint(
            temporary, "best", monitor="select/accuracy", mode="max", save_weights_only=True
        )
        trainer = make_trainer(
            config.trainer,
            steps=steps,
            interval=interval,
            phase="teacher",
            progress=config.callbacks.progress,
            folder=temporary,
            callbacks=[best],
        )
        fit(trainer, module, rows)
        weights = torch.load(best.best_model_path, weights_only=True)["state_dict"]
        module.load_state_dict(weights)
        os.remove(best.best_model_path)
        logits = predict(module.model, select, tokenizer.pad_token_id, _device(config))
        record = {
            "given": False,
            "key": folder.name,
            "parts": parts,
            "steps": steps,
            "seconds": round(time.monotonic() - started, 1),
            "select": score(logits, select.labels, data.metrics),
        }
        module.model.to("cpu").save_pretrained(temporary)
        tokenizer.save_pretrained(temporary)
        temporary.chmod(0o755)  # mkdtemp's folder is closed to others, a store may be shared
        (temporary / "teacher.json").write_text(json.dumps(record, indent=2), encoding="utf-8")
        if folder.exists():  # half-written by something else: no teacher.json in it
            shutil.rmtree(folder)
        os.replace(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _refuse_chance(teacher: Teacher, select: Encoded, margin: float) -> None:
    majority = float(np.bincount(select.labels).max() / len(select))
    accuracy = teacher.record["select"]["accuracy"]
    if accuracy < majority + margin / 100 * (1 - majority):
        raise LadaError(
            f"the teacher scores {100 * accuracy:.1f} % on select where the largest class alone "
            f"is {100 * majority:.1f} %: near chance, nothing to distil; train it longer "
            "(teacher.epochs, teacher.lr), check its labels, or lower teacher.margin"
        )
