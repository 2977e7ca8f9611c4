"""The scores and answers of teacher and artifact on each dev split, computed once per run."""

from pathlib import Path
from typing import Any

from transformers import PreTrainedModel

from lada import artifact
from lada.bench import time_pair
from lada.data.tokens import Encoded
from lada.heads.base import Found, Head
from lada.nn.capture import set_attention
from lada.nn.early_exit import EarlyExit
from lada.report.predictions import PREDICTIONS, write_predictions
from lada.run.details import write_details
from lada.run.job import Job
from lada.run.pace import dev_work
from lada.run.teacher import Teacher
from lada.training.evaluate import predict, predict_exits, score_exits
from lada.training.pace import EVALUATION, Pace


def outputs_of(job: Job, model: PreTrainedModel, examples: Encoded) -> Found:
    """The outputs of a model for the examples of a split, see `lada.training.evaluate.predict`."""
    return predict(model, job.head, examples, job.tokenizer.pad_token_id, job.device)


def evaluate(job: Job, teacher: Teacher, folder: Path, pace: Pace | None = None) -> dict[str, Any]:
    """Score the teacher, and the artifact as read back from its file, once on each dev split.

    Their answers to all examples are written into ``folder``, that of the run, and with them what
    report.html shows beyond the record.

    Args:
        pace: is told how much of it is done.

    Returns:
        "scores": by "teacher" and "artifact", and by split; "speed": the times of both (see
        `lada.bench.time_pair`); for an artifact with early exits "exits" by split (see
        `lada.training.evaluate.score_exits`).
    """
    set_attention(teacher.model, None)
    found: dict[str, dict[str, Any]] = {"teacher": {}, "artifact": {}}
    units: dict[str, dict[str, Any]] = {"teacher": {}, "artifact": {}}
    read = artifact.load(folder / "artifact")
    heads = {"teacher": _tuned_for(job, teacher.model), "artifact": job.head.restored(read.about)}
    models = {"teacher": teacher.model.eval(), "artifact": read.model}
    reading = {"teacher": job, "artifact": job.of_student()}
    exits = {}
    given: dict[str, dict[str, Found]] = {split: {} for split in job.data.dev}
    if pace is not None:
        pace.begin()
    for name, model in models.items():
        for split, rows in reading[name].dev.items():
            outputs, examples = outputs_of(reading[name], model, rows), job.data.dev[split]
            given[split][name] = outputs
            head = heads[name].compared_with(given[split]["teacher"], examples)  # it is the first
            found[name][split] = head.score(outputs, rows, examples)
            units[name][split] = head.units(outputs, rows, examples)
            if isinstance(model, EarlyExit):
                pad = job.tokenizer.pad_token_id
                every = predict_exits(model, rows, pad, job.device)
                exits[split] = score_exits(every, rows.labels, model.config.exit_threshold)
            if pace is not None:
                pace.did(EVALUATION, dev_work(rows, name))
    if job.head.name == "single_label":  # the file has each label once
        for name in models:
            units["labels"] = {split: both[:, 1] for split, both in units[name].items()}
            units[name] = {split: both[:, 0] for split, both in units[name].items()}
    write_predictions(folder / PREDICTIONS, units)
    dense, small = (model.to("cpu") for model in models.values())
    speed = time_pair(dense, small, job.config.task.max_length)
    write_details(job, folder, dense, heads, given)
    return {"scores": found, "speed": speed} | ({"exits": exits} if exits else {})


def _tuned_for(job: Job, model: PreTrainedModel) -> Head:
    """The head with what is chosen on the validation split for a model."""
    if not job.head.tunes:
        return job.head
    outputs = outputs_of(job, model, job.validation)
    return job.head.tuned(outputs, job.validation, job.data.validation)
