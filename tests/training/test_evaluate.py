"""Scores against counting by hand."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lada.data.split import Split
from lada.data.tokens import Encoded
from lada.heads import head_named
from lada.nn.pretrained import load_classifier
from lada.report.stats import mcnemar, wilson
from lada.training.evaluate import predict


def score(logits: torch.Tensor, labels: np.ndarray, metrics: tuple[str, ...]) -> dict[str, Any]:
    empty = np.zeros(0, np.int32)
    examples = Encoded(empty, np.zeros(len(labels) + 1, np.int64), empty, labels)
    split = Split("dev", [""] * len(labels), None, labels)
    names = tuple(map(str, range(logits.shape[1])))
    return head_named("single_label", names, metrics).score(logits, examples, split)


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


def answering(classes: np.ndarray, count: int) -> torch.Tensor:
    """Logits of a model that answers these classes."""
    return torch.nn.functional.one_hot(torch.from_numpy(classes), count).float()


@given(
    st.integers(2, 5),
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=60),
)
def test_chance_corrected_scores_by_their_definitions(
    count: int, pairs: list[tuple[int, int]]
) -> None:
    truth, answers = (np.array(x) % count for x in zip(*pairs, strict=True))
    found = score(answering(answers, count), truth, ("accuracy",))
    assert found["examples"] == [int((truth == n).sum()) for n in range(count)]
    assert found["answers"] == [int((answers == n).sum()) for n in range(count)]
    largest = max(range(count), key=lambda n: found["examples"][n])
    right, by_majority = answers == truth, truth == largest
    assert found["majority"] == {
        "class": largest,
        "accuracy": found["examples"][largest] / len(truth),
        "p_value": mcnemar(int((right & ~by_majority).sum()), int((~right & by_majority).sum())),
    }
    # Matthews' correlation of several classes: the covariance of the one-hot codes over the root
    # of the two variances (Gorodkin 2004); macro-F1: the mean of 2 TP / (2 TP + FP + FN).
    x, y = (np.eye(count)[z] - np.eye(count)[z].mean(0) for z in (truth, answers))
    root = np.sqrt((x * x).sum() * (y * y).sum())
    assert found["mcc"] == pytest.approx((x * y).sum() / root if root else 0.0, abs=1e-5)
    present = [n for n in range(count) if found["examples"][n] + found["answers"][n]]
    each = [
        2 * (right & (truth == n)).sum() / (found["examples"][n] + found["answers"][n])
        for n in present
    ]
    assert found["macro_f1"] == pytest.approx(np.mean(each), abs=1e-6)


@pytest.mark.parametrize("count", [2, 3, 4])
@pytest.mark.parametrize("answer", [0, 1])
def test_the_same_answer_to_all_has_no_correlation(count: int, answer: int) -> None:
    """torchmetrics itself gives 0.28 for two classes."""
    truth = np.array([1] * 7 + [0] * 3)
    found = score(answering(np.full(10, answer), count), truth, ("accuracy",))
    assert found["mcc"] == 0.0
    assert found["accuracy"] == (0.7 if answer else 0.3)
    assert found["majority"]["accuracy"] == 0.7


def test_predictions_come_in_the_order_of_the_examples() -> None:
    """Rows are sorted by length and padded on the way; each must get its own logits."""
    model = load_classifier(None, ("a", "b", "c"), 1)
    draw = np.random.default_rng(0)
    lengths = draw.integers(3, 20, 150)
    starts = np.concatenate([[0], np.cumsum(lengths)])
    ids = draw.integers(5, 500, starts[-1]).astype(np.int32)
    rows = Encoded(ids, starts, lengths.astype(np.int32), np.zeros(150, dtype=np.int64))
    logits = predict(model.train(), head_named("single_label", ("a", "b", "c")), rows, 0)
    assert model.training  # left as it was
    model.eval()
    for row in (0, 7, 149):
        alone = torch.from_numpy(ids[starts[row] : starts[row + 1]].astype(np.int64))[None]
        with torch.no_grad():
            torch.testing.assert_close(logits[row], model(alone).logits[0], rtol=1e-4, atol=1e-5)
