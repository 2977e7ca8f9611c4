"""The keys that identify a run, a teacher and a teacher's stored outputs.

Modules that need torch are imported by the keys that need them: keys of runs are compared before
anything is loaded.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lada.config import Config, plain
from lada.config.whole import keys
from lada.data.columns import several
from lada.methods import find_method, methods
from lada.report.labels import flat
from lada.run.length import settled_teacher

if TYPE_CHECKING:
    from lada.data.split import TaskData
    from lada.data.tokens import Encoded
    from lada.run.machine import Machine

TEACHER_FORMAT = 4
"""Increased when the training of a teacher changes, so that older ones are not reused."""
STATISTICS_FORMAT = 2
"""Increased when what stored statistics are changes."""
COPIES_FORMAT = 1
"""Increased when the making of changed copies changes."""
OUTPUTS_FORMAT = 1
"""Increased when the content of the files of stored outputs changes."""


def inputs() -> list[str]:
    """The keys that name files or folders which a run reads."""
    return [name for name, key in keys().items() if key.reads]


def run_key(config: Config) -> str:
    """The key of a run: a digest of the part of its config that identifies it."""
    return _digest(known_by(plain(config)))[:16]


def known_by(config: dict[str, Any]) -> dict[str, Any]:
    """What determines the result of a run, and the paths of its data and models.

    Their content is compared later; but two different files are two runs.

    Args:
        config: as plain dicts.
    """
    places, known = {}, keys()
    for key in inputs():
        group, _, name = key.partition(".")
        value = config.get(group, {}).get(name)
        if value is None and known[key].later:
            continue
        places[key] = _places(value) if value else value
    return determining(config) | places


def _places(value: str) -> str | list[str]:
    """The file or folder that a value names, as an absolute path; of a list of files, each."""
    # An id of the hub is not a path.
    found = [str(Path(v).absolute()) if Path(v).exists() else v for v in several(value)]
    return found if len(found) > 1 else found[0]


def determining(config: dict[str, Any]) -> dict[str, Any]:
    """All that determines the result of a run: a plain config without its free keys, flat.

    Data is compared by its content, not by the names of its files.
    """
    name = config.get("method", {}).get("name")
    known = keys(find_method(name) if name in methods() else None)
    free = {name for name, key in known.items() if key.free}
    later = {name: key.default for name, key in known.items() if key.later}
    return {
        k: v
        for k, v in flat(config).items()
        if k not in free and not (k in later and v in (None, later[k]))
    }


def first_difference(theirs: dict[str, Any], ours: dict[str, Any]) -> str | None:
    """The first key that differs between two flat configs, with both values, as text."""
    for key in sorted(theirs.keys() | ours.keys()):
        a, b = theirs.get(key), ours.get(key)
        if a != b:
            return f"{key}={a}, this run has {b}"
    return None


def teacher_key(
    config: Config, machine: "Machine", data: "TaskData", base: Path | None, processes: int = 1
) -> tuple[str, dict[str, Any]]:
    """The key of the teacher that this config trains, and all the parts it is computed from.

    Args:
        base: folder of the pretrained model; None for the tiny one.
        processes: number of processes that train it together.
    """
    from lada.nn.pretrained import model_digest

    settings = asdict(settled_teacher(config, len(data.train)))
    for name in ("path", "margin"):  # neither changes the weights
        settings.pop(name)
    settings.pop("epochs" if settings["epochs"] is None else "steps")
    parts = {
        "format": TEACHER_FORMAT,
        "task": data.task,
        "labels": list(data.labels),
        "train": data.train.digest,
        "select": data.validation.digest,
        "model": model_digest(base),
        "max_length": config.task.max_length,
        "settings": settings,
        "seed": config.seed,
        "accumulate": config.trainer.accumulate,
        "processes": processes,
        "spikes": machine.skips,
        "checks": config.trainer.checks,
        "precision": machine.precision,
        "device": machine.accelerator,
    }
    return f"{data.task}-{_digest(parts)[:16]}", parts


def outputs_key(
    teacher: Path,
    labels: Sequence[str],
    examples: "Encoded",
    machine: "Machine",
    *,
    hidden: bool,
    maps: str | None,
    vectors: dict[str, Any] | None = None,
) -> str:
    """The key of a teacher's stored outputs, from all that they depend on to the last bit.

    Args:
        teacher: its folder.
        labels: its classes, in its order.
        examples: the examples.
        hidden: whether its hidden states are stored.
        maps: which of its attention maps are stored; None: none.
        vectors: how they are made of its last states, where the outputs are vectors.
    """
    from lada.data.tokens import content_digest
    from lada.nn.pretrained import model_digest

    parts = {
        "format": OUTPUTS_FORMAT,
        "teacher": model_digest(teacher),
        "labels": list(labels),
        "tokens": content_digest(examples).hex(),
        "precision": machine.precision,
        "machine": machine.about(),
        "hidden": hidden,
        "maps": maps,
    } | ({} if vectors is None else {"vectors": vectors})
    return _digest(parts)[:32]


def statistics_key(
    teacher: Path,
    examples: "Encoded",
    count: int,
    machine: "Machine",
    *,
    gradients: bool = False,
) -> str:
    """The key of the statistics of a teacher's layers, from all that they depend on.

    Args:
        teacher: its folder.
        examples: among which ``count`` are chosen.
        gradients: whether gradients of the labels' loss are among them.
    """
    from lada.data.tokens import content_digest
    from lada.nn.pretrained import model_digest

    parts = {
        "format": STATISTICS_FORMAT,
        "teacher": model_digest(teacher),
        "tokens": content_digest(examples).hex(),
        "examples": count,
        "machine": machine.about(),
    }
    if gradients:
        labels = hashlib.sha256(str(examples.labels.dtype).encode())
        labels.update(examples.labels.tobytes())
        parts["gradients"] = labels.hexdigest()
    return _digest(parts)[:32]


def copies_key(teacher: Path, config: Config, data: "TaskData", machine: "Machine") -> str:
    """The key of the changed copies of training examples, from all that they depend on.

    Args:
        teacher: its folder.
    """
    from lada.nn.pretrained import model_digest

    mlm = config.data.mlm
    parts = {
        "format": COPIES_FORMAT,
        "words": model_digest(teacher if mlm is None else Path(mlm)),
        "masked": mlm is not None,
        "train": data.train.digest,
        "held": [split.digest for split in (data.validation, *data.dev.values())],
        "copies": config.data.augment,
        "seed": config.seed,
        "machine": machine.about(),
    }
    return _digest(parts)[:32]


def _digest(parts: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
