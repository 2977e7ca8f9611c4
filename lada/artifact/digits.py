"""Whole numbers of a few levels as bytes: several of them in each, as digits of one number."""

import numpy as np
from numpy.typing import NDArray

from lada.ops.bits import LARGEST

BASE = {kind: 2 if kind == "int1" else 2 * largest + 1 for kind, largest in LARGEST.items()}
"""How many values a number of each type has."""

PER_BYTE = {kind: next(d for d in range(8, 0, -1) if base**d <= 256) for kind, base in BASE.items()}
"""How many digits a byte holds."""


def pack_digits(numbers: NDArray[np.int8], kind: str) -> bytes:
    """The bytes of numbers; the first number is the lowest digit of the first byte.

    Example:
        >>> pack_digits(np.array([-1, 0, 1, 1, 1, -1], np.int8), "int2").hex()
        'ed00'
    """
    base, count = BASE[kind], PER_BYTE[kind]
    digits = (numbers > 0).astype(np.uint8) if kind == "int1" else numbers + LARGEST[kind]
    full = np.zeros(length(len(numbers), kind) * count, np.int64)
    full[: len(numbers)] = digits
    powers = base ** np.arange(count)
    return (full.reshape(-1, count) @ powers).astype(np.uint8).tobytes()


def unpack_digits(raw: bytes, kind: str, count: int) -> NDArray[np.int8]:
    """The ``count`` numbers of which `pack_digits` makes these bytes.

    Raises:
        ValueError: it makes other bytes of them.
    """
    base, each = BASE[kind], PER_BYTE[kind]
    values = np.frombuffer(raw, np.uint8)
    if len(values) and int(values.max()) >= base**each:
        raise ValueError(f"a byte of {values.max()} in digits of base {base}")
    digits = (values[:, None] // base ** np.arange(each) % base).reshape(-1)
    if digits[count:].any():
        raise ValueError("digits after the last number")
    found = digits[:count].astype(np.int8)
    return found * np.int8(2) - np.int8(1) if kind == "int1" else found - np.int8(LARGEST[kind])


def length(count: int, kind: str) -> int:
    """Bytes of so many numbers."""
    return -(-count // PER_BYTE[kind])
