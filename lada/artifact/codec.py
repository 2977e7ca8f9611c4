"""One tensor as bytes: the positions of its unpruned entries, and their values (docs/format.md).

Pure: no files, no models. `encode` and `decode` are inverse up to the precision of the value type,
and encoding a decoded tensor gives the same bytes again, as long as products of int8 stay in the
range of fp32's normal numbers.
"""

import hashlib
import math
import struct
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import zstandard
from numpy.typing import NDArray
from torch import Tensor

from lada.artifact.digits import length as packed_length
from lada.artifact.digits import pack_digits, unpack_digits
from lada.ops.bits import LARGEST, quantize

LEVEL = 19
"""Level of zstd. Decoding is as fast as at lower levels."""

ALL, BITMASK, GAPS = range(3)
LAYOUTS = ("all", "bitmask", "gaps")
FEW_BITS = tuple(LARGEST)
VALUES = ("fp32", "fp16", "int8", *FEW_BITS)
BYTES = {"fp32": 4, "fp16": 2, "int8": 1}
MAX_FP16 = 65504.0
NO_AXIS = 255
SKIP = 255
"""A gap byte that stands for 255 pruned entries and no unpruned one."""

HEADER = struct.Struct("<8sBBBBhH7Q")
"""Checksum; layout, values, axis, dimensions; exponent, group; two dimensions, unpruned entries,
then bytes of the positions before zstd, and after it of positions, scales and values."""
CHECKSUM = 8

Bytes = NDArray[np.uint8]


class Broken(ValueError):
    """The bytes are not what `encode` writes."""


