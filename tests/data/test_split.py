"""Labelled rows and their digest."""

import numpy as np
import pytest

from lada.data.split import Split


def _split(
    texts: list[str], pairs: list[str] | None = None, labels: list[int] | None = None
) -> Split:
    values = np.array([0] * len(texts) if labels is None else labels, dtype=np.int64)
    return Split("train", texts, pairs, values)


def test_digest_is_of_the_content_alone() -> None:
    again = Split("dev", ("a", "b"), None, np.array([0, 1], dtype=np.int64))
    assert again.digest == _split(["a", "b"], labels=[0, 1]).digest
    assert len(again) == 2


def test_digest_tells_every_difference() -> None:
    splits = [
        _split([]),
        _split([""]),
        _split(["ab"]),
        _split(["a", "b"]),
        _split(["b", "a"]),
        _split(["a", "b"], labels=[0, 1]),
        _split(["a", "b"], labels=[1, 0]),
        _split(["a"], ["b"]),
        _split(["b"], ["a"]),
        _split(["ab"], [""]),
        _split([""], ["ab"]),
        _split(["a\0b"]),
        _split(["", "", ""]),
        _split(["", ""], ["", ""]),
    ]
    assert len({split.digest for split in splits}) == len(splits)


def test_columns_of_different_lengths_are_rejected() -> None:
    with pytest.raises(ValueError, match="different lengths"):
        _split(["a", "b"], ["c"])
