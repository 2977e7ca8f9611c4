"""Batches of similar length, and their tensors."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from lada.data.batches import BucketBatches, collate, part_of, totals
from lada.data.tokens import Encoded
from lada.errors import LadaError


def _lengths(rows: int) -> NDArray[np.int64]:
    return np.random.default_rng(rows).integers(3, 129, rows)


def _padding(batches: list[NDArray[np.int64]], lengths: NDArray[np.int64]) -> int:
    return sum(int(lengths[rows].max() * len(rows) - lengths[rows].sum()) for rows in batches)


def _equal(one: list[NDArray[np.int64]], other: list[NDArray[np.int64]]) -> bool:
    return len(one) == len(other) and all(map(np.array_equal, one, other))


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize(("rows", "size"), [(1, 8), (7, 8), (8, 8), (512, 8), (1003, 8), (50, 1)])
def test_every_row_once_and_one_short_batch_at_most(rows: int, size: int, shuffle: bool) -> None:
    batches = BucketBatches(_lengths(rows), size, seed=3, window=4, shuffle=shuffle)
    for epoch in range(3):
        cut = batches.epoch(epoch)
        assert sorted(np.concatenate(cut).tolist()) == list(range(rows))
        assert len(cut) == len(batches) == -(-rows // size)
        sizes = sorted(len(batch) for batch in cut)
        assert sizes[1:] == [size] * (len(cut) - 1)
        assert sizes[0] == rows - size * (len(cut) - 1)


def test_no_rows_make_no_batch() -> None:
    batches = BucketBatches(_lengths(0), 8, seed=0)
    assert len(batches) == 0 and batches.epoch(0) == []


def test_the_order_is_a_function_of_seed_and_epoch() -> None:
    lengths = _lengths(300)
    first = BucketBatches(lengths, 8, seed=5)
    first.epoch(0)
    np.random.seed(1)
    again = BucketBatches(lengths, 8, seed=5)
    assert _equal(first.epoch(2), again.epoch(2))
    assert not _equal(first.epoch(2), first.epoch(3))
    assert not _equal(first.epoch(2), BucketBatches(lengths, 8, seed=6).epoch(2))


def test_the_order_as_specified() -> None:
    lengths = _lengths(75)
    generator = np.random.Generator(np.random.PCG64([9, 4]))
    order = generator.permutation(75).tolist()
    expected = []
    for begin in range(0, 75, 24):
        window = sorted(order[begin : begin + 24], key=lambda row: int(lengths[row]))
        expected += [window[at : at + 8] for at in range(0, len(window), 8)]
    shuffled = [expected[place] for place in generator.permutation(len(expected))]
    cut = BucketBatches(lengths, 8, seed=9, window=3).epoch(4)
    assert [batch.tolist() for batch in cut] == shuffled


def test_sorting_wastes_less_padding() -> None:
    lengths = _lengths(4000)
    unsorted = BucketBatches(lengths, 16, seed=0, window=1).epoch(0)
    bucketed = BucketBatches(lengths, 16, seed=0).epoch(0)
    whole = BucketBatches(lengths, 16, seed=0, shuffle=False).epoch(0)
    assert _padding(bucketed, lengths) < _padding(unsorted, lengths) / 4
    assert _padding(whole, lengths) < _padding(bucketed, lengths)


def test_batches_of_one_window_are_not_in_order_of_length() -> None:
    lengths = np.arange(512)
    longest = [int(lengths[rows].max()) for rows in BucketBatches(lengths, 8, seed=0).epoch(0)]
    assert longest != sorted(longest)


def test_evaluation_is_the_same_every_epoch_and_longest_first() -> None:
    lengths = np.array([5, 9, 5, 7, 9, 2])
    batches = BucketBatches(lengths, 4, seed=0, shuffle=False)
    for epoch in range(2):
        assert [rows.tolist() for rows in batches.epoch(epoch)] == [[1, 4, 3, 0], [2, 5]]


def test_batch_size_under_1_is_rejected() -> None:
    with pytest.raises(LadaError, match="batch_size=0"):
        BucketBatches(_lengths(3), 0, seed=0)


def _encoded(rows: int) -> Encoded:
    generator = np.random.default_rng(0)
    lengths = generator.integers(2, 12, rows)
    return Encoded(
        ids=generator.integers(5, 99, lengths.sum()).astype(np.int32),
        starts=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        first=generator.integers(1, lengths + 1).astype(np.int32),
        labels=generator.integers(0, 3, rows),
    )


@pytest.mark.parametrize("rows", [[0], [7, 2, 19, 4], [3, 3], list(range(20))])
@pytest.mark.parametrize("pad_id", [0, 1])
def test_collate_against_a_loop(rows: list[int], pad_id: int) -> None:
    enc = _encoded(20)
    longest = max(enc.starts[row + 1] - enc.starts[row] for row in rows)
    ids, mask, types = [], [], []
    for row in rows:
        tokens = enc.ids[enc.starts[row] : enc.starts[row + 1]].tolist()
        gap = longest - len(tokens)
        ids.append(tokens + [pad_id] * gap)
        mask.append([1] * len(tokens) + [0] * gap)
        types.append([int(at >= enc.first[row]) for at in range(len(tokens))] + [0] * gap)
    expected = {
        "input_ids": ids,
        "attention_mask": mask,
        "token_type_ids": types,
        "labels": [enc.labels[row] for row in rows],
        "examples": rows,
    }
    batch = collate(enc, np.array(rows), pad_id)
    assert set(batch) == set(expected)
    for name, values in expected.items():
        assert batch[name].dtype == torch.int64
        assert torch.equal(batch[name], torch.tensor(np.array(values))), name


def test_collate_leaves_the_rows_untouched() -> None:
    enc, rows = _encoded(5), np.array([1, 2])
    batch = collate(enc, rows, 0)
    batch["examples"].zero_()
    batch["labels"].fill_(-1)
    assert rows.tolist() == [1, 2] and enc.labels.min() >= 0


@pytest.mark.parametrize(("rows", "parts"), [(32, 1), (32, 4), (31, 4), (3, 4), (1, 8)])
def test_parts_of_a_batch_are_its_rows_once(rows: int, parts: int) -> None:
    whole = np.arange(100, 100 + rows)
    cut = [part_of(whole, part, parts) for part in range(parts)]
    assert np.concatenate(cut).tolist() == whole.tolist()
    sizes = [len(part) for part in cut]
    assert max(sizes) - min(sizes) <= 1


def test_totals_by_hand() -> None:
    assert totals(np.array([5, 2, 3])).tolist() == [3, 10, 25 + 4 + 9]
