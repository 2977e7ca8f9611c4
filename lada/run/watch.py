"""What a dashboard is told of a run: how it is found, and what came out of it."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lada.config import plain
from lada.config.whole import keys
from lada.program import GROUP
from lada.report.entries import Made, Source
from lada.report.page.load import DETAILS
from lada.report.predictions import PREDICTIONS, read_units
from lada.report.record import without_paths
from lada.report.watched import at_end, safe, summary
from lada.run.job import Job
from lada.training.dashboards import About, Dashboard

JOB = "compress"
"""What kind of a run it is, among others of a project."""


def about_run(job: Job, run_id: str) -> About:
    """How a run is found: by task, method and target, and in the group of its sweep."""
    config = job.config
    paths = [name for name, key in keys().items() if key.path]
    name = "-".join([*_names(job), f"seed{config.seed}"])
    return About(
        id=run_id,
        project=config.logger.project,
        name=name,
        group=os.environ.get(GROUP),
        tags=(*_names(job), config.model.name, job.head.name, config.artifact.values),
        job=JOB,
        config=without_paths(plain(config), paths),
    )


def tell_end(dashboard: Dashboard, job: Job, folder: Path, record: Mapping[str, Any]) -> None:
    """Log the entries at the end of a run, its final figures, and its model.

    Args:
        folder: of the run.
    """
    details, step = folder / DETAILS, record["steps"]
    found = json.loads(details.read_text(encoding="utf-8")) if details.is_file() else {}
    labels = job.data.labels if job.head.name == "single_label" else ()
    dashboard.log_entries(at_end(found, read_units(folder / PREDICTIONS), labels), step)
    dashboard.finish(summary(record), _made(job, folder, record), step)


def _names(job: Job) -> tuple[str, ...]:
    """Task, method and target."""
    target = job.plan.target
    size = () if target is None else (f"{target:.3g}x",)
    return (job.config.task.name, job.config.method.name, *size)


def _made(job: Job, folder: Path, record: Mapping[str, Any]) -> Made:
    teacher, figures = record["teacher"], summary(record)
    digests = {split: about["sha256"] for split, about in record["data"].items()}
    # A teacher that was given has no key; the digest identifies what it was made from.
    key = str(teacher.get("key", teacher["base_sha256"]))[:16]
    return Made(
        name=safe("-".join(_names(job))),
        aliases=("latest", f"seed{record['seed']}", job.config.artifact.values),
        about=figures | {"teacher": key, "data": digests},
        folder=folder / "artifact",
        sources=(
            Source(
                safe(f"teacher-{job.config.task.name}-{key}"),
                "teacher",
                {
                    "key": key,
                    "base_sha256": teacher["base_sha256"],
                    "scores": teacher["scores"],
                    "parameters": teacher["parameters"],
                },
            ),
            Source(safe(f"data-{job.config.task.name}"), "dataset", digests),
        ),
    )
