"""Metrics of tasks where an example has any number of labels, and the thresholds that decide.

A label is predicted if its probability is at least its threshold. F1 is 0 if it has no
denominator: no example has the label and none is predicted to have it.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Numbers = NDArray[np.float64]


def _pair(probabilities: ArrayLike, truth: ArrayLike) -> tuple[Numbers, NDArray[np.bool_]]:
    p, t = np.asarray(probabilities, dtype=np.float64), np.asarray(truth)
    if p.ndim != 2 or p.shape != t.shape:
        raise ValueError(f"shapes {p.shape} and {t.shape}, not (examples, labels) twice")
    if not np.isin(t, (0, 1)).all():
        raise ValueError("the truth is not all 0 and 1")
    return p, t.astype(bool)


def label_counts(probabilities: ArrayLike, truth: ArrayLike,
                 thresholds: ArrayLike = 0.5) -> NDArray[np.int64]:  # fmt: skip
    """Counts that F1 is a ratio of.

    Args:
        probabilities: (n, labels) numbers; also predictions of 0 and 1.
        truth: (n, labels) of 0 and 1.
        thresholds: one for all labels, or (labels,).

    Returns:
        (labels, 3): per label the examples that are predicted and right, predicted, true.

    Raises:
        ValueError: the shapes differ, or the truth is not all 0 and 1.

    Example:
        >>> label_counts([[0.9], [0.8], [0.1]], [[1], [0], [1]])
        array([[1, 2, 2]])
    """
    p, t = _pair(probabilities, truth)
    chosen = p >= np.asarray(thresholds)
    counts = np.stack([(chosen & t).sum(0), chosen.sum(0), t.sum(0)], axis=1)
    return counts.astype(np.int64)


def f1_scores(counts: NDArray[np.int64]) -> dict[str, float | list[float]]:
    """F1 of the counts of `label_counts`.

    Returns:
        ``micro``: of the counts summed over labels, so frequent labels weigh more. ``macro``: the
        mean over labels, so all weigh the same. ``labels``: F1 of each.

    Example:
        >>> f1_scores(np.array([[1, 2, 2], [0, 0, 0]]))
        {'micro': 0.5, 'macro': 0.25, 'labels': [0.5, 0.0]}
    """
    each = 2 * counts[:, 0] / np.maximum(1, counts[:, 1] + counts[:, 2])
    correct, predicted, true = (int(total) for total in counts.sum(0))
    return {
        "micro": 2 * correct / max(1, predicted + true),
        "macro": float(each.mean()) if len(each) else 0.0,
        "labels": [float(value) for value in each],
    }


def best_threshold(probabilities: NDArray[np.floating], truth: NDArray[np.bool_]) -> float:
    """The threshold of the highest F1 over all the examples given.

    Args:
        probabilities: (n,) in [0, 1].
        truth: (n,) of 0 and 1.

    Returns:
        Of the best thresholds, the highest, moved halfway to the next probability below, so that
        small differences of new examples do not decide. 0.5 if no example is true.

    Example:
        >>> best_threshold(np.array([0.9, 0.5, 0.25]), np.array([True, True, False]))
        0.375
    """
    if not truth.any():
        return 0.5
    order = np.argsort(-probabilities, kind="stable")
    p, t = probabilities[order].astype(np.float64), truth[order]
    # Examples with the same probability are predicted together: each cut is where it changes.
    cuts = np.flatnonzero(np.diff(p, append=-np.inf))
    f1 = 2 * np.cumsum(t)[cuts] / (cuts + 1 + t.sum())
    cut = int(cuts[np.argmax(f1)])
    below = p[cut + 1] if cut + 1 < len(p) else 0.0
    middle = (p[cut] + below) / 2
    # Between two neighbouring floats there is none: the middle is rounded to one of them.
    return float(middle if below < middle <= p[cut] else p[cut])


def choose_thresholds(probabilities: ArrayLike, truth: ArrayLike) -> tuple[list[float], float]:
    """Thresholds chosen on a validation split, to be kept for all other examples.

    One threshold per label maximizes the F1 of each label, and so macro-F1. It is the better choice
    for macro-F1, and where every label has many true examples; a label with few gets a threshold
    that fits those few (Lipton, Elkan & Narayanaswamy 2014), and may do worse on new examples. One
    threshold for all labels maximizes micro-F1 among such thresholds; it is chosen from many more
    examples, so it is the better choice where labels are rare.

    The scores on the split that the thresholds are chosen on are too good, those of one threshold
    per label the more.

    Args:
        probabilities: (n, labels) in [0, 1].
        truth: (n, labels) of 0 and 1.

    Returns:
        (one threshold per label, one threshold for all). 0.5 where no example has the label.

    Raises:
        ValueError: as `label_counts`.

    Example:
        >>> choose_thresholds([[0.75, 0.5], [0.25, 0.0]], [[1, 1], [0, 0]])
        ([0.5, 0.25], 0.375)
    """
    p, t = _pair(probabilities, truth)
    each = [best_threshold(p[:, label], t[:, label]) for label in range(p.shape[1])]
    return each, best_threshold(p.ravel(), t.ravel())


def average_precision(probabilities: ArrayLike, truth: ArrayLike) -> tuple[list[float], float]:
    """Average precision, which needs no thresholds: precision averaged over the steps of recall.

    Examples with the same probability count as one step, as in scikit-learn.

    Args:
        probabilities: (n, labels) numbers, higher for more likely.
        truth: (n, labels) of 0 and 1.

    Returns:
        (of each label, the mean over the labels that an example has). A label that no example has
        gets 0.0 and is not part of the mean.

    Raises:
        ValueError: as `label_counts`.

    Example:
        >>> average_precision([[0.9], [0.8], [0.7]], [[1], [0], [1]])
        ([0.8333333333333333], 0.8333333333333333)
    """
    p, t = _pair(probabilities, truth)
    values = []
    for label in range(p.shape[1]):
        order = np.argsort(-p[:, label], kind="stable")
        # Examples with the same probability are predicted together: a step ends where it changes.
        ends = np.flatnonzero(np.diff(p[order, label], append=-np.inf))
        found = np.cumsum(t[order, label])[ends]
        steps = np.diff(found, prepend=0) / max(1, int(t[:, label].sum()))
        values.append(float((steps * found / (ends + 1)).sum()))
    present = [values[label] for label in np.flatnonzero(t.any(axis=0))]
    return values, sum(present) / max(1, len(present))
