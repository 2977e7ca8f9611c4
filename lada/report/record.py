"""The record of a run: what was run, on what, and what came out."""

import json
import os
import platform
import shlex
from collections.abc import Collection
from importlib import metadata
from pathlib import Path
from typing import Any

import lada
from lada.files import check_writable_target, temporary_file

PACKAGES = ("torch", "lightning", "transformers", "torchmetrics", "hydra-core", "safetensors",
            "zstandard")  # fmt: skip
ENGINE_PACKAGES = ("onnxruntime", "openvino", "nncf")


def machine(device: str, threads: int, packages: tuple[str, ...] = PACKAGES) -> dict[str, Any]:
    """Device, CPU, threads and library versions, without anything that names the host."""
    return {
        "device": device,
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "threads": threads,
        "python": platform.python_version(),
        "versions": {"lada": lada.__version__} | {name: _version(name) for name in packages},
    }


RENAMED = {"select": "validation", "select_accuracy": "validation_accuracy"}
"""Fields of records that had another name in older versions."""


def start_of(method: dict[str, Any]) -> str:
    """What must be said of where a student starts: "from scratch", or nothing.

    Args:
        method: of the config of a record.
    """
    return "from scratch" if "path" in method and method["path"] is None else ""


def without_paths(
    config: dict[str, Any], paths: Collection[str], prefix: str = ""
) -> dict[str, Any]:
    """A copy of a config in which values that say where something lies read PATH.

    A record is made to be shown; where a data folder lies on one machine is nobody's business, and
    what was in it is told by its hash.

    Args:
        paths: dotted keys of such values.
    """
    out: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, dict):
            out[key] = without_paths(value, paths, f"{prefix}{key}.")
        else:
            out[key] = "PATH" if prefix + key in paths and value is not None else value
    if config.get("model", {}).get("name") == "bert-base":  # an id of the hub, not a place
        out["model"]["path"] = config["model"]["path"]
    return out


def command_line(
    overrides: list[str], paths: Collection[str], program: str = "python train.py"
) -> str:
    """The command of a run as a shell takes it; paths read PATH, keys of Hydra are left out.

    Args:
        paths: dotted keys of such values.
        program: the words before the overrides.
    """
    shown = []
    for override in overrides:
        key, _, value = override.partition("=")
        if key.startswith("hydra."):
            continue
        place = key.lstrip("+") in paths and value != "null"
        shown.append(f"{key}=PATH" if place else override)
    return shlex.join([*program.split(), *shown])


def renamed(record: dict[str, Any]) -> dict[str, Any]:
    """A copy of a record, or of a row of the comparison, with the field names of this version.

    Versions up to 0.2.0 called the validation split "select".
    """
    return {RENAMED.get(key, key): _renamed(value) for key, value in record.items()}


def _renamed(value: Any) -> Any:
    if isinstance(value, dict):
        return renamed(value)
    return [_renamed(part) for part in value] if isinstance(value, list) else value


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


def write_json(path: Path, value: Any, indent: int | None = 2) -> None:
    """Write JSON under a temporary name and rename, so that no reader sees half of it.

    Args:
        indent: None for all of it in one line.

    Raises:
        LadaError: the path is a folder, a device or a pipe, which a file must not replace.
        OSError: it cannot be written.
    """
    if os.path.lexists(path):
        path = check_writable_target(path, "output")
    temporary = temporary_file(path)
    try:
        with temporary.open("w", encoding="utf-8") as f:
            json.dump(value, f, indent=indent)
            f.write("\n")
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
