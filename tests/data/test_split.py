"""The digest of rows, and the cut of selection rows."""

import numpy as np
import pytest

from lada.data.split import Split, cut_select
from lada.errors import LadaError


def _split(
    texts: list[str], pairs: list[str] | None = None, labels: list[int] | None = None
) -> Split:
    values = np.array([0] * len(texts) if labels is None else labels, dtype=np.int64)
    return Split("train", texts, pairs, values)


def _numbered(rows: int) -> Split:
    return _split([f"row {i}" for i in range(rows)], labels=[i % 2 for i in range(rows)])


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


def test_columns_of_different_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="different lengths"):
        _split(["a", "b"], ["c"])


@pytest.mark.parametrize(
    ("total", "asked", "expected"),
    [(50, None, 5), (59, None, 5), (10, None, 1), (20100, None, 2000), (50, 7, 7), (50, 49, 49)],
)
def test_size(total: int, asked: int | None, expected: int) -> None:
    train, select = cut_select(_numbered(total), asked)
    assert (len(train), len(select)) == (total - expected, expected)
    assert (train.name, select.name) == ("train", "select")


def test_rows_stay_whole_and_in_order() -> None:
    texts = [f"row {i}" for i in range(40)]
    whole = _split(texts, [f"pair {i}" for i in range(40)], list(range(40)))
    seen = []
    for part in cut_select(whole, 10):
        numbers = part.labels.tolist()
        assert numbers == sorted(numbers)
        assert list(part.texts) == [f"row {i}" for i in numbers]
        assert part.pairs == [f"pair {i}" for i in numbers]
        seen += numbers
    assert sorted(seen) == list(range(40))


def test_the_cut_does_not_depend_on_order_or_labels() -> None:
    texts = [f"row {i}" for i in range(200)]
    expected = set(cut_select(_split(texts), 50)[1].texts)
    shuffled = [texts[i] for i in np.random.default_rng(0).permutation(200)]
    assert set(cut_select(_split(shuffled), 50)[1].texts) == expected
    assert set(cut_select(_split(texts, labels=[1] * 200), 50)[1].texts) == expected
    assert expected != set(texts[:50])


def test_second_texts_count_for_the_cut() -> None:
    texts = ["same"] * 100
    _, select = cut_select(_split(texts, [f"pair {i}" for i in range(100)]), 10)
    assert len(select) == 10


def test_a_larger_cut_holds_the_smaller() -> None:
    small, large = (set(cut_select(_numbered(100), rows)[1].texts) for rows in (10, 30))
    assert small < large


@pytest.mark.parametrize("asked", range(1, 30))
def test_equal_texts_are_on_one_side(asked: int) -> None:
    texts = [f"row {i % 13}" for i in range(40)]
    train, select = cut_select(_split(texts, labels=list(range(40))), asked)
    assert not set(train.texts) & set(select.texts)
    # Whole groups of 3 or 4 rows: at most 3 more than asked for.
    assert asked <= len(select) <= asked + 3


@pytest.mark.parametrize(
    ("texts", "asked", "expected"),
    [
        ([f"{i}" for i in range(9)], None, "train has 9 rows, too few"),
        ([], None, "train has 0 rows, too few"),
        (["a", "b"], 2, "data.select=2 leaves nothing of 2 train rows"),
        (["a", "b"], 5, "data.select=5 leaves nothing of 2 train rows"),
        (["a", "b"], 0, "data.select=0 keeps no row"),
        (["a", "a", "a"], 1, "data.select=1 leaves nothing of 3 train rows"),
    ],
)
def test_impossible_cuts(texts: list[str], asked: int | None, expected: str) -> None:
    with pytest.raises(LadaError) as caught:
        cut_select(_split(texts), asked)
    assert str(caught.value).startswith(expected)
    assert "\n" not in str(caught.value)
