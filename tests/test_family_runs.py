"""Whole runs on tiny models of other families, with tokenizers of their kinds."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from families import tiny as tiny_model
from family_texts import rows
from helpers import Result, write_csv
from transformers import AutoModelForSequenceClassification, pipeline
from vocabularies import MAKERS

import lada
from lada.artifact.export import export

FAMILIES = ("roberta", "xlm-roberta", "distilbert", "modernbert", "mpnet", "deberta-v2", "albert")


def write(folder: Path, name: str) -> Path:
    found = [(row["text"], row["label"]) for row in rows(name)]
    return write_csv(folder / f"{name}.csv", found, ("text", "label"))


def overrides(family: str, folder: Path, tiny: list[str], out: Path) -> list[str]:
    """Of a run on a tiny pretrained model of a family, without a target."""
    tokenizer, pretrained = MAKERS[family][1](), folder / "pretrained"
    model = tiny_model(family, vocab_size=len(tokenizer) + 5, pad_token_id=tokenizer.pad_token_id)
    model.save_pretrained(pretrained)
    tokenizer.save_pretrained(pretrained)
    rest = ("model=", "target", "task.train_file=", "task.dev_file=")
    words = [word for word in tiny if not word.startswith(rest)]
    words += [f"task.{name}_file={write(folder, name)}" for name in ("train", "dev")]
    more = ["model=local", f"model.path={pretrained}", "teacher.margin=0", f"hydra.run.dir={out}"]
    return words + more


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_a_run(
    family: str, train_py: Callable[..., Result], tiny: list[str], tmp_path: Path
) -> None:
    out = tmp_path / "run"
    result = train_py(*overrides(family, tmp_path, tiny, out), "target=custom", "target.ratio=1.5")
    assert result.code == 0, result.err
    record = json.loads((out / "results.json").read_text())
    assert record["reached"] == pytest.approx(1.5, rel=0.01)
    assert bool(record.get("left_out")) == (family in ("mpnet", "deberta-v2"))
    assert record["family"] == family
    assert f'"{family}"]' in (out / "artifact" / "README.md").read_text()  # the last of its tags
    config = json.loads((out / "artifact/config.json").read_text())
    assert config["model_type"] == f"lada-{family}"
    answer = lada.load(out / "artifact")("the soup was not bad")
    assert 0.5 <= answer.probability <= 1
    found = AutoModelForSequenceClassification.from_pretrained(out / "artifact")
    (said,) = pipeline("text-classification", model=found, tokenizer=str(out / "artifact"))(
        "the soup was not bad"
    )
    assert said["label"] == answer.label
    assert said["score"] == pytest.approx(answer.probability, abs=1e-5)
    assert found.config.family == family


@pytest.mark.slow
@pytest.mark.parametrize("family", ["roberta", pytest.param("deberta-v2", marks=pytest.mark.slow)])
def test_a_run_of_one_layer(
    family: str, train_py: Callable[..., Result], tiny: list[str], tmp_path: Path
) -> None:
    out = tmp_path / "run"
    words = ["method=minialbert", "target=none", "method.adapter=4"]
    result = train_py(*overrides(family, tmp_path, tiny, out), *words)
    assert result.code == 0, result.err
    config = json.loads((out / "artifact/config.json").read_text())
    assert config["model_type"] == f"lada-{family}-minialbert"
    loaded = lada.load(out / "artifact")
    answer = loaded("the soup was not bad")
    found = AutoModelForSequenceClassification.from_pretrained(out / "artifact")
    (said,) = pipeline("text-classification", model=found, tokenizer=str(out / "artifact"))(
        "the soup was not bad"
    )
    assert said["label"] == answer.label
    assert said["score"] == pytest.approx(answer.probability, abs=1e-5)
    made = export(loaded, "onnx", tmp_path / "onnx", examples=[("the soup was bad", None)])
    assert made.difference < 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("family", ["roberta", "modernbert"])
def test_a_run_of_early_exits(
    family: str, train_py: Callable[..., Result], tiny: list[str], tmp_path: Path
) -> None:
    out = tmp_path / "run"
    result = train_py(*overrides(family, tmp_path, tiny, out), "method=early_exit", "target=none")
    assert result.code == 0, result.err
    config = json.loads((out / "artifact/config.json").read_text())
    assert config["model_type"] == f"lada-{family}-early-exit"
    loaded = lada.load(out / "artifact")
    assert loaded("the soup was bad").label in ("fine", "poor")
    assert json.loads((out / "results.json").read_text())["exits"]
