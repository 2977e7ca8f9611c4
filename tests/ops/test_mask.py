"""Masks of the largest scores against numpy's sort."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lada.ops.mask import largest, largest_overall, proportional_counts

# Few distinct values, so that ties are common.
scores_lists = st.lists(
    st.sampled_from([-2.0, -1.0, 0.0, 0.5, 1.0, 3.0]) | st.floats(-1e6, 1e6, width=32),
    min_size=1,
    max_size=60,
)


@settings(max_examples=150)
@given(values=scores_lists, data=st.data())
def test_exactly_the_largest_are_kept(values: list[float], data: st.DataObject) -> None:
    keep = data.draw(st.integers(0, len(values)))
    scores = torch.tensor(values)
    mask = largest(scores, keep)
    assert mask.dtype is torch.bool
    assert mask.shape == scores.shape
    assert int(mask.sum()) == keep
    # As multisets: with ties any of the tied entries may be the kept one.
    expected = np.sort(scores.numpy())[len(values) - keep :]
    np.testing.assert_array_equal(np.sort(scores[mask].numpy()), expected)


@pytest.mark.parametrize("keep", range(13))
def test_the_shape_is_that_of_the_scores(keep: int) -> None:
    scores = torch.arange(12.0).reshape(2, 2, 3).flip(0)
    mask = largest(scores, keep)
    assert mask.shape == (2, 2, 3)
    assert torch.equal(mask, scores >= 12 - keep)


@pytest.mark.parametrize("keep", [0, 1, 3, 4, 5, 7, 8])
def test_all_tied(keep: int) -> None:
    assert int(largest(torch.full((2, 4), 7.0), keep).sum()) == keep
    assert int(largest(torch.zeros(2, 4), keep).sum()) == keep


def test_scores_need_not_be_contiguous() -> None:
    scores = torch.tensor([[1.0, 5.0, 3.0], [6.0, 2.0, 4.0]]).T
    assert largest(scores, 2).tolist() == [[False, True], [True, False], [False, False]]
    assert largest(scores, 5).tolist() == [[False, True], [True, True], [True, True]]


def test_infinite_and_half_scores() -> None:
    inf = float("inf")
    mask = largest(torch.tensor([1.0, -inf, inf, 0.0, -inf]), 3)
    assert mask.tolist() == [True, False, True, True, False]
    mask = largest(torch.tensor([1.0, -3.0, 2.0], dtype=torch.bfloat16), 1)
    assert mask.tolist() == [False, False, True]


def test_the_scores_are_not_changed() -> None:
    scores = torch.tensor([3.0, 1.0, 2.0])
    largest(scores, 1)[:] = True
    largest(scores, 3)[:] = False
    assert scores.tolist() == [3.0, 1.0, 2.0]


@pytest.mark.parametrize("keep", [-1, 7])
def test_a_count_out_of_range_is_rejected(keep: int) -> None:
    with pytest.raises(ValueError, match=f"cannot keep {keep} of 6 entries"):
        largest(torch.zeros(2, 3), keep)
    with pytest.raises(ValueError, match=f"cannot keep {keep} of 6 entries"):
        largest_overall([torch.zeros(2), torch.zeros(4)], keep)


def test_no_tensors_are_rejected() -> None:
    with pytest.raises(ValueError, match="no tensors"):
        largest_overall([], 0)


def test_one_threshold_over_all_by_hand() -> None:
    small, large = torch.tensor([[0.1, 0.4], [0.2, 0.3]]), torch.tensor([9.0, 0.25, 8.0])
    masks = largest_overall([small, large], 4)
    assert masks[0].tolist() == [[False, True], [False, True]]
    assert masks[1].tolist() == [True, False, True]
    masks = largest_overall([small, large], 2)
    assert not masks[0].any()
    assert masks[1].tolist() == [True, False, True]


@settings(max_examples=80)
@given(parts=st.lists(scores_lists, min_size=1, max_size=4), data=st.data())
def test_one_threshold_over_all(parts: list[list[float]], data: st.DataObject) -> None:
    scores = [torch.tensor(p) for p in parts]
    flat = np.concatenate([s.numpy() for s in scores])
    keep = data.draw(st.integers(0, flat.size))
    masks = largest_overall(scores, keep)
    assert [m.shape for m in masks] == [s.shape for s in scores]
    kept = np.concatenate([s[m].numpy() for s, m in zip(scores, masks, strict=True)])
    np.testing.assert_array_equal(np.sort(kept), np.sort(flat)[flat.size - keep :])


def filled(wanted: list[float], keep: int, least: list[int], most: list[int]) -> list[float]:
    """Shares in proportion within bounds, by fixing what is out of bounds again and again."""
    fixed: dict[int, float] = {}
    while True:
        free = [i for i in range(len(wanted)) if i not in fixed]
        left, weight = keep - sum(fixed.values()), sum(wanted[i] for i in free)
        share = {i: left * wanted[i] / weight for i in free}
        low = {i: float(least[i]) for i in free if share[i] < least[i]}
        high = {i: float(most[i]) for i in free if share[i] > most[i]}
        if not low and not high:
            return [fixed.get(i, share.get(i, 0.0)) for i in range(len(wanted))]
        lacking = sum(low[i] - share[i] for i in low)
        over = sum(share[i] - high[i] for i in high)
        fixed |= low if lacking >= over else high


@settings(max_examples=80)
@given(sizes=st.lists(st.integers(1, 60), min_size=1, max_size=5), data=st.data())
def test_counts_in_proportion_to_scores(sizes: list[int], data: st.DataObject) -> None:
    generator = torch.Generator().manual_seed(data.draw(st.integers(0, 99)))
    spread = [data.draw(st.sampled_from([0.01, 1.0, 100.0])) for _ in sizes]
    scores = [s * torch.randn(n, generator=generator) for s, n in zip(spread, sizes, strict=True)]
    pruned = [torch.rand(n, generator=generator) < 0.3 for n in sizes]
    for part, gone in zip(scores, pruned, strict=True):
        part[gone] = -torch.inf
    most = [int((~gone).sum()) for gone in pruned]
    least = [data.draw(st.integers(0, n)) for n in most]
    keep = data.draw(st.integers(sum(least), sum(most)))
    found = proportional_counts(scores, keep, least)
    assert sum(found) == keep
    flat = torch.cat(scores)
    unit = flat[flat.isfinite()].double().square().mean().sqrt() if sum(most) else 1.0
    wanted = [
        float(torch.where(part.isfinite(), part, 0.0).double().div(unit or 1.0).sigmoid().sum())
        for part in scores
    ]
    for count, expected, low, high in zip(
        found, filled(wanted, keep, least, most), least, most, strict=True
    ):
        assert low <= count <= high
        assert abs(count - expected) < 1 + 1e-6
    scaled = [7.0 * part for part in scores]
    assert np.abs(np.subtract(proportional_counts(scaled, keep, least), found)).max() <= 1


def test_counts_beyond_what_is_unpruned() -> None:
    gone, there = torch.full((4,), -torch.inf), torch.ones(4)
    assert proportional_counts([gone, there], 4, [1, 1]) == [0, 4]
    assert sum(proportional_counts([gone, there], 6, [1, 1])) == 6
    with pytest.raises(ValueError, match="cannot keep 9"):
        proportional_counts([gone, there], 9, [1, 1])
    with pytest.raises(ValueError, match="NaN"):
        proportional_counts([there, torch.tensor([torch.nan])], 2, [1, 1])


@pytest.mark.parametrize("kind", ["normal", "tied", "two values", "sorted", "one far out"])
@pytest.mark.parametrize("share", [0.0001, 0.3, 0.5, 0.9999])
def test_many_entries(kind: str, share: float) -> None:
    """Above a million entries the threshold is found by way of a sample."""
    random = torch.Generator().manual_seed(1)
    scores = torch.randn(1_100_003, generator=random)
    if kind == "tied":
        scores = (4 * scores).round()
    elif kind == "two values":
        scores = (scores > 0).float()
    elif kind == "sorted":
        scores = scores.sort().values
    elif kind == "one far out":
        scores[77] = -1e30
    keep = int(share * len(scores))
    mask = largest(scores, keep)
    assert int(mask.sum()) == keep
    assert scores[mask].min() >= scores[~mask].max()
    least = scores[mask].min()
    tied = (scores == least).nonzero()[:, 0]
    kept = mask[tied]
    assert bool((kept[:-1] >= kept[1:]).all())  # of equal ones the first


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("total", [1, 2, 9, 1000, 2**19 + 7])
def test_nan_scores_are_an_error(dtype: torch.dtype, total: int) -> None:
    """Wherever they are, few or many, beside infinite ones, and whatever is kept."""
    draw = np.random.default_rng(total)
    for count in {1, total // 3, total} - {0}:
        scores = torch.from_numpy(draw.normal(size=total)).to(dtype)
        scores[int(draw.integers(total))] = float("inf")
        scores[torch.from_numpy(draw.permutation(total)[:count])] = float("nan")
        for keep in {0, 1, total // 2, total}:
            with pytest.raises(ValueError, match="a score is NaN"):
                largest(scores, keep)
            with pytest.raises(ValueError, match="a score is NaN"):
                largest_overall([torch.ones(3, dtype=dtype), scores], keep)
    for place in (0, total - 1):
        scores = torch.full((total,), float("-inf"), dtype=dtype)
        scores[place] = float("nan")
        with pytest.raises(ValueError, match="a score is NaN"):
            largest(scores, total - 1)
