"""Nearest neighbours against scikit-learn's."""

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from lada.ops.metrics import neighbours
from lada.ops.metrics.neighbours import nearest, neighbour_recall


@pytest.mark.parametrize("chunk", [7, 1000])
def test_they_are_those_of_scikit_learn(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "_CHUNK", chunk)
    vectors = np.random.default_rng(0).normal(size=(50, 6)) * np.arange(1, 51)[:, None]
    index = NearestNeighbors(n_neighbors=4, metric="cosine", algorithm="brute").fit(vectors)
    expected = index.kneighbors(return_distance=False)  # not the vector itself
    assert nearest(vectors, 4).tolist() == expected.tolist()


def test_equal_vectors_are_neighbours_and_none_is_its_own() -> None:
    found = nearest([[1.0, 0.0]] * 3 + [[0.0, 0.0]], 2)
    assert found.tolist() == [[1, 2], [0, 2], [0, 1], [0, 1]]


def test_recall_is_the_share_that_both_have() -> None:
    draw = np.random.default_rng(1)
    found, wanted = (np.stack([draw.permutation(9)[:4] for _ in range(20)]) for _ in range(2))
    expected = [
        len(set(a.tolist()) & set(b.tolist())) / 4 for a, b in zip(found, wanted, strict=True)
    ]
    assert neighbour_recall(found, wanted).tolist() == expected
    assert neighbour_recall(found, found[:, ::-1]).tolist() == [1.0] * 20


def test_shapes_that_do_not_fit_are_rejected() -> None:
    with pytest.raises(ValueError, match="3 nearest of vectors of shape"):
        nearest(np.eye(3), 3)
    with pytest.raises(ValueError, match="not two of one shape"):
        neighbour_recall([[1, 2]], [[1]])
