"""Every method: it trains, meets its target, and its artifact scores what the report says."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from helpers import ROOT, Result, record_of, run_in

import lada
from lada.config import METHODS
from lada.nn.compressed import compressed_layers
from lada.nn.masked import Masked

Cli = Callable[..., Result]
TAUGHT = {"lada", "factorization_kd", "pruning_kd"}


def test_each_has_one_file_of_code_and_one_of_config() -> None:
    shared = {"__init__", "base", "objectives", "ratios", "structures"}
    code = {file.stem for file in (ROOT / "lada/methods").glob("*.py")} - shared
    assert code == {file.stem for file in (ROOT / "conf/method").glob("*.yaml")} == set(METHODS)


@pytest.mark.parametrize("name", sorted(METHODS))
def test_it_does_what_it_says(
    train_py: Cli, tiny: list[str], csv_files: tuple[Path, Path], tmp_path: Path, name: str
) -> None:
    result = train_py(*tiny, f"method={name}", "optim.epochs=4")
    assert result.code == 0, result.err
    record, run = record_of(tmp_path), run_in(tmp_path)
    assert record["config"]["method"]["name"] == name
    assert record["reached"] == pytest.approx(5, rel=0.005)
    expected = "kept outputs" if name in TAUGHT else "not looked at"
    assert record["teacher_outputs"] == expected
    classifier = lada.load(run / "artifact")
    with csv_files[1].open(newline="", encoding="utf-8") as f:
        rows = list(csv.DictReader(f))
    answers = classifier.classify([row["text"] for row in rows])
    right = sum(a.label == row["label"] for a, row in zip(answers, rows, strict=True))
    assert right == record["artifact"]["scores"]["dev"]["correct"]
    assert right > 0.7 * len(rows)  # it has learnt something
    with (run / "metrics.csv").open(newline="") as f:
        terms = {key for row in csv.DictReader(f) for key in row if key.startswith("train/")}
    four = {"train/prediction", "train/embedding", "train/hidden", "train/attention"}
    assert terms - {"train/loss"} == (four if name in TAUGHT else {"train/labels"})


def test_factorization_drops_no_entry(train_py: Cli, tiny: list[str], tmp_path: Path) -> None:
    assert train_py(*tiny, "method=factorization").code == 0
    classifier = lada.load(run_in(tmp_path) / "artifact")
    layers = compressed_layers(classifier.model)
    assert layers
    assert not any(layer.masked for layer in layers.values())


def test_pruning_keeps_each_matrix_as_it_is(train_py: Cli, tiny: list[str], tmp_path: Path) -> None:
    assert train_py(*tiny, "method=pruning").code == 0
    classifier = lada.load(run_in(tmp_path) / "artifact")
    layers = compressed_layers(classifier.model)
    assert len(layers) == 1 + 6 * 2  # the word table, and two layers of six
    densities = []
    for layer in layers.values():
        assert isinstance(layer, Masked)
        densities.append(layer.kept / layer.weight.numel())
        zeros = layer.weight.detach().numpy()[~layer.mask.numpy()]
        assert not np.any(zeros)
    assert max(densities) - min(densities) < 0.01
    forms = json.loads((run_in(tmp_path) / "artifact/config.json").read_text())["lada"]
    assert "masked" in json.dumps(forms)


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["method=frob"], "pruning"),
        (["method=pruning", "ratios=paper"], "has no rank"),
        (["method=pruning_kd", "ratios=fast"], "has no rank"),
        (["method=factorization", "ratios=paper"], "whole budget on rank"),
        (["method=factorization_kd", "ratios=paper"], "method=hybrid"),
        (["method=pruning", "method.lower_rank=truncate"], "method.lower_rank"),
        (["method=factorization", "method.threshold=global"], "method.threshold"),
        (["method=pruning", "target=custom", "target.ratio=400"], "the largest is x"),
    ],
)
def test_refusals(train_py: Cli, tiny: list[str], args: list[str], words: str) -> None:
    result = train_py(*tiny, *args)
    assert result.code == 2
    lines = result.err.strip().splitlines()
    assert len(lines) == 1, result.err
    assert words in lines[0]
