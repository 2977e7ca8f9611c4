"""Packed tensors: round trips over all shapes, densities and types, and what is rejected."""

import struct
import zlib

import numpy as np
import pytest
import stranger
import torch
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from lada.artifact.codec import (
    FEW_BITS,
    HEADER,
    LAYOUTS,
    VALUES,
    Broken,
    checksum,
    decode,
    encode,
    read_header,
)
from lada.ops.bits import dequantize, quantize

shapes = st.one_of(
    st.tuples(st.integers(1, 300)), st.tuples(st.integers(1, 40), st.integers(1, 40))
)
densities = st.one_of(st.sampled_from([0.0, 0.001, 0.01, 0.5, 0.99, 1.0]), st.floats(0, 1))


def draw(shape: tuple[int, ...], density: float, spread: float, seed: int) -> tuple[Tensor, Tensor]:
    """Values over many magnitudes, and a mask; some rows and columns are full, some empty."""
    g = torch.Generator().manual_seed(seed)
    values = torch.randn(shape, generator=g) * torch.exp(spread * torch.randn(shape, generator=g))
    mask = torch.rand(shape, generator=g) < density
    mask[seed % shape[0]] = bool(seed % 2)
    if len(shape) == 2:
        mask[:, seed % shape[1]] = bool(seed // 2 % 2)
    return values * mask, mask


@settings(max_examples=300)
@given(
    shape=shapes,
    density=densities,
    spread=st.sampled_from([0.0, 1.0, 6.0]),
    seed=st.integers(0, 999),
    kind=st.sampled_from(VALUES),
    axis=st.integers(0, 1),
    masked=st.booleans(),
)
def test_round_trip(shape, density, spread, seed, kind, axis, masked) -> None:
    if kind in FEW_BITS and len(shape) == 1:
        shape = (*shape, 3)
    values, mask = draw(shape, density, spread, seed)
    axis = min(axis, len(shape) - 1)
    given_mask = mask if masked else None
    blob = encode("x", values, given_mask, kind, axis)
    found, found_mask = decode("x", blob, tuple(shape))
    assert found.shape == values.shape
    assert found.dtype == torch.float32
    if masked and not mask.all():
        assert torch.equal(found_mask, mask)
        assert not found[~mask].any()
    else:
        assert found_mask is None
    # What was read is written as the same bytes, and a stranger reads the same values.
    assert encode("x", found, found_mask, kind, axis) == blob
    assert np.array_equal(stranger.tensor("x", blob), found.numpy())
    if kind == "fp32":
        assert torch.equal(found, values)
    elif kind == "fp16":
        fits = values.abs().max() <= 65504
        assert torch.equal(found, values.half().float() if fits else values)
    elif kind in FEW_BITS:
        expected = dequantize(quantize(values, kind, axis, given_mask), axis)
        assert torch.equal(found, expected if given_mask is None else expected * given_mask)
    else:
        largest = values.abs().amax(tuple(d for d in range(values.dim()) if d != axis), True)
        # Half a step; of an index that is tiny beside the largest, half of the least step.
        bound = torch.maximum(largest / 127 * 1.001, values.abs().max() / 127 * 2.0**-13) / 2
        assert bool(((found - values).abs() <= bound).all())


def test_each_layout_is_taken_where_it_is_smaller() -> None:
    taken = {}
    for density in (1.0, 0.6, 0.02):
        values, mask = torch.randn(200, 200), torch.rand(200, 200) < density
        taken[density] = read_header(encode("x", values, mask, "int8", 1)).layout
    assert taken == {1.0: "all", 0.6: "bitmask", 0.02: "gaps"}


@pytest.mark.parametrize("gap", [1, 253, 254, 255, 256, 509, 510, 511, 2000])
def test_long_gaps(gap: int) -> None:
    mask = torch.zeros(5000, dtype=torch.bool)
    mask[gap::gap] = True
    values = torch.arange(5000.0) * mask
    blob = encode("x", values, mask, "fp32", 0)
    found, found_mask = decode("x", blob, (5000,))
    assert torch.equal(found, values)
    assert torch.equal(found_mask, mask)


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize(
    ("shape", "share"), [((384, 1536), 0.1), ((1536, 384), 0.1), ((96, 37), 0.5)]
)
def test_positions_of_whole_lines_take_next_to_nothing(shape, share, axis) -> None:
    """Of rows or columns that are pruned together, a few bits for each."""
    draw = torch.Generator().manual_seed(0)
    lines = torch.rand(shape[axis], generator=draw) < share
    mask = lines.view((-1, 1) if axis == 0 else (1, -1)).expand(shape)
    values = torch.randn(shape, generator=draw) * mask
    blob = encode("x", values, mask, "int8", 0)
    stored = read_header(blob).stored[0]
    assert stored < 40 + 4 * shape[axis] / 8
    found, positions = decode("x", blob, tuple(mask.shape))
    assert torch.equal(positions, mask)
    assert not found[~mask].any()


def test_no_unpruned_entry() -> None:
    """As of a head whose units were all pruned."""
    blob = encode("x", torch.zeros(8, 6), torch.zeros(8, 6, dtype=torch.bool), "int8", 0)
    found, mask = decode("x", blob, (8, 6))
    assert not found.any() and mask is not None and not mask.any()


def test_kept_zeros_stay_kept() -> None:
    mask = torch.tensor([[True, False], [True, True]])
    values = torch.tensor([[0.0, 0.0], [1.0, 1e-9]])
    for kind in VALUES:  # in few bits zeros are numbers as well
        assert torch.equal(decode("x", encode("x", values, mask, kind, 1), (2, 2))[1], mask)


@pytest.mark.parametrize("density", [1.0, 0.64, 0.29, 0.18])
def test_streams_come_near_their_entropy(density: float) -> None:
    g = torch.Generator().manual_seed(1)
    values, mask = torch.randn(768, 300, generator=g), torch.rand(768, 300, generator=g) < density
    header = read_header(encode("x", values * mask, mask, "int8", 1))
    bits = 0.0
    if density < 1:
        bits = -density * np.log2(density) - (1 - density) * np.log2(1 - density)
    assert header.stored[0] * 8 <= 1.03 * bits * mask.numel() + 80
    numbers = np.rint(values.numpy() / (np.abs(values.numpy()).max(0) / 127)).astype(int)
    _, counts = np.unique(numbers[mask.numpy()], return_counts=True)
    share = counts / counts.sum()
    assert header.stored[2] * 8 <= 1.05 * -(share * np.log2(share)).sum() * header.unpruned


@pytest.mark.parametrize("kind", FEW_BITS)
@pytest.mark.parametrize("density", [1.0, 0.3])
def test_few_bits_come_near_their_entropy(kind: str, density: float) -> None:
    g = torch.Generator().manual_seed(1)
    values, mask = torch.randn(768, 300, generator=g), torch.rand(768, 300, generator=g) < density
    header = read_header(encode("x", values * mask, mask, kind, 1))
    numbers = quantize(values * mask, kind, 1, mask).numbers[mask].numpy()
    _, counts = np.unique(numbers, return_counts=True)
    share = counts / counts.sum()
    entropy = -(share * np.log2(share)).sum() * header.unpruned
    assert header.stored[2] * 8 <= 1.05 * entropy
    assert header.stored[1] <= 2 * 300 * 12 + 30  # a scale of 2 bytes for 64 values


def test_few_bits_are_for_matrices() -> None:
    with pytest.raises(ValueError, match="x: has one dimension, and only a matrix has few bits"):
        encode("x", torch.ones(5), None, "int4", 0)


def test_forged_few_bits_are_rejected() -> None:
    whole = encode("x", torch.randn(130, 20), None, "int2", 1)
    wrong = {"zero": (0, 1, 65535), "values": (2, 3, 6, 7), "axis": (0, 255), "dims": (1,)}
    for changes in ({name: value} for name, values in wrong.items() for value in values):
        with pytest.raises(Broken):
            decode("x", forged(whole, **changes), (130, 20))
    header = read_header(whole)
    start = HEADER.size + header.stored[1]
    for byte, at in ((243, 0), (255, 519), (1, 520)):  # no digits of base 3; one after the last
        raw = bytearray(-(-2601 // 5) if at == 520 else 520)
        raw[at] = byte
        made = zstandard.compress(bytes(raw))
        body = whole[8 : HEADER.size - 8] + struct.pack("<Q", len(made))
        body += whole[HEADER.size : start] + made
        with pytest.raises(Broken):
            decode("x", checksum("x", body) + body, (130, 20))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_nonfinite_values_are_rejected(value: float) -> None:
    with pytest.raises(ValueError, match="x: has a value that is NaN or infinite"):
        encode("x", torch.tensor([1.0, value]), None, "int8", 0)
    with pytest.raises(ValueError, match="3 dimensions"):
        encode("x", torch.zeros(1, 1, 1), None, "int8", 0)


def fields(blob: bytes) -> list[int]:
    return list(HEADER.unpack_from(blob)[1:])


def forged(blob: bytes, **changes: int) -> bytes:
    """The same with other header fields, and the right checksum for it."""
    names = ("layout", "values", "axis", "dims", "exponent", "zero", "rows", "cols", "kept",
             "positions", "stored0", "stored1", "stored2")  # fmt: skip
    now = dict(zip(names, fields(blob), strict=True)) | changes
    body = HEADER.pack(bytes(8), *(now[name] for name in names))[8:] + blob[HEADER.size :]
    return checksum("x", body) + body


@pytest.fixture(params=LAYOUTS)
def blob(request) -> bytes:
    mask = torch.rand(30, 20, generator=torch.Generator().manual_seed(0)) < {
        "all": 1.1, "bitmask": 0.6, "gaps": 0.03}[request.param]  # fmt: skip
    found = encode("x", torch.randn(30, 20) * mask, mask, "int8", 1)
    assert read_header(found).layout == request.param
    return found


def test_every_header_field_is_checked(blob: bytes) -> None:
    """With a checksum that fits, so that the checks themselves are what rejects."""
    names = ("layout", "values", "axis", "dims", "zero", "rows", "cols", "kept", "positions",
             "stored0", "stored1", "stored2")  # fmt: skip
    right, _ = decode("x", blob, (30, 20))
    for name in names:
        top = {"layout": 255, "values": 255, "axis": 255, "dims": 255, "zero": 65535}
        for value in {0, 1, 2, 3, 7, 29, 31, 600, 2**31, 2**62, 2**64 - 1}:
            if value > top.get(name, 2**64):
                continue
            made = forged(blob, **{name: value})
            if fields(made) == fields(blob):
                continue
            try:
                values, _ = decode("x", made, (30, 20))
            except Broken:
                continue
            # Scales along the rows need 30 of them, not 20; nothing else may pass.
            raise AssertionError(f"{name}={value} gave {values.shape} in place of {right.shape}")


def test_damage_anywhere_is_rejected(blob: bytes) -> None:
    for at in range(len(blob)):
        for bit in (0, 3, 7):
            broken = bytearray(blob)
            broken[at] ^= 1 << bit
            with pytest.raises(Broken):
                decode("x", bytes(broken), (30, 20))
    for length in range(len(blob)):
        with pytest.raises(Broken):
            decode("x", blob[:length], (30, 20))
    with pytest.raises(Broken):
        decode("x", blob + b"\0", (30, 20))
    with pytest.raises(Broken, match="checksum"):
        decode("y", blob, (30, 20))


def stream(made: bytes) -> bytes:
    """A tensor (600,) in which this is the stream of int8 values, checksum and lengths right."""
    whole = encode("x", torch.randn(30, 20), None, "int8", 1)
    header = read_header(whole)
    start = HEADER.size + header.stored[1]
    scales = whole[HEADER.size : start]
    body = whole[8 : HEADER.size - 8] + struct.pack("<Q", len(made)) + scales + made
    return checksum("x", body) + body


def test_hostile_frames_are_rejected() -> None:
    good = bytes(600)
    assert not decode("x", stream(zstandard.compress(good)), (30, 20))[0].any()
    bomb = zstandard.compress(bytes(2**28))
    unsized = zstandard.ZstdCompressor(write_content_size=False).compress(good)
    long = zstandard.compress(bytes(601))
    for made in (
        bomb,
        unsized,
        long,
        zstandard.compress(good) + b"\0",
        zstandard.compress(good) + zstandard.compress(good),
        zstandard.compress(good)[:-1],
        zlib.compress(good),
        b"",
    ):
        with pytest.raises(Broken):
            decode("x", stream(made), (30, 20))


@pytest.mark.parametrize("largest", [1e-40, 1e-30, 1e-20, 1e30, 1e37, 3.4e38])
def test_magnitudes_that_int8_cannot_keep_exact(largest: float) -> None:
    values = torch.linspace(-1, 1, 600).view(30, 20) * largest
    blob = encode("x", values, None, "int8", 1)
    found, _ = decode("x", blob, (30, 20))
    assert encode("x", found, None, "int8", 1) == blob
    assert (found - values).abs().max() <= 0.005 * largest


def test_values_that_are_nonfinite_values_are_rejected() -> None:
    blob = bytearray(encode("x", torch.ones(30, 20), None, "fp16", 1))
    made = zstandard.compress(np.full(600, 0x7C00, np.uint16).tobytes())
    body = bytes(blob[8 : HEADER.size - 8]) + struct.pack("<Q", len(made)) + made
    with pytest.raises(Broken, match="NaN or infinite"):
        decode("x", checksum("x", body) + body, (30, 20))


@pytest.mark.parametrize("bits", [0x7C00, 0x7E00, 0xBC00])
def test_scales_that_are_nonfinite_values_are_rejected(bits: int) -> None:
    """Infinite, not a number, negative."""
    whole = encode("x", torch.randn(30, 20), None, "int8", 1)
    header = read_header(whole)
    scales = zstandard.compress(np.full(20, bits, np.uint16).tobytes())
    values = whole[HEADER.size + header.stored[1] :]
    lengths = struct.pack("<QQ", len(scales), len(values))
    body = whole[8 : HEADER.size - 16] + lengths + scales + values
    with pytest.raises(Broken, match="scale"):
        decode("x", checksum("x", body) + body, (30, 20))


def test_an_exponent_that_overflows_is_rejected() -> None:
    blob = encode("x", torch.randn(30, 20), None, "int8", 1)
    with pytest.raises(Broken, match="scale"):
        decode("x", forged(blob, exponent=2000), (30, 20))
