"""The model card says what the record says, in a form that the hub reads."""

import copy
import json
from pathlib import Path

import pytest
from heads.drawn import CASES, whole
from huggingface_hub import ModelCard
from report.made import record_of
from transformers.pipelines import PIPELINE_REGISTRY

from lada.artifact.card import card, write_card
from lada.artifact.forms import FORMS, FORMS_OF
from lada.heads.kinds import KINDS, METRICS

ROOT = Path(__file__).parents[2]


@pytest.fixture
def record() -> dict:
    """A real run's record, with what newer runs add."""
    found = json.loads((ROOT / "experiments/first_run/sst2_7.5x.json").read_text())
    speed = {"teacher": 12.0, "artifact": 6.0, "length": 32, "threads": 2}
    return found | {"speed": speed, "pairs": False, "start": ""}


def test_header_is_what_the_hub_reads(record: dict, tmp_path: Path) -> None:
    write_card(tmp_path, record, tuple(FORMS))
    data = ModelCard.load(tmp_path / "README.md").data
    assert data.library_name == "transformers"
    assert data.pipeline_tag == "text-classification"
    assert data.tags == ["lada", "compressed", "single-label", "bert"]
    assert data.to_dict()["lada"]["reached"] == pytest.approx(record["reached"], abs=1e-3)
    (result,) = data.eval_results
    assert (result.dataset_name, result.dataset_split, result.metric_type) == (
        "sst2", "dev", "accuracy",
    )  # fmt: skip
    expected = record["artifact"]["scores"]["dev"]["accuracy"]
    assert result.metric_value == pytest.approx(expected, abs=1e-4)


def test_what_a_person_reads(record: dict) -> None:
    text = card(record, tuple(FORMS))
    low, high = record["artifact"]["scores"]["dev"]["accuracy_95"]
    for words in (
        f"{100 * low:.1f}-{100 * high:.1f}",
        f"{record['artifact']['stored_bytes']:,}",
        f"{record['teacher']['nonzeros']:,}",
        "6.0 (x2.00)",
        record["command"],
        'model("a text")',
        "872 examples",
    ):
        assert words in text


def test_parts_that_are_not_the_papers_are_named(record: dict) -> None:
    assert "Compressed with" not in card(record, ()) and "were trained in" not in card(record, ())
    other = copy.deepcopy(record)
    other["config"]["method"] |= {"factorizer": "whitened", "score": "activation"}
    other["config"]["artifact"] = {"values": "int4"}
    text = card(other, ())
    assert "\nCompressed with `factorizer=whitened` and `score=activation`.\n" in text
    other["config"]["method"]["allocation"] = "marginal"
    named = "`factorizer=whitened`, `allocation=marginal` and `score=activation`"
    assert f"\nCompressed with {named}.\n" in card(other, ())
    other["config"]["method"]["allocation"] = "uniform"
    assert "\nIts compressed matrices were trained in `int4`, and are stored so.\n" in text
    other["config"]["method"] |= {"factorizer": "svd", "score": "magnitude"}
    assert "Compressed with" not in card(other, ())


def test_pairs_and_f1(record: dict) -> None:
    other = copy.deepcopy(record)
    other["pairs"] = True
    for part in ("teacher", "artifact"):
        other[part]["scores"]["dev"]["f1"] = 0.875
    text = card(other, tuple(FORMS))
    assert 'model("a text", "its pair")' in text
    assert "| dev F1, % | 87.5 | 87.5 |" in text
    found = {r.metric_type: r.metric_value for r in ModelCard(text).data.eval_results}
    assert found["f1"] == 0.875


