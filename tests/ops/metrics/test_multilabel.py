"""Several labels per example: scikit-learn, and all thresholds tried one by one."""

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, f1_score

from lada.ops.metrics.multilabel import (
    average_precision,
    best_threshold,
    choose_thresholds,
    f1_scores,
    label_counts,
)

RNG = np.random.default_rng(0)


def drawn(n: int, labels: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Probabilities with ties, and a truth that goes with them; the last label is never true."""
    p = RNG.integers(0, 11, size=(n, labels)) / 10
    truth = (RNG.random((n, labels)) < p**2).astype(np.int64)
    truth[:, -1] = 0
    return p, truth


@pytest.mark.parametrize("n", [1, 7, 200])
def test_f1_is_that_of_scikit_learn(n: int) -> None:
    for thresholds in (0.5, [0.2, 0.9, 0.5, 0.0]):
        p, truth = drawn(n, 4)
        found = f1_scores(label_counts(p, truth, thresholds))
        chosen = (p >= thresholds).astype(int)
        for name, average in (("micro", "micro"), ("macro", "macro"), ("labels", None)):
            assert found[name] == pytest.approx(
                f1_score(truth, chosen, average=average, zero_division=0)
            )
        assert f1_scores(label_counts(chosen, truth)) == found


@pytest.mark.parametrize("n", [1, 7, 200])
def test_average_precision_is_that_of_scikit_learn(n: int) -> None:
    p, truth = drawn(n, 4)
    each, mean = average_precision(p, truth)
    present = [label for label in range(4) if truth[:, label].any()]
    reference = {k: average_precision_score(truth[:, k], p[:, k]) for k in present}
    assert each == pytest.approx([reference.get(label, 0.0) for label in range(4)])
    assert mean == pytest.approx(np.mean([*reference.values()]) if present else 0.0)


@pytest.mark.parametrize("n", [1, 5, 60])
def test_no_other_threshold_is_better(n: int) -> None:
    for _ in range(20):
        p, truth = drawn(n, 3)
        each, single = choose_thresholds(p, truth)
        best = f1_scores(label_counts(p, truth, each))["labels"]
        micro = f1_scores(label_counts(p, truth, single))["micro"]
        tried = [f1_scores(label_counts(p, truth, t)) for t in np.arange(0, 1.1, 0.05)]
        assert best == pytest.approx(np.max([one["labels"] for one in tried], axis=0))
        assert micro == pytest.approx(max(one["micro"] for one in tried) if truth.any() else 0.0)
        assert each[-1] == 0.5


def test_threshold_is_halfway() -> None:
    p, truth = np.array([0.9, 0.6, 0.2, 0.1]), np.array([1, 1, 0, 0], dtype=bool)
    assert best_threshold(p, truth) == pytest.approx(0.4)
    assert best_threshold(p, np.ones(4, dtype=bool)) == pytest.approx(0.05)


def test_neighbouring_floats_are_told_apart() -> None:
    high = 0.7
    low = float(np.nextafter(high, 0))
    threshold = best_threshold(np.array([low, high]), np.array([False, True]))
    assert low < threshold <= high


def test_everything_at_zero() -> None:
    assert best_threshold(np.zeros(2), np.array([True, False])) == 0.0


def test_no_examples() -> None:
    p, truth = np.zeros((0, 2)), np.zeros((0, 2))
    assert average_precision(p, truth) == ([0.0, 0.0], 0.0)
    assert choose_thresholds(p, truth) == ([0.5, 0.5], 0.5)
    assert f1_scores(label_counts(p, truth))["micro"] == 0.0


def test_bad_input() -> None:
    with pytest.raises(ValueError, match=r"shapes \(1, 2\) and \(1, 1\)"):
        label_counts([[0.5, 0.5]], [[1]])
    with pytest.raises(ValueError, match="not all 0 and 1"):
        label_counts([[0.5]], [[np.nan]])
