"""The record of a run: its command, machine, data and results."""

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
    """Device, CPU, threads and library versions, without anything that identifies the host."""
    return {
        "device": device,
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "threads": threads,
        "python": platform.python_version(),
        "versions": {"lada": lada.__version__} | {name: _version(name) for name in packages},
    }


RENAMED = {
    "select": "validation",
    "select_accuracy": "validation_score",
    "validation_accuracy": "validation_score",
}
"""Fields of records that had another name in older versions."""


def start_of(method: dict[str, Any]) -> str:
    """The start of a student if it must be named: "from scratch", or "".

    Args:
        method: of the config of a record.
    """
    shaped = "path" in method and method["path"] is None
    return "from scratch" if shaped and method.get("start") != "teacher" else ""


def without_paths(
    config: dict[str, Any], paths: Collection[str], prefix: str = ""
) -> dict[str, Any]:
    """A copy of a config in which paths are replaced by PATH.

    A record is meant to be shared; paths of one machine are private, and the content of a data
    folder is identified by its hash.

    Args:
        paths: dotted keys whose values are paths.
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
    """The command of a run, quoted for a shell; paths are replaced by PATH, keys of Hydra removed.

    Args:
        paths: dotted keys whose values are paths.
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
    """Write JSON under a temporary name and rename it, so that no reader sees half of it.

    Args:
        indent: None for a single line.

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
