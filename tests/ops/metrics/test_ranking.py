"""Rankings against scikit-learn, and against all orders of equal scores written out."""

from itertools import permutations

import numpy as np
import pytest
from sklearn.metrics import (
    average_precision_score,
    label_ranking_average_precision_score,
    ndcg_score,
)

from lada.ops.metrics.ranking import ranking_metrics, rankings

RNG = np.random.default_rng(0)


def test_against_scikit_learn() -> None:
    for k in (1, 3, 10):
        sizes = RNG.integers(2, 12, size=30)
        queries = np.repeat(RNG.permutation(1000)[:30], sizes)
        relevance = RNG.integers(0, 2, size=len(queries))
        scores = RNG.permutation(len(queries)).astype(np.float32)  # no two are equal
        mixed = RNG.permutation(len(queries))
        found = ranking_metrics(scores[mixed], relevance[mixed], queries[mixed], k)
        each = []
        for query in np.unique(queries):
            truth, score = relevance[queries == query], scores[queries == query]
            if truth.any():
                first = 1 + int(np.argmax(truth[np.argsort(-score)]))
                each.append(
                    (
                        average_precision_score(truth, score),
                        1 / first if first <= k else 0.0,
                        ndcg_score([truth], [score], k=k),
                    )
                )
                lrap = label_ranking_average_precision_score([truth], [score])
                assert lrap == pytest.approx(each[-1][0])
        assert 0 < found["queries"] == len(each)
        means = np.mean(each, axis=0)
        assert [found["map"], found["mrr"], found["ndcg"]] == pytest.approx(means)


def test_grades() -> None:
    relevance, scores = np.array([0.5, 2, 0, 1]), np.array([0.1, 0.3, 0.4, 0.2])
    found = ranking_metrics(scores, relevance, np.zeros(4, dtype=np.int64))
    assert found["ndcg"] == pytest.approx(ndcg_score([relevance], [scores]))


def test_ties_are_the_worst_of_all_orders() -> None:
    for _ in range(40):
        relevance = RNG.integers(0, 2, size=5)
        relevance[RNG.integers(5)] = 1
        scores = RNG.integers(0, 3, size=5).astype(np.float64)
        queries = np.zeros(5, dtype=np.int64)
        orders = [
            ranking_metrics(scores + 0.01 * np.array(order), relevance, queries, 3)
            for order in permutations(range(5))
        ]
        found = ranking_metrics(scores, relevance, queries, 3)
        for name in ("map", "mrr", "ndcg"):
            assert found[name] == pytest.approx(min(order[name] for order in orders))


def test_the_order_of_the_file_does_not_count() -> None:
    scores, relevance = np.zeros(4), np.array([1, 0, 0, 0])
    queries = np.zeros(4, dtype=np.int64)
    first = ranking_metrics(scores, relevance, queries)
    assert first == ranking_metrics(scores, relevance[::-1], queries)
    assert first["mrr"] == 0.25


def test_nan_ranks_last() -> None:
    found = ranking_metrics(np.array([np.nan, -5.0]), np.array([1, 0]), np.array([0, 0]))
    assert found["mrr"] == 0.5


def test_no_query_with_a_relevant_candidate() -> None:
    none = {"map": 0.0, "mrr": 0.0, "ndcg": 0.0, "queries": 0}
    assert ranking_metrics(np.ones(2), np.zeros(2), np.zeros(2, dtype=np.int64)) == none
    assert ranking_metrics(np.ones(0), np.zeros(0), np.zeros(0, dtype=np.int64)) == none


def test_bad_input() -> None:
    with pytest.raises(ValueError, match="1 scores, 2 grades, 2 queries"):
        rankings(np.ones(1), np.ones(2), np.ones(2, dtype=np.int64))
    for bad in (-1.0, np.nan):
        with pytest.raises(ValueError, match="negative or NaN"):
            rankings(np.ones(1), np.array([bad]), np.ones(1, dtype=np.int64))
