"""Matthews correlation against scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, matthews_corrcoef

from lada.ops.metrics.matthews import matthews


@pytest.mark.parametrize("classes", [2, 3, 7])
def test_as_scikit_learn(classes: int) -> None:
    draw = np.random.default_rng(classes)
    for _ in range(20):
        truth, given = draw.integers(classes, size=(2, 50))
        given = np.where(draw.random(50) < draw.random(), truth, given)
        found = matthews(confusion_matrix(given, truth))
        assert found == pytest.approx(matthews_corrcoef(truth, given), abs=1e-12)


def test_one_class_says_nothing() -> None:
    assert matthews([[3, 2], [0, 0]]) == matthews([[3, 0], [2, 0]]) == matthews([[5]]) == 0.0
    assert matthews(np.zeros((2, 2))) == 0.0
    assert matthews([[0, 2], [3, 0]]) == -1.0
    assert matthews([[40_000_000, 1], [0, 9_000_000]]) == pytest.approx(1.0, abs=1e-6)


def test_counts_are_square() -> None:
    with pytest.raises(ValueError, match=r"shape \(2, 3\)"):
        matthews(np.ones((2, 3)))
