"""Scores against counting by hand."""

import numpy as np
import pytest
import torch

from lada.data.tokens import Encoded
from lada.nn.pretrained import load_classifier
from lada.report.stats import wilson
from lada.training.evaluate import predict, score

LOGITS = torch.tensor([[2.0, 1.0], [0.0, 3.0], [1.0, 0.0], [-1.0, 0.5], [0.2, 0.1]])


def test_accuracy_by_hand() -> None:
    found = score(LOGITS, np.array([0, 1, 1, 1, 1]), ("accuracy",))
    assert (found["rows"], found["correct"], found["accuracy"]) == (5, 3, 0.6)
    assert found["accuracy_95"] == list(wilson(3, 5))
    assert "f1" not in found


def test_f1_of_class_one_by_hand() -> None:
    # Predicted 0 1 0 1 0; of class 1: 2 found rightly, none wrongly, 2 missed.
    found = score(LOGITS, np.array([0, 1, 1, 1, 1]), ("accuracy", "f1"))
    assert found["f1"] == pytest.approx(2 * 2 / (2 * 2 + 0 + 2))


def test_predictions_come_in_the_order_of_the_rows() -> None:
    """Rows are sorted by length and padded on the way; each must get its own logits."""
    model = load_classifier(None, ("a", "b", "c"), 1)
    draw = np.random.default_rng(0)
    lengths = draw.integers(3, 20, 150)
    starts = np.concatenate([[0], np.cumsum(lengths)])
    ids = draw.integers(5, 500, starts[-1]).astype(np.int32)
    rows = Encoded(ids, starts, lengths.astype(np.int32), np.zeros(150, dtype=np.int64))
    logits = predict(model.train(), rows, 0)
    assert model.training  # left as it was
    model.eval()
    for row in (0, 7, 149):
        alone = torch.from_numpy(ids[starts[row] : starts[row + 1]].astype(np.int64))[None]
        with torch.no_grad():
            torch.testing.assert_close(logits[row], model(alone).logits[0], rtol=1e-4, atol=1e-5)
