"""The description of a run in its record and in its artifact."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lada import artifact
from lada.config import plain
from lada.config.whole import keys
from lada.data.augment import count_changed
from lada.data.split import given_digest
from lada.nn.families import POOLER
from lada.nn.pretrained import model_digest
from lada.nn.surgery import inventory
from lada.nn.trim import trimmed_inventory
from lada.nn.weights import weight_files
from lada.ops.plan import Plan
from lada.probe import peak_bytes
from lada.program import typed
from lada.report.majority import warnings
from lada.report.record import command_line, start_of, without_paths
from lada.run.job import Job
from lada.run.teacher import Teacher
from lada.run.vocabulary import about_vocabulary


def about_artifact(job: Job) -> dict[str, Any]:
    """The description of an artifact in its config.json."""
    return {
        "method": job.config.method.name,
        "task": job.data.task,
        "target": job.plan.target,
        "ratio": job.plan.rounds[-1].ratio,
        "max_length": job.config.task.max_length,
        "pairs": job.data.train.pairs is not None,
        "kind": job.head.name,
        **job.head.about(),
    }


def make_record(
    job: Job,
    folder: Path,
    teacher: Teacher,
    *,
    best: float,
    found: dict[str, Any],
    seconds: dict[str, float],
    resumed: bool,
    outputs: str,
    processes: int,
) -> dict[str, Any]:
    """The content of ``results.json``; it has no path of this machine.

    Args:
        folder: of the run, with its artifact.
        best: deciding score on the validation split of the weights in the artifact.
        found: see `lada.run.scoring.evaluate`.
        seconds: of each phase.
        resumed: whether the run was resumed from a checkpoint; then ``seconds`` are those since.
        outputs: the source of the teacher's outputs.
        processes: number of processes that trained it together.
    """
    config, scores = plain(job.config), found["scores"]
    sizes = artifact.measure(folder / "artifact")
    dense = sum(p.numel() for p in teacher.model.parameters())
    splits = {"train": job.data.train, "validation": job.data.validation, **job.data.dev}
    paths = [name for name, key in keys().items() if key.path]
    rounds = zip(job.at, job.plan.rounds, strict=True)
    return {
        "command": command_line(job.overrides, paths, typed()),
        "config": without_paths(config, paths),
        "start": start_of(config["method"]),
        "seed": job.config.seed,
        "machine": job.machine.about() | {"processes": processes},
        "precision": job.machine.precision,
        "data": {n: {"rows": len(s), "sha256": s.digest} for n, s in splits.items()}
        | _unlabeled(job)
        | _copies(job)
        | _given(job),
        "target": job.plan.target,
        "reached": dense / sizes["nonzeros"],
        "plan": {
            "fractions": vars(job.plan.fractions) if job.plan.fractions else None,
            "delta": job.plan.delta,
            "rounds": [{"step": step, "ratio": r.ratio} for step, r in rounds],
            **(_last_ranks(job.plan) if job.plan.spectral else {}),
        },
        "pairs": job.data.train.pairs is not None,
        "kind": job.head.name,
        "family": job.family,
        "metrics": list(job.head.metrics),
        "labels": list(job.data.labels),
        "warnings": [
            *warnings(
                {who: scores[who] for who in ("artifact", "teacher")},
                job.data.labels,
                job.head.deciding,
            ),
            *too_large(job.config.target.mb, sizes["stored_bytes"]),
        ],
        **({"left_out": list(job.left_out)} if job.left_out else {}),
        **({} if job.head.kind.labelled else {"vectors": job.head.about()}),
        **_trimmed(job, teacher),
        **_vocabulary(job),
        "teacher_outputs": outputs,
        "steps": job.steps,
        "epochs": round(job.epochs, 4),
        "resumed": resumed,
        "seconds": seconds,
        **{name: value for name, value in found.items() if name != "scores"},
        "peak_bytes": {"process": peak_bytes()} | _peak_of_gpu(),
        "teacher": {
            **{k: v for k, v in teacher.record.items() if k != "parts"},
            "scores": scores["teacher"],
            "base_sha256": model_digest(job.base),
            "parameters": dense,
            "nonzeros": dense,
            "stored_bytes": sum(file.stat().st_size for file in weight_files(teacher.folder)),
        },
        # Computed in float32: digits after the seventh are noise.
        "artifact": {
            "validation_score": round(best, 7),
            "scores": scores["artifact"],
            **sizes,
        },
    }


def too_large(most: float | None, stored: int) -> list[str]:
    """A line if the file has more bytes than were asked for.

    Args:
        most: megabytes, of 10^6 bytes.
        stored: bytes of the file.
    """
    if most is None or stored <= most * 1e6:
        return []
    least = math.floor(most * most * 1e6 / stored * 1000) / 1000
    return [
        f"the file has {stored / 1e6:.3f} MB, more than the {most:g} MB that were asked for and "
        f"expected; target.mb={least:g} should do"
    ]


def _trimmed(job: Job, teacher: Teacher) -> dict[str, Any]:
    """What the artifact has less of than its teacher, where that is more than matrices."""
    if getattr(job.config.method, "whole", "paper") == "paper":
        return {}
    length = job.config.task.max_length
    removed = trimmed_inventory(teacher.model, length).removed
    pooler = POOLER in inventory(teacher.model).whole
    if not removed and not pooler:
        return {}  # there was nothing to trim
    positions = length if removed else None
    return {"trimmed": {"positions": positions, "removed": removed, "pooler": pooler}}


def _last_ranks(plan: Plan) -> dict[str, Any]:
    """The ranks of all matrices at the end."""
    return {"ranks": {name: ranks[-1] for name, ranks in plan.ranks.items()}}


def _vocabulary(job: Job) -> dict[str, Any]:
    """How many tokens the artifact has, if they are fewer than its teacher's."""
    if job.fewer is None:
        return {}
    return {"vocabulary": about_vocabulary(job.fewer, job.tokenizer, job.dev)}


def _unlabeled(job: Job) -> dict[str, Any]:
    """How many texts without labels there are, and the name of their file."""
    found, file = job.data.unlabeled, job.config.task.unlabeled_file
    if found is None or file is None:
        return {}
    rows = {"rows": len(found), "sha256": found.digest, "file": Path(file).name}
    return {"unlabeled": rows}


def _copies(job: Job) -> dict[str, Any]:
    """How many changed copies of training examples there are, and what chose their words."""
    if job.copies is None:
        return {}
    found: dict[str, Any] = {"rows": len(job.copies), "sha256": job.copies.digest}
    found["changed"] = count_changed(job.copies, job.data.train)
    return {"augmented": found | {"by": "neighbours" if job.config.data.mlm is None else "mlm"}}


def _given(job: Job) -> dict[str, Any]:
    """How many examples have what another model says of them, and its weight."""
    digest, given = given_digest(job.data), job.learned.given
    if digest is None or given is None:
        return {}
    count = int((~np.isnan(given[:, 0])).sum())
    weight = job.config.task.given_weight
    return {"probabilities": {"rows": count, "sha256": digest, "weight": weight}}


def _peak_of_gpu() -> dict[str, int]:
    used = torch.cuda.max_memory_allocated() if torch.cuda.is_available() else 0
    return {"cuda": used} if used else {}
