"""How well scores rank the candidates of each query: MAP, MRR@k, NDCG@k.

Candidates whose scores are equal are ranked in the worst order, the least relevant first. The order
of a file must not decide: many files list the relevant candidate first, and a model that gives
every candidate the same score would look perfect. Queries without a relevant candidate are left
out, as every ranking of them is equally good. A score that is NaN ranks last.
"""

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
Groups = list[NDArray[np.float64]]


def rankings(scores: NDArray[np.floating], relevance: NDArray[np.generic],
             queries: NDArray[np.integer]) -> Groups:  # fmt: skip
    """Relevance of the candidates of each query, best score first.

    Args:
        scores: (n,), higher is better.
        relevance: (n,), 0 for an irrelevant candidate, above 0 for a relevant one.
        queries: (n,), number of the query of each candidate, in any order.

    Returns:
        One array per query that has a relevant candidate, by ascending number of the query.

    Raises:
        ValueError: the lengths differ, or a relevance is negative or NaN.

    Example:
        >>> rankings(np.array([0.1, 0.9]), np.array([1, 0]), np.array([7, 7]))
        [array([0., 1.])]
    """
    grades = np.asarray(relevance, dtype=np.float64)
    if not len(scores) == len(grades) == len(queries):
        raise ValueError(f"{len(scores)} scores, {len(grades)} grades, {len(queries)} queries")
    if not np.all(grades >= 0):
        raise ValueError("a relevance is negative or NaN")
    keys = np.where(np.isnan(scores), -np.inf, scores)
    order = np.lexsort((grades, -keys, queries))
    if not len(order):
        return []
    cuts = np.flatnonzero(np.diff(queries[order])) + 1
    return [ranked for ranked in np.split(grades[order], cuts) if ranked.any()]


def average_precisions(ranked: Groups) -> Numbers:
    """Average precision of each query: mean precision at the rank of each relevant candidate.

    Their mean is MAP (Manning, Raghavan & Schütze 2008, section 8.4).

    Example:
        >>> average_precisions([np.array([1.0, 0.0, 0.0, 1.0])])
        array([0.75])
    """
    values = []
    for grades in ranked:
        ranks = np.flatnonzero(grades) + 1
        values.append(float((np.arange(1, len(ranks) + 1) / ranks).mean()))
    return np.array(values, dtype=np.float64)


def reciprocal_ranks(ranked: Groups, k: int) -> Numbers:
    """1 / rank of the first relevant candidate of each query, 0 if it is not among the first ``k``.

    Their mean is MRR@k (Voorhees 1999).

    Example:
        >>> reciprocal_ranks([np.array([0.0, 1.0]), np.array([0.0, 0.0, 1.0])], k=2)
        array([0.5, 0. ])
    """
    firsts = np.array([np.flatnonzero(grades)[0] + 1 for grades in ranked], dtype=np.float64)
    return np.where(firsts <= k, 1 / firsts, 0.0)


def gains(ranked: Groups, k: int) -> Numbers:
    """NDCG@k of each query: DCG of the ranking divided by that of the best possible one.

    DCG is the sum of relevance / log2(rank + 1) over the first ``k`` (Järvelin & Kekäläinen 2002,
    with linear gain as in trec_eval and scikit-learn).

    Example:
        >>> gains([np.array([1.0, 0.0])], k=10)
        array([1.])
    """
    values = []
    for grades in ranked:
        top = min(k, len(grades))
        discounts = 1 / np.log2(np.arange(2, top + 2))
        best = np.sort(grades)[::-1][:top] @ discounts
        values.append(float(grades[:top] @ discounts / best))
    return np.array(values, dtype=np.float64)


def ranking_metrics(scores: NDArray[np.floating], relevance: NDArray[np.generic],
                    queries: NDArray[np.integer], k: int = 10) -> dict[str, float]:  # fmt: skip
    """MAP, MRR@k and NDCG@k, each the mean over the queries that have a relevant candidate.

    Arguments and errors are those of `rankings`.

    Returns:
        ``{"map", "mrr", "ndcg"}`` in [0, 1], all 0 if no query has a relevant candidate, and
        ``"queries"``, the number of queries averaged over.

    Example:
        >>> ranking_metrics(np.array([0.2, 0.9]), np.array([1, 0]), np.array([0, 0]))["mrr"]
        0.5
    """
    ranked = rankings(scores, relevance, queries)
    if not ranked:
        return {"map": 0.0, "mrr": 0.0, "ndcg": 0.0, "queries": 0}
    return {
        "map": float(average_precisions(ranked).mean()),
        "mrr": float(reciprocal_ranks(ranked, k).mean()),
        "ndcg": float(gains(ranked, k).mean()),
        "queries": len(ranked),
    }
