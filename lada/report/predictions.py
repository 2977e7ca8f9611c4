"""What scores are computed from, stored with the record of a run for paired tests."""

import base64
import binascii
import math
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

PREDICTIONS = "predictions.safetensors"

Bits = NDArray[np.bool_]
"""Right (True) or wrong, (examples,)."""
Packed = dict[str, Any]
"""An array as plain JSON values, see `to_packed`."""

TYPES = ("uint8", "int16", "int32", "float32")
"""Types of packed numbers; on disk they are little-endian."""


def write_predictions(file: Path, units: Mapping[str, Mapping[str, NDArray[Any]]]) -> None:
    """Write what scores are computed from as tensors ``who/split``, in the order of the split.

    Args:
        units: by "teacher", "artifact" and, where examples have one label, "labels", and by dev
            split: class ids (examples,), which are written as int16; or what the kind of the task
            has (`lada.heads.base.Head.units`), (units, ...).
    """
    tensors = {
        f"{who}/{split}": found.astype(np.int16) if found.ndim == 1 else found
        for who, splits in units.items()
        for split, found in splits.items()
    }
    file.write_bytes(save(tensors))  # safetensors' own writer raises other errors on a full disk


def read_units(file: Path) -> dict[str, dict[str, NDArray[Any]]]:
    """The units of "teacher" and "artifact" (`lada.heads.base.Head.units`), by dev split.

    Args:
        file: `PREDICTIONS` of a run.

    Raises:
        OSError: there is no such file.
        ValueError: it is corrupt.
    """
    try:
        tensors = load(file.read_bytes())
    except SafetensorError as error:
        raise ValueError(f"{file}: {error}") from None
    found: dict[str, dict[str, NDArray[Any]]] = {"teacher": {}, "artifact": {}}
    for name, units in tensors.items():
        who, _, split = name.partition("/")
        labels = tensors.get(f"labels/{split}")
        if who in found:
            found[who][split] = units if labels is None else np.stack([units, labels], 1)
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


def to_packed(units: NDArray[Any]) -> Packed:
    """Numbers as plain JSON values: integers in the smallest type that has them all, others fp32.

    Returns:
        ``shape``; ``type``, one of `TYPES`; ``data``: the numbers, deflated, in Base64.

    Raises:
        ValueError: an integer is too large.

    Example:
        >>> packed = to_packed(np.array([[1, 2, 2], [0, 0, 1]]))
        >>> packed["shape"], packed["type"]
        ([2, 3], 'uint8')
        >>> from_packed(packed).tolist()
        [[1, 2, 2], [0, 0, 1]]
    """
    kind = "float32"
    if units.dtype.kind in "biu":
        bounds = (units.min(initial=0), units.max(initial=0))
        fitting = (
            name
            for name in TYPES[:-1]
            if np.iinfo(name).min <= bounds[0] and bounds[1] <= np.iinfo(name).max
        )
        found = next(fitting, None)
        if found is None:
            raise ValueError(f"integers from {bounds[0]} to {bounds[1]} have no type")
        kind = found
    data = np.ascontiguousarray(units, np.dtype(kind).newbyteorder("<")).tobytes()
    text = base64.b64encode(zlib.compress(data, 9)).decode()
    return {"shape": list(units.shape), "type": kind, "data": text}


def from_packed(packed: Packed) -> NDArray[Any]:
    """The numbers of `to_packed`.

    Raises:
        ValueError: they are not what their shape and type say.
    """
    shape, kind = packed["shape"], packed["type"]
    if kind not in TYPES:
        raise ValueError(f"packed numbers of type {kind}, not one of {', '.join(TYPES)}")
    form = np.dtype(kind).newbyteorder("<")
    size = math.prod(shape) * form.itemsize
    reader = zlib.decompressobj()
    try:
        # One byte more than there should be: a small text may inflate to gigabytes.
        data = reader.decompress(base64.b64decode(packed["data"], validate=True), size + 1)
    except (binascii.Error, zlib.error) as error:
        raise ValueError(f"packed numbers are corrupt: {error}") from None
    if len(data) != size or not reader.eof:
        raise ValueError(f"packed numbers are not those of shape {shape}")
    return np.frombuffer(data, form).reshape(shape).astype(kind)
