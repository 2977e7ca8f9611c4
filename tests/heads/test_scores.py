"""The scores of each kind against scikit-learn and SciPy, and what is chosen on validation."""

import json

import numpy as np
import pytest
import scipy.stats
import torch
from heads.made import examples_of
from sklearn import metrics

from lada.heads import head_named
from lada.heads.answers import Answer, Labels, Number, as_json
from lada.heads.multi_label import MultiLabel
from lada.heads.regression import Regression


def several(count: int = 200) -> tuple[torch.Tensor, np.ndarray]:
    draw = np.random.default_rng(0)
    truth = (draw.random((count, 3)) < [0.5, 0.2, 0.05]).astype(np.float32)
    logits = 2 * truth - 2 + draw.normal(size=(count, 3))
    return torch.from_numpy(logits).float(), truth


def test_several_labels() -> None:
    logits, truth = several()
    head = head_named("multi_label", ("a", "b", "c"))
    found = head.score(logits, *examples_of(truth))
    given = (logits.sigmoid() >= 0.5).numpy()
    for average in ("micro", "macro"):
        expected = metrics.f1_score(truth, given, average=average)
        assert found[f"{average}_f1"] == pytest.approx(expected)
    assert found["average_precision"] == pytest.approx(
        metrics.average_precision_score(truth, logits.numpy(), average="macro")
    )
    low, high = found["micro_f1_95"]
    assert low < found["micro_f1"] < high
    assert json.loads(json.dumps(found)) == found
    units = head.units(logits, *examples_of(truth))
    assert units.sum(0)[:, 2].tolist() == found["examples"] == truth.sum(0).astype(int).tolist()


@pytest.mark.parametrize("decides", ["micro_f1", "macro_f1"])
def test_thresholds_are_best_where_they_are_chosen(decides: str) -> None:
    logits, truth = several()
    head = MultiLabel(("a", "b", "c"), (decides,))
    tuned = head.tuned(logits, *examples_of(truth))
    assert (
        tuned.score(logits, *examples_of(truth))[decides]
        > (head.score(logits, *examples_of(truth))[decides])
    )
    if decides == "micro_f1":
        assert len(set(tuned.thresholds)) == 1
    assert head.restored(json.loads(json.dumps(tuned.about()))) == tuned


def test_numbers() -> None:
    draw = np.random.default_rng(1)
    truth = draw.normal(size=100).astype(np.float32)
    given = truth + draw.normal(size=100)
    found = head_named("regression", ("score",)).score(
        torch.from_numpy(given)[:, None], *examples_of(truth)
    )
    assert found["pearson"] == pytest.approx(scipy.stats.pearsonr(given, truth).statistic)
    assert found["spearman"] == pytest.approx(scipy.stats.spearmanr(given, truth).statistic)
    low, high = found["pearson_95"]
    assert 0 < low < found["pearson"] < high < 1


def test_rankings_count_only_queries_with_a_positive() -> None:
    truth = np.array([0, 1, 0, 0, 1, 0], np.float32)
    groups = np.array([0, 0, 1, 1, 2, 2])
    head = head_named("regression", ("score",), ("map", "mrr_10", "ndcg_10"))
    outputs = torch.tensor([[2.0], [1.0], [0.0], [1.0], [3.0], [0.0]])
    found = head.score(outputs, *examples_of(truth, groups))
    assert found["queries"] == 2
    assert found["map"] == found["mrr_10"] == pytest.approx((0.5 + 1) / 2)
    assert found["ndcg_10"] == pytest.approx((1 / np.log2(3) + 1) / 2)
    assert head.units(outputs, *examples_of(truth, groups)).tolist() == [[0.5], [1.0]]


def test_the_scale_is_that_of_the_teacher_s_outputs() -> None:
    outputs = torch.tensor([[1.0], [5.0], [3.0]])
    assert Regression(("score",)).taught_by(outputs).scale == pytest.approx(2.0)
    assert Regression(("score",)).taught_by(outputs[:1].repeat(3, 1)).scale > 0  # all the same


def test_answers() -> None:
    single = head_named("single_label", ("bad", "good"))
    (answer,) = single.answers(torch.tensor([[0.0, 1.0]]))
    assert (answer.label, answer.probability) == ("good", pytest.approx(0.731, abs=1e-3))
    several = MultiLabel(("a", "b", "c"), thresholds=(0.5, 0.5, 0.9))
    one, none = several.answers(torch.tensor([[1.0, 2.0, 2.0], [-1.0, -1.0, -1.0]]))
    assert one.names == ("b", "a") and none == Labels(())
    assert Regression().answers(torch.tensor([[2.5]])) == [Number(2.5)]
    (probability,) = Regression(binary=True).answers(torch.tensor([[0.0]]))
    assert float(probability) == 0.5
    assert as_json(Answer("x", 0.5)) == {"label": "x", "probability": 0.5}
    assert as_json(none) == {"labels": []}
    assert as_json(Number(2.5)) == {"value": 2.5}


@pytest.mark.parametrize(
    ("about", "kind"),
    [
        ({}, "single_label"),
        ({"problem_type": "multi_label_classification"}, "multi_label"),
        ({"problem_type": "regression"}, "regression"),
        ({"num_labels": 1}, "regression"),
    ],
)
def test_the_kind_of_a_config(about: dict[str, object], kind: str) -> None:
    from transformers import BertConfig

    from lada.heads import kind_of

    config: BertConfig = BertConfig(**about)  # type: ignore[arg-type]
    assert kind_of(config) == kind