def test_a_model_that_answers_one_class_is_told(record: dict) -> None:
    old = card(record, tuple(FORMS))
    assert not any(word in old for word in ("Warning", "Matthews", "majority", "Trained for"))
    for part, answers, mcc in (("teacher", [200, 672], 0.5), ("artifact", [0, 872], 0.0)):
        record[part]["scores"]["dev"] |= {
            "examples": [268, 604], "answers": answers, "mcc": mcc, "macro_f1": 0.4,
            "majority": {"class": 1, "accuracy": 604 / 872, "p_value": 1.0},
        }  # fmt: skip
    line = 'dev: the artifact answers "yes", the largest class, for every example'
    text = card(record | {"warnings": [line], "epochs": 3.0}, tuple(FORMS))
    assert f"> **Warning.** {line}\n\n| | teacher | this model |" in text
    assert "| dev majority baseline % | 69.3 | 69.3 |" in text
    assert "| dev Matthews correlation | 0.500 | 0.000 |" in text
    assert "| dev macro-F1 % | 40.0 | 40.0 |" in text
    assert "Trained for 6,126 steps (3 epochs of 65,349 examples)." in text
    found = {r.metric_name: (r.metric_type, r.metric_value)
             for r in ModelCard(text).data.eval_results}  # fmt: skip
    assert found["Matthews correlation"] == ("matthews_correlation", 0.0)
    assert found["macro-F1"] == ("f1", 0.4)


def test_a_name_that_yaml_would_take_apart(record: dict) -> None:
    record["config"]["model"]["name"] = "my: model #1"
    assert ModelCard(card(record, ())).data.model_name == "my: model #1-sst2-7.5x"


def test_no_export_is_named_that_there_is_not(record: dict) -> None:
    """Of a model that is no BERT."""
    assert "--to dense" in card(record, tuple(FORMS))
    text = card(record, FORMS_OF["minialbert"])
    assert "--to onnx" in text
    assert "dense" not in text
    assert "lada export" not in card(record, FORMS_OF["bilstm"])


TASKS = {
    "single_label": "text-classification",
    "multi_label": "text-classification",
    "regression": "text-classification",
    "tokens": "token-classification",
    "spans": "question-answering",
    "embedding": "sentence-similarity",
}
HUB = {"accuracy", "f1", "matthews_correlation", "pearsonr", "spearmanr", "mrr@10", "ndcg@10",
       "recall@10"}  # fmt: skip
"""The hub's names of metrics: ids of `evaluate`, and what sentence-transformers writes."""


@pytest.mark.parametrize("case", CASES)
def test_header_of_every_kind(case: str) -> None:
    name, decides = case.split(", ")
    artifact = whole(case, 0.8, 1)
    made = record_of({"teacher": whole(case, 0.3), "artifact": artifact})
    text = card(made | {"family": "roberta"}, tuple(FORMS))
    data = ModelCard(text).data
    task = "text-ranking" if decides == "map" else TASKS[name]
    assert data.pipeline_tag == task
    vectors = name == "embedding"
    assert data.library_name == ("sentence-transformers" if vectors else "transformers")
    assert ("SentenceTransformer(" in text) == vectors
    assert "CrossEncoder" not in text
    pairs = card(made | {"pairs": True}, ())
    assert ('CrossEncoder("FOLDER")' in pairs) == (name == "regression")
    assert data.tags == ["lada", "compressed", name.replace("_", "-"), "roberta"]
    assert "a plain `roberta` model" in text
    score = artifact.score()
    found = {result.metric_name: result for result in data.eval_results}
    assert len(found) == len(data.eval_results)
    for metric in (METRICS[metric] for metric in made["metrics"] if metric in score):
        result = found[metric.title]
        assert result.metric_value == pytest.approx(score[metric.name], abs=1e-4)
        assert result.task_type == task


def test_names_of_the_hub_and_of_transformers() -> None:
    assert {metric.hub for metric in METRICS.values() if metric.hub} <= HUB
    pipelines = PIPELINE_REGISTRY.get_supported_tasks()
    for kind in KINDS.values():
        if kind.pipeline:
            assert kind.pipeline in pipelines
        else:
            assert kind.tag and kind.tag not in pipelines
