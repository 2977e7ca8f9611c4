"""The scores and answers of teacher and artifact on each dev split, computed once per run."""

from pathlib import Path
from typing import Any

from lada import artifact
from lada.bench import time_pair
from lada.nn.capture import set_attention
from lada.nn.early_exit import EarlyExit
from lada.report.predictions import PREDICTIONS, write_predictions
from lada.run.job import Job
from lada.run.teacher import Teacher
from lada.training.evaluate import predict, predict_exits, score, score_exits


def evaluate(job: Job, teacher: Teacher, folder: Path) -> dict[str, Any]:
    """Score the teacher, and the artifact as read back from its file, once on each dev split.

    Their answers to all examples are written into ``folder``, that of the run.

    Returns:
        "scores": by "teacher" and "artifact", and by split; "speed": the times of both (see
        `lada.bench.time_pair`); for an artifact with early exits "exits" by split (see
        `lada.training.evaluate.score_exits`).
    """
    set_attention(teacher.model, None)
    found: dict[str, dict[str, Any]] = {"teacher": {}, "artifact": {}}
    labels = {split: rows.labels for split, rows in job.dev.items()}
    classes: dict[str, dict[str, Any]] = {"teacher": {}, "artifact": {}, "labels": labels}
    models = {"teacher": teacher.model.eval(), "artifact": artifact.load(folder / "artifact").model}
    pad, exits = job.tokenizer.pad_token_id, {}
    for name, model in models.items():
        for split, rows in job.dev.items():
            logits = predict(model, rows, pad, job.device)
            found[name][split] = score(logits, rows.labels, job.data.metrics)
            classes[name][split] = logits.argmax(-1).numpy()
            if isinstance(model, EarlyExit):
                every = predict_exits(model, rows, pad, job.device)
                exits[split] = score_exits(every, rows.labels, model.config.exit_threshold)
    write_predictions(folder / PREDICTIONS, classes)
    dense, small = (model.to("cpu") for model in models.values())
    speed = time_pair(dense, small, job.config.task.max_length)
    return {"scores": found, "speed": speed} | ({"exits": exits} if exits else {})
