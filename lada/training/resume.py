"""Whether a checkpoint belongs to the run that would go on from it."""

from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from lada.config import Config, plain
from lada.errors import LadaError

SAME = ("task", "model", "teacher", "method", "target", "ratios", "schedule", "distill", "optim",
        "data", "trainer", "seed")  # fmt: skip
"""Config groups that a resumed run must share with the checkpoint's."""

FREE = ("teacher.margin", "data.workers", "trainer.threads", "trainer.accelerator")
"""Keys in them that it need not."""


def refuse_other_run(config: Config) -> None:
    """Refuse ``resume`` where the checkpoint is unreadable or was made under another config.

    Raises:
        LadaError: with the first key that differs, and both its values.
    """
    path = Path(config.resume or "")
    if not path.is_file():
        raise LadaError(f"resume={path}: no such file; give a checkpoint (checkpoints/last.ckpt)")
    try:
        saved = torch.load(path, weights_only=True, map_location="cpu")
        theirs = dict(saved["hyper_parameters"]["config"])
        if "optimizer_states" not in saved:
            raise LadaError(f"resume={path}: holds weights alone; give last.ckpt beside it")
    except (RuntimeError, KeyError, TypeError, ValueError, OSError, EOFError, UnpicklingError):
        raise LadaError(f"resume={path}: is no checkpoint of this project") from None
    ours = plain(config)
    for group in SAME:
        for key, a, b in _differences(group, theirs.get(group), ours[group]):
            raise LadaError(
                f"resume={path}: was made with {key}={a}, this run has {b}; give the same settings"
            )


def _differences(key: str, theirs: Any, ours: Any) -> list[tuple[str, Any, Any]]:
    if isinstance(ours, dict) and isinstance(theirs, dict):
        names = list(ours)
        return [d for n in names for d in _differences(f"{key}.{n}", theirs.get(n), ours[n])]
    return [] if theirs == ours or key in FREE else [(key, theirs, ours)]
