"""The record of a run: what was run, on what, and what came out."""

import json
import os
import platform
import tempfile
from importlib import metadata
from pathlib import Path, PurePath
from typing import Any

PACKAGES = ("torch", "lightning", "transformers", "torchmetrics", "hydra-core", "safetensors")


def machine(device: str, threads: int) -> dict[str, Any]:
    """Device, CPU, threads and library versions, without anything that names the host."""
    return {
        "device": device,
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "threads": threads,
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in ("lada", *PACKAGES)},
    }


def without_paths(value: Any) -> Any:
    """A copy of plain JSON values with every absolute path replaced by the word PATH.

    A record is made to be shown; where a data folder lies on one machine is nobody's business, and
    what was in it is told by its hash. ``KEY=VALUE`` strings keep their key.
    """
    if isinstance(value, dict):
        return {k: without_paths(v) for k, v in value.items()}
    if isinstance(value, list):
        return [without_paths(v) for v in value]
    if isinstance(value, str):
        key, sign, path = value.rpartition("=")
        if PurePath(path.strip("'\"")).is_absolute() or path.startswith("~"):
            return f"{key}{sign}PATH"
    return value


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _cpu() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def write_json(path: Path, value: Any) -> None:
    """Write JSON under a temporary name and rename, so that no reader sees half of it."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as f:
            json.dump(value, f, indent=2)
            f.write("\n")
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
