"""The answers to all dev examples, stored with the record of a run for paired tests."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

PREDICTIONS = "predictions.safetensors"

Classes = NDArray[np.integer]
"""Class ids, (examples,)."""
Bits = NDArray[np.bool_]
"""Right (True) or wrong, (examples,)."""


def write_predictions(file: Path, units: Mapping[str, Mapping[str, NDArray[Any]]]) -> None:
    """Write what scores are computed from as tensors ``who/split``, in the order of the split.

    Args:
        units: by "teacher", "artifact" and, where examples have one label, "labels", and by dev
            split: class ids (examples,), which are written as int16; or what the kind of the task
            has (`lada.heads.base.Head.units`).
    """
    tensors = {
        f"{who}/{split}": found.astype(np.int16) if found.ndim == 1 else found
        for who, splits in units.items()
        for split, found in splits.items()
    }
    file.write_bytes(save(tensors))  # safetensors' own writer raises other errors on a full disk


def read_correct(file: Path) -> dict[str, dict[str, Bits]]:
    """Which examples "teacher" and "artifact" have right, by dev split, from `PREDICTIONS`.

    Raises:
        OSError: there is no such file.
        ValueError: it is corrupt.
    """
    try:
        tensors = load(file.read_bytes())
    except SafetensorError as error:
        raise ValueError(f"{file}: {error}") from None
    found: dict[str, dict[str, Bits]] = {"teacher": {}, "artifact": {}}
    for name, ids in tensors.items():
        who, _, split = name.partition("/")
        if who in found:
            found[who][split] = ids == tensors[f"labels/{split}"]
    return found


def to_hex(bits: Bits) -> str:
    """One bit per example, the first one highest in the first byte; the last byte is padded."""
    return np.packbits(bits).tobytes().hex()


def from_hex(text: str, count: int) -> Bits:
    """The bits of `to_hex`, (count,).

    Raises:
        ValueError: the text does not have ``count`` bits.
    """
    packed = np.frombuffer(bytes.fromhex(text), dtype=np.uint8)
    if len(packed) != -(-count // 8):
        raise ValueError(f"{8 * len(packed)} bits are not those of {count} examples")
    return np.unpackbits(packed, count=count).astype(np.bool_)
