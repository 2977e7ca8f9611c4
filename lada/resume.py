"""Which checkpoint a training goes on from, and whether it may."""

import logging
from pathlib import Path
from typing import Any

from lada.errors import LadaError
from lada.identity import first_difference, flat
from lada.machine import Machine
from lada.training.checkpoints import find_last, is_whole, read_about
from lada.training.processes import World

log = logging.getLogger("lada")

FORMAT = 4
"""Raised when older checkpoints can no longer be gone on from."""


def describe(
    kind: str,
    settings: dict[str, Any],
    digests: dict[str, str | None],
    machine: Machine,
    world: World,
) -> dict[str, Any]:
    """What a checkpoint says of its run: plain values alone.

    Args:
        kind: "teacher" or "student".
        settings: all that determines the training, flat.
        digests: of the content of all that the training takes in, by a name for messages.
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
    """The checkpoint to go on from, or None to start; process 0 chooses for all.

    Args:
        resume: "auto": the last whole one in ``folder``; "never"; or a file.
        folder: where the checkpoints of this training lie.
        about: what this run is, by `describe`; of its content, all that is known yet.

    Raises:
        LadaError: there is one, and it was made by another run, or cannot be read.
    """
    path = None
    with world.only_first():
        if world.first and resume != "never":
            path = find_last(folder) if resume == "auto" else Path(resume)
            if path is not None:
                _refuse_other(path, about)
    found = world.share("" if path is None else str(path))
    return Path(found) if found else None


def _refuse_other(path: Path, about: dict[str, Any]) -> None:
    theirs = _read_about(path)
    for part in ("format", "kind"):
        if theirs.get(part) != about[part]:
            raise LadaError(
                f"{path}: its {part} is {theirs.get(part)}, this run's is {about[part]}; "
                "give another, or resume=never"
            )
    difference = first_difference(theirs["config"], about["config"])
    if difference is not None:
        raise LadaError(
            f"{path}: was made with {difference}; give the same settings, or resume=never"
        )
    for name, digest in about["content"].items():
        if theirs["content"].get(name) != digest:
            raise LadaError(
                f"{path}: the content of {name} has changed since; bring the old one back, or "
                "start anew by resume=never"
            )


def warn_of_other_machine(path: Path, about: dict[str, Any]) -> None:
    """One warning where the checkpoint comes from a machine whose arithmetic may differ."""
    theirs = read_about(path)
    assert theirs is not None  # it was picked
    changed = [
        f"{key} {theirs['machine'].get(key)} -> {value}"
        for key, value in about["machine"].items()
        if theirs["machine"].get(key) != value
    ]
    if changed:
        log.warning(
            "resume: another machine than the checkpoint's, so the result will not be equal bit "
            "by bit: %s",
            "; ".join(changed),
        )


def _read_about(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise LadaError(f"resume={path}: no such file; give a checkpoint (checkpoints/step-*.ckpt)")
    if not is_whole(path):
        raise LadaError(f"resume={path}: torn or altered; give another, or resume=auto")
    about = read_about(path)
    if about is None:
        raise LadaError(
            f"resume={path}: is no checkpoint of this project, or holds weights alone; give a "
            "step-*.ckpt"
        )
    return about
