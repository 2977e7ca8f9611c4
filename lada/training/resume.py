"""Which checkpoint a training goes on from, and whether it may."""

import logging
from pathlib import Path
from typing import Any

import torch

from lada.config import TrainerConfig
from lada.errors import LadaError
from lada.report.record import machine
from lada.training.checkpoints import find_last, is_whole, read_about
from lada.training.device import pick_accelerator, pick_precision
from lada.training.processes import World

log = logging.getLogger("lada")

FORMAT = 3
"""Raised when older checkpoints can no longer be gone on from."""

FREE = ("resume", "submit", "paths", "logger", "callbacks", "teacher.margin", "data.dir",
        "data.split_by", "data.workers", "task.train_file", "task.dev_file", "task.delimiter",
        "task.encoding", "trainer.threads",
        "trainer.accelerator", "trainer.jobs_per_gpu")  # fmt: skip
"""Keys (or groups) that change nothing in what a run ends with, up to rounding.

Data is compared by its content, whatever its files are called.
"""

LATER = ("optim.steps", "teacher.steps")
"""Keys that came later: null, they leave a run the name that it had before them."""


def determining(config: dict[str, Any]) -> dict[str, Any]:
    """A plain config without what is `FREE`, flat: what a run ends with depends on it."""
    return {
        k: v for k, v in _flat(config).items() if not _is_free(k) and not (v is None and k in LATER)
    }


def first_difference(theirs: dict[str, Any], ours: dict[str, Any]) -> str | None:
    """The first key that differs between two flat configs, with both values, as text."""
    for key in sorted(theirs.keys() | ours.keys()):
        a, b = theirs.get(key), ours.get(key)
        if a != b:
            return f"{key}={a}, this run has {b}"
    return None


def _flat(config: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    out: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, dict):
            out |= _flat(value, f"{prefix}{key}.")
        else:
            out[prefix + key] = value
    return out


def _is_free(key: str) -> bool:
    return any(key == free or key.startswith(f"{free}.") for free in FREE)


def describe(
    kind: str,
    settings: dict[str, Any],
    digests: dict[str, str | None],
    trainer: TrainerConfig,
    world: World,
) -> dict[str, Any]:
    """What a checkpoint says of its run: plain values alone.

    Args:
        kind: "teacher" or "student".
        settings: all that determines the training, flat.
        digests: of the content of all that the training takes in, by a name for messages.
    """
    accelerator = pick_accelerator(trainer.accelerator)
    device = torch.cuda.get_device_name() if accelerator == "gpu" else "cpu"
    return {
        "format": FORMAT,
        "kind": kind,
        "config": settings,
        "content": digests,
        "machine": {
            **_flat(machine(device, torch.get_num_threads())),
            "processes": world.size,
            "precision": pick_precision(trainer.precision, accelerator),
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
