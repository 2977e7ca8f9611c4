"""What was answered to every dev row, kept beside a run's record: for tests that pair two runs."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

PREDICTIONS = "predictions.safetensors"

Classes = NDArray[np.integer]
"""Class ids, (rows,)."""
Bits = NDArray[np.bool_]
"""Right (True) or wrong, (rows,)."""


def write_predictions(file: Path, classes: Mapping[str, Mapping[str, Classes]]) -> None:
    """Write class ids as int16 tensors (rows,) named ``who/split``, in the order of the dev rows.

    Args:
        classes: by "teacher", "artifact" and "labels", and by dev split.
    """
    tensors = {
        f"{who}/{split}": ids.astype(np.int16)
        for who, splits in classes.items()
        for split, ids in splits.items()
    }
    file.write_bytes(save(tensors))  # safetensors' own writer has other errors for a full disk


def read_correct(file: Path) -> dict[str, dict[str, Bits]]:
    """Which rows "teacher" and "artifact" have right, by dev split, from `PREDICTIONS`.

    Raises:
        OSError: there is no such file.
        ValueError: it is damaged.
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
    """One bit a row, the first row highest in the first byte; the last byte is filled up."""
    return np.packbits(bits).tobytes().hex()


def from_hex(text: str, rows: int) -> Bits:
    """The bits of `to_hex`, (rows,).

    Raises:
        ValueError: the text is not that of so many rows.
    """
    packed = np.frombuffer(bytes.fromhex(text), dtype=np.uint8)
    if len(packed) != -(-rows // 8):
        raise ValueError(f"{8 * len(packed)} bits are not those of {rows} rows")
    return np.unpackbits(packed, count=rows).astype(np.bool_)
