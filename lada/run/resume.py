"""The checkpoint that a training resumes from, and the checks that it may."""

import logging
from pathlib import Path
from typing import Any

from lada.errors import LadaError
from lada.report.labels import flat
from lada.run.identity import first_difference
from lada.run.machine import Machine
from lada.training.checkpoints import find_last, is_whole, read_about
from lada.training.processes import World

log = logging.getLogger("lada")

FORMAT = 4
"""Increased when a run can no longer resume from older checkpoints."""


def describe(
    kind: str,
    settings: dict[str, Any],
    digests: dict[str, str | None],
    machine: Machine,
    world: World,
) -> dict[str, Any]:
    """The description of a run in its checkpoints: plain values only.

    Args:
        kind: "teacher" or "student".
        settings: the part of the config that determines the training, flat.
        digests: of all inputs of the training, by their names in messages.
    """
    return {
        "format": FORMAT,
        "kind": kind,
        "config": settings,
        "content": digests,
        "machine": {
            **flat(machine.about()),
            "processes": world.size,
            "precision": machine.precision,
        },
    }


def pick_checkpoint(resume: str, folder: Path, about: dict[str, Any], world: World) -> Path | None:
    """The checkpoint to resume from, or None to start; process 0 chooses for all.

    Args:
        resume: "auto": the last intact one in ``folder``; "never"; or a file.
        folder: of the checkpoints of this training.
        about: the description of this run by `describe`, with the inputs known so far.

    Raises:
        LadaError: the checkpoint is of another run, or cannot be read.
    """
    path = None
    with world.only_first():
        if world.first and resume != "never":
            path = find_last(folder) if resume == "auto" else Path(resume)
            if path is not None:
                _reject_other(path, about)
    found = world.share("" if path is None else str(path))
    return Path(found) if found else None


def _reject_other(path: Path, about: dict[str, Any]) -> None:
    theirs = _read_about(path)
    for part in ("format", "kind"):
        if theirs.get(part) != about[part]:
            raise LadaError(
                f"{path}: its {part} is {theirs.get(part)}, that of this run is {about[part]}. "
                "Give another checkpoint, or resume=never."
            )
    difference = first_difference(theirs["config"], about["config"])
    if difference is not None:
        raise LadaError(
            f"{path}: was made with {difference}. Give the same settings, or resume=never."
        )
    for name, digest in about["content"].items():
        if theirs["content"].get(name) != digest:
            raise LadaError(
                f"{path}: the content of {name} has changed since it was saved. Restore the old "
                "content, or start again with resume=never."
            )


def warn_of_other_machine(path: Path, about: dict[str, Any]) -> None:
    """Warn once if the checkpoint was saved on a machine whose arithmetic may differ."""
    theirs = read_about(path)
    assert theirs is not None  # it was picked
    changed = [
        f"{key} {theirs['machine'].get(key)} -> {value}"
        for key, value in about["machine"].items()
        if theirs["machine"].get(key) != value
    ]
    if changed:
        log.warning(
            "resume: the checkpoint was saved on another machine, so the result will not be equal "
            "bit by bit: %s",
            "; ".join(changed),
        )


def _read_about(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise LadaError(
            f"resume={path}: there is no such file. Give a checkpoint (checkpoints/step-*.ckpt)."
        )
    if not is_whole(path):
        raise LadaError(
            f"resume={path}: is truncated or modified. Give another checkpoint, or resume=auto."
        )
    about = read_about(path)
    if about is None:
        raise LadaError(
            f"resume={path}: is not a checkpoint of this project, or has only weights. Give a "
            "step-*.ckpt."
        )
    return about
