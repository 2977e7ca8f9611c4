"""Answers to dev examples, as a file and as text."""

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from lada.report.predictions import from_hex, read_correct, to_hex, write_predictions


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
    found = read_correct(file)
    assert set(found) == {"teacher", "artifact"}
    assert found["teacher"]["dev"].tolist() == [True, True, True, False]
    assert found["artifact"]["dev"].tolist() == [True, False, False, True]
    assert found["artifact"]["other"].tolist() == [False]
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(ValueError, match=r"predictions.safetensors: "):
        read_correct(file)


def test_hex_is_one_bit_a_row() -> None:
    assert to_hex(np.array([1, 0, 1, 0, 1, 1, 1, 1, 1], dtype=bool)) == "af80"
    for rows in (1, 7, 8, 9, 872):
        bits = np.random.default_rng(rows).random(rows) < 0.7
        assert np.array_equal(from_hex(to_hex(bits), rows), bits)
    with pytest.raises(ValueError, match="16 bits are not those of 17 examples"):
        from_hex("af80", 17)