@dataclass(frozen=True)
class Header:
    """The header before the streams of a tensor.

    Attributes:
        layout: one of `LAYOUTS`.
        values: one of `VALUES`.
        axis: the axis along which each index has its own scale; None without scales.
        exponent: all scales are multiplied by 2 to this power.
        group: values that share a scale; 0: all of an index.
        unpruned: number of stored entries.
        positions: bytes of the positions before zstd.
        stored: bytes of the three streams: positions, scales, values.
    """

    layout: str
    values: str
    axis: int | None
    exponent: int
    group: int
    shape: tuple[int, ...]
    unpruned: int
    positions: int
    stored: tuple[int, int, int]

    @property
    def size(self) -> int:
        """Number of entries, pruned ones included."""
        return math.prod(self.shape)

    @property
    def scales(self) -> int:
        """Number of scales."""
        if self.axis is None:
            return 0
        length = self.size // max(1, self.shape[self.axis])
        return self.shape[self.axis] * (-(-length // self.group) if self.group else 1)

    @property
    def bytes(self) -> int:
        """Bytes of the values before zstd."""
        if self.values in FEW_BITS:
            return packed_length(self.unpruned, self.values)
        return self.unpruned * BYTES[self.values]


def encode(name: str, values: Tensor, mask: Tensor | None, kind: str, axis: int) -> bytes:
    """Pack a tensor.

    Args:
        name: part of the checksum, so that two tensors cannot be exchanged.
        values: (m,) or (m, n), on the CPU.
        mask: bool, same shape: True for unpruned entries. None: all are.
        kind: one of `VALUES`; a tensor whose largest value does not fit is stored as fp32.
        axis: of a matrix of whole numbers: each index along it has its own scale, or with few bits
            a scale for each group.

    Raises:
        ValueError: an entry is NaN or infinite, or the tensor has another number of dimensions.
    """
    if values.dim() not in (1, 2):
        raise ValueError(f"{name}: has {values.dim()} dimensions, not 1 or 2")
    if kind in FEW_BITS and values.dim() != 2:
        raise ValueError(f"{name}: has one dimension, and only a matrix has few bits")
    if not bool(torch.isfinite(values).all()):
        raise ValueError(f"{name}: has a value that is NaN or infinite")
    array = np.ascontiguousarray(values.detach().numpy(), dtype=np.float32)
    largest = float(np.abs(array).max(initial=0.0))
    scaled = kind == "int8" or kind in FEW_BITS
    if (kind == "fp16" and largest > MAX_FP16) or (scaled and not _fits_scales(largest)):
        kind, scaled = "fp32", False
    layout, where, raw = _positions(None if mask is None else mask.numpy().reshape(-1))
    flat = array.reshape(-1) if where is None else array.reshape(-1)[where]
    exponent, group, scales, packed = 0, 0, b"", b""
    if kind in FEW_BITS:
        found = quantize(torch.from_numpy(array), kind, axis, mask)
        exponent, group = int(found.exponent), found.group
        units = np.ldexp(found.scales.numpy(), -exponent)
        numbers = found.numbers.numpy().reshape(-1)
        scales = units.astype("<f2").tobytes()
        packed = pack_digits(numbers if where is None else numbers[where], kind)
    elif kind == "int8":
        of = _index(array.shape, axis, where)
        exponent, steps, quotients = _quantize(flat, of, array.shape[axis])
        scales, packed = steps.astype("<f2").tobytes(), quotients.tobytes()
    else:
        packed = flat.astype("<f4" if kind == "fp32" else "<f2").tobytes()
    streams = [_squeeze(raw), _squeeze(scales), _squeeze(packed)]
    body = HEADER.pack(
        bytes(CHECKSUM),
        LAYOUTS.index(layout),
        VALUES.index(kind),
        axis if scaled else NO_AXIS,
        array.ndim,
        exponent,
        group,
        *(*array.shape, 1)[:2],
        len(flat),
        len(raw),
        *(len(stream) for stream in streams),
    )
    blob = body[CHECKSUM:] + b"".join(streams)
    return checksum(name, blob) + blob


def _fits_scales(largest: float) -> bool:
    """Whether products of a step and a whole number are normal fp32 numbers, and so are exact."""
    return largest == 0.0 or 2.0**-90 < largest < 2.0**120


def checksum(name: str, blob: bytes | memoryview) -> bytes:
    """The first 8 bytes of SHA-256 over the name, a zero byte, and all bytes after the checksum."""
    digest = hashlib.sha256(name.encode() + b"\0")
    digest.update(blob)
    return digest.digest()[:CHECKSUM]


def _positions(mask: NDArray[np.bool_] | None) -> tuple[str, NDArray[np.int64] | None, bytes]:
    """Layout, indices of unpruned entries (None: all) and the bytes that encode them."""
    if mask is None or mask.all():
        return LAYOUTS[ALL], None, b""
    where = np.flatnonzero(mask)
    bits = np.packbits(mask, bitorder="little").tobytes()
    gaps = _gaps(where)
    # The one that is smaller after compression; a low level decides as well as a high one.
    sizes = [len(zstandard.compress(raw, 3)) for raw in (bits, gaps)]
    return (LAYOUTS[GAPS], where, gaps) if sizes[1] < sizes[0] else (LAYOUTS[BITMASK], where, bits)


def _gaps(where: NDArray[np.int64]) -> bytes:
    """Pruned entries before each unpruned one: a byte 255 for each 255 of them, then the rest."""
    gaps = np.diff(where, prepend=-1) - 1
    skips, rest = np.divmod(gaps, SKIP)
    out = np.full(int(skips.sum()) + len(where), SKIP, dtype=np.uint8)
    out[np.cumsum(skips + 1) - 1] = rest
    return out.tobytes()


def _index(shape: tuple[int, ...], axis: int, where: NDArray[np.int64] | None) -> NDArray[np.int64]:
    """The index along ``axis`` of each unpruned entry."""
    every = np.arange(math.prod(shape)) if where is None else where
    inner = math.prod(shape[axis + 1 :])
    return every // inner % shape[axis]


def _quantize(
    flat: NDArray[np.float32], of: NDArray[np.int64], count: int
) -> tuple[int, NDArray[np.float64], NDArray[np.int8]]:
    """Values as integer multiples of a step, with one step for each of ``count`` indices.

    The largest magnitude of an index is 127 steps. Steps are rounded to fp16's 11 bits before
    their common exponent is chosen, so that decoded values have the same steps again.

    Args:
        of: the index of each value.

    Returns:
        The exponent (steps are multiplied by 2 to this power), the steps, the integers.
    """
    largest = np.zeros(count)
    np.maximum.at(largest, of, np.abs(flat).astype(np.float64))
    mantissas, exponents = np.frexp(largest / 127)
    steps = np.ldexp(np.rint(np.ldexp(mantissas, 11)), exponents - 11)
    exponent = int(np.frexp(steps.max(initial=0.0))[1])  # the largest step lies in [1/2, 1)
    steps = np.ldexp(steps, -exponent)
    # Below fp16's normal range the error of a step would exceed its rounding. Values of such an
    # index are under 2^-13 of the tensor's largest, so a coarser step is enough.
    steps[steps < 2.0**-14] = 2.0**-14
    numbers = np.rint(flat / np.ldexp(steps, exponent)[of]).astype(np.int8)
    steps[np.bincount(of, numbers != 0, minlength=count) == 0] = 0.0
    return exponent, steps, numbers


def _squeeze(raw: bytes) -> bytes:
    return zstandard.compress(raw, LEVEL) if raw else b""


def read_header(blob: bytes | memoryview, length: int | None = None) -> Header:
    """The header of a packed tensor, each field checked against the others and the length.

    Args:
        length: of the whole blob, if ``blob`` is only the beginning of it.

    Raises:
        Broken: a field does not fit.
    """
    if len(blob) < HEADER.size:
        raise Broken(f"{len(blob)} bytes are too few for a header")
    fields = HEADER.unpack_from(blob)
    layout, values, axis, dims, exponent, group, rows, cols, unpruned, positions, *stored = fields[
        1:
    ]
    if layout >= len(LAYOUTS) or values >= len(VALUES):
        raise Broken(f"layout {layout} or values {values} are not known")
    if dims not in (1, 2) or (dims == 1 and cols != 1):
        raise Broken(f"{dims} dimensions")
    few = VALUES[values] in FEW_BITS
    if (few and dims != 2) or (group != 0) != few:
        raise Broken(f"groups of {group} values")
    if few or values == VALUES.index("int8"):
        if axis >= dims:
            raise Broken(f"scales along axis {axis} of {dims}")
    elif axis != NO_AXIS or exponent:
        raise Broken("scales without whole numbers")
    header = Header(
        LAYOUTS[layout],
        VALUES[values],
        None if axis == NO_AXIS else axis,
        exponent,
        group,
        (rows, cols)[:dims],
        unpruned,
        positions,
        (stored[0], stored[1], stored[2]),
    )
    _check_sizes(header, len(blob) if length is None else length)
    return header


def _check_sizes(header: Header, length: int) -> None:
    if sum(header.stored) != length - HEADER.size:
        raise Broken(f"streams of {sum(header.stored)} bytes in {length - HEADER.size}")
    if header.unpruned > header.size:
        raise Broken(f"{header.unpruned} unpruned entries of {header.size}")
    if header.layout == "all":
        fits = header.unpruned == header.size and header.positions == 0
    elif header.layout == "bitmask":
        fits = header.positions == (header.size + 7) // 8
    else:
        fits = header.unpruned <= header.positions <= header.unpruned + header.size // SKIP
    if not fits:
        raise Broken(
            f"{header.positions} bytes of positions for {header.unpruned} of {header.size} entries"
        )


def decode(
    name: str, blob: bytes | memoryview, shape: tuple[int, ...]
) -> tuple[Tensor, Tensor | None]:
    """Unpack a tensor.

    Args:
        shape: the expected one; nothing is allocated for another.

    Returns:
        Values, fp32, with 0 for pruned entries; and the mask of unpruned ones, None if all are.

    Raises:
        Broken: the bytes are corrupt or of another shape.
    """
    header = read_header(blob)
    if header.shape != shape:
        raise Broken(f"is {header.shape}, the model needs {shape}")
    if checksum(name, memoryview(blob)[CHECKSUM:]) != bytes(blob[:CHECKSUM]):
        raise Broken("its checksum does not match")
    streams, start = [], HEADER.size
    lengths = (
        header.positions,
        2 * header.scales,
        header.bytes,
    )
    for stored, length in zip(header.stored, lengths, strict=True):
        streams.append(_unsqueeze(memoryview(blob)[start : start + stored], length))
        start += stored
    if header.values in FEW_BITS:
        try:
            entries = unpack_digits(streams[2], header.values, header.unpruned)
        except ValueError as error:
            raise Broken(str(error)) from None
    else:
        types = {"fp32": "<f4", "fp16": "<f2", "int8": "i1"}
        entries = np.frombuffer(streams[2], types[header.values])
    if not np.isfinite(entries).all():
        raise Broken("has a value that is NaN or infinite")
    if header.layout == "all":
        return _scaled(entries.reshape(header.shape), streams[1], header), None
    where = _READERS[header.layout](np.frombuffer(streams[0], np.uint8), header)
    full = np.zeros(header.size, entries.dtype)
    full[where] = entries
    mask = np.zeros(header.size, np.bool_)
    mask[where] = True
    values = _scaled(full.reshape(header.shape), streams[1], header)
    return values, torch.from_numpy(mask.reshape(header.shape))


def _scaled(array: NDArray[np.generic], scales: bytes, header: Header) -> Tensor:
    out = torch.from_numpy(array.astype(np.float32))
    if header.axis is None:
        return out
    steps = np.frombuffer(scales, "<f2").astype(np.float64)
    with np.errstate(over="ignore"):
        factors = np.ldexp(steps, header.exponent).astype(np.float32)
    if (
        not (128 * factors.astype(np.float64) < np.finfo(np.float32).max).all()
        or (factors < 0).any()
    ):
        raise Broken("a scale is NaN, infinite, negative or too large")
    shape = [1] * len(header.shape)
    shape[header.axis] = -1
    if not header.group:
        return out.mul_(torch.from_numpy(factors).view(shape))
    each = torch.from_numpy(factors).view(header.shape[header.axis], -1)
    each = each[:, torch.arange(header.shape[1 - header.axis]) // header.group]
    return out.mul_(each if header.axis == 0 else each.T)


def _from_bits(raw: Bytes, header: Header) -> NDArray[np.int64]:
    bits = np.unpackbits(raw, bitorder="little")
    where = np.flatnonzero(bits[: header.size])
    if len(where) != header.unpruned or bits[header.size :].any():
        raise Broken(f"a bitmask of {len(where)} entries, not {header.unpruned}")
    return where


def _from_gaps(raw: Bytes, header: Header) -> NDArray[np.int64]:
    ends = raw != SKIP
    steps = raw.astype(np.int64)
    steps += ends
    where: NDArray[np.int64] = np.cumsum(steps)[ends] - 1
    ended = not len(raw) or bool(ends[-1])  # with an entry
    if len(where) != header.unpruned or not ended or (len(where) and where[-1] >= header.size):
        raise Broken(f"gaps of {len(where)} entries, not {header.unpruned} within {header.size}")
    return where


_READERS: dict[str, Callable[[Bytes, Header], NDArray[np.int64]]] = {
    "bitmask": _from_bits,
    "gaps": _from_gaps,
}


def _unsqueeze(stream: memoryview, length: int) -> bytes:
    """Decompress to exactly ``length`` bytes; the frame's length is checked before allocating."""
    if not length:
        if len(stream):
            raise Broken(f"{len(stream)} bytes in a stream that should be empty")
        return b""
    try:
        # The length that the frame states would be allocated.
        if zstandard.frame_content_size(stream) != length:
            raise Broken("a stream of another length")
        out: bytes = zstandard.ZstdDecompressor().decompress(stream, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise Broken(f"a stream cannot be read ({error})") from None
    return out
