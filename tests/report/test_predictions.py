"""Answers to dev examples, as a file and as text."""

import base64
import json
import zlib
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from lada.report.predictions import (
    from_hex,
    from_packed,
    read_units,
    to_hex,
    to_packed,
    write_predictions,
)


def test_file_and_who_is_right(tmp_path: Path) -> None:
    file = tmp_path / "predictions.safetensors"
    labels = np.array([0, 2, 1, 1])
    write_predictions(
        file,
        {
            "teacher": {"dev": np.array([0, 2, 1, 0]), "other": np.array([1])},
            "artifact": {"dev": np.array([0, 1, 2, 1]), "other": np.array([0])},
            "labels": {"dev": labels, "other": np.array([1])},
        },
    )
    assert {t.dtype for t in load_file(file).values()} == {np.dtype(np.int16)}
    found = read_units(file)
    assert set(found) == {"teacher", "artifact"}
    assert found["teacher"]["dev"].tolist() == [[0, 0], [2, 2], [1, 1], [0, 1]]
    assert found["artifact"]["dev"].tolist() == [[0, 0], [1, 2], [2, 1], [1, 1]]
    assert found["artifact"]["other"].tolist() == [[0, 1]]
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(ValueError, match=r"predictions.safetensors: "):
        read_units(file)


def test_units_of_kinds_without_one_label_are_read_as_they_are(tmp_path: Path) -> None:
    file = tmp_path / "predictions.safetensors"
    draw = np.random.default_rng(0)
    units = {
        "teacher": {"dev": draw.normal(size=(5, 2)), "other": draw.integers(9, size=(4, 3, 3))},
        "artifact": {"dev": draw.normal(size=(5, 2)), "other": draw.integers(9, size=(4, 3, 3))},
    }
    write_predictions(file, units)
    found = read_units(file)
    for who, splits in units.items():
        for split, expected in splits.items():
            assert found[who][split].dtype == expected.dtype
            assert np.array_equal(found[who][split], expected)


@pytest.mark.parametrize(
    ("units", "kind"),
    [
        (np.array([[0, 1, 255]]), "uint8"),
        (np.array([[True, False]]), "uint8"),
        (np.array([0, 256]), "int16"),
        (np.array([-1, 0]), "int16"),
        (np.array([[[40_000]]]), "int32"),
        (np.zeros((0, 3), np.int64), "uint8"),
        (np.array([0.1, -2.5], np.float32), "float32"),
        (np.array([[0.5, np.nan]]), "float32"),
    ],
)
def test_packed_numbers(units: np.ndarray, kind: str) -> None:
    packed = json.loads(json.dumps(to_packed(units)))
    assert packed["type"] == kind
    found = from_packed(packed)
    assert found.dtype == np.dtype(kind) and found.shape == units.shape
    assert np.array_equal(found, units, equal_nan=units.dtype.kind == "f")


def test_packed_numbers_that_are_not_what_they_say() -> None:
    packed = to_packed(np.arange(6).reshape(3, 2))
    huge = base64.b64encode(zlib.compress(bytes(10_000_000), 9)).decode()
    for changed, line in (
        ({"shape": [3, 3]}, r"not those of shape \[3, 3\]"),
        ({"shape": [2, 2]}, r"not those of shape \[2, 2\]"),
        ({"type": "object"}, "of type object"),
        ({"data": packed["data"][:-4]}, "not those of shape|corrupt"),
        ({"data": "!!!!"}, "corrupt"),
        ({"data": base64.b64encode(b"no").decode()}, "corrupt"),
        ({"data": huge}, "not those of shape"),
    ):
        with pytest.raises(ValueError, match=line):
            from_packed(packed | changed)
    with pytest.raises(ValueError, match="have no type"):
        to_packed(np.array([2**40]))


def test_hex_is_one_bit_a_row() -> None:
    assert to_hex(np.array([1, 0, 1, 0, 1, 1, 1, 1, 1], dtype=bool)) == "af80"
    for rows in (1, 7, 8, 9, 872):
        bits = np.random.default_rng(rows).random(rows) < 0.7
        assert np.array_equal(from_hex(to_hex(bits), rows), bits)
    with pytest.raises(ValueError, match="16 bits are not those of 17 examples"):
        from_hex("af80", 17)
