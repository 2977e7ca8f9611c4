"""A decoder of docs/format.md that shares no code with ours, slow and plain."""

import hashlib
import json
import struct
from pathlib import Path

import numpy as np
import zstandard


def tensors(file: Path) -> dict[str, np.ndarray]:
    """All tensors of a model.safetensors, fp32, pruned entries 0."""
    return {name: tensor(name, blob) for name, blob in packed(file).items()}


def kept(file: Path) -> dict[str, int]:
    """How many entries of each tensor are stored."""
    return {n: struct.unpack_from("<Q", blob, 32)[0] for n, blob in packed(file).items()}


def packed(file: Path) -> dict[str, bytes]:
    """The packed tensors of a model.safetensors."""
    content = file.read_bytes()
    (length,) = struct.unpack_from("<Q", content)
    header = json.loads(content[8 : 8 + length])
    assert list(header.pop("__metadata__")) == ["lada"]
    out = {}
    for name, entry in header.items():
        assert entry["dtype"] == "U8"
        start, end = entry["data_offsets"]
        out[name] = content[8 + length + start : 8 + length + end]
    return out


def tensor(name: str, blob: bytes) -> np.ndarray:
    """One packed tensor."""
    assert blob[:8] == hashlib.sha256(name.encode() + b"\0" + blob[8:]).digest()[:8]
    layout, kind, axis, dims, exponent, group = struct.unpack_from("<BBBBhH", blob, 8)
    rows, cols, kept, positions, *stored = struct.unpack_from("<7Q", blob, 16)
    assert (group > 0) == (kind > 2)
    streams, start = [], 72
    for size in stored:
        frame = blob[start : start + size]
        streams.append(zstandard.ZstdDecompressor().decompress(frame) if frame else b"")
        start += size
    assert start == len(blob)
    assert len(streams[0]) == positions
    where = _positions(layout, streams[0], rows * cols)
    assert len(where) == kept
    if kind > 2:
        values = _few(streams[2], kind, kept)
    else:
        values = np.frombuffer(streams[2], {0: "<f4", 1: "<f2", 2: "<i1"}[kind])
    scales = np.frombuffer(streams[1], "<f2")
    out = np.zeros(rows * cols, np.float32)
    for position, value in zip(where, values, strict=True):
        out[position] = value
        if kind >= 2:
            row, col = divmod(position, cols)
            k, along, length = (col, row, rows) if axis == 1 else (row, col, cols)
            if group:
                k = k * (-(-length // group)) + along // group
            out[position] = np.float64(value) * np.float64(scales[k]) * 2.0**exponent
    return out.reshape((rows, cols)[:dims])


def _few(raw: bytes, kind: int, kept: int) -> np.ndarray:
    """Digits of base 15, 7, 3 or 2, the lowest first, several in a byte."""
    base, each = {3: (15, 2), 4: (7, 2), 5: (3, 5), 6: (2, 8)}[kind]
    digits = []
    for byte in raw:
        for _ in range(each):
            byte, digit = divmod(byte, base)
            digits.append(digit)
        assert byte == 0
    assert len(raw) == -(-kept // each) and not any(digits[kept:])
    found = np.array(digits[:kept], np.int64)
    return 2 * found - 1 if kind == 6 else found - base // 2


def _positions(layout: int, raw: bytes, size: int) -> list[int]:
    if layout == 0:
        return list(range(size))
    if layout == 1:
        return [i for i in range(size) if raw[i // 8] >> (i % 8) & 1]
    where, position = [], 0
    for byte in raw:
        position += byte
        if byte < 255:
            where.append(position)
            position += 1
    return where
