"""Rows of finished runs, and what is said of methods beside each other."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import comparison_row

from lada.report.comparison import compare
from lada.report.curve import read_curve
from lada.report.paper import read_paper
from lada.report.predictions import write_predictions
from lada.report.rows import choose_rates, make_row, read_rows, write_row
from lada.report.stats import mcnemar

ROOT = Path(__file__).parents[2]
ROWS = 200


def first(count: int) -> np.ndarray:
    """The first rows right, the others wrong."""
    return np.arange(ROWS) < count


TRAIN = comparison_row("lada", first(1))["data"]["train"]
MORE = comparison_row("lada", first(1))["data"] | {"unlabeled": {"rows": 9, "sha256": "d"}}
OTHER_TEACHER = comparison_row("lada", first(1))["teacher"] | {"key": "sst2-other"}


def test_means_pairs_and_marks() -> None:
    rows = [
        comparison_row("lada", first(150)),
        comparison_row("lada", first(160), seed=2),
        comparison_row("pruning", first(120)),
        comparison_row("pruning", first(130), seed=2),
        comparison_row("kd", first(158), seed=2),  # one seed alone
        comparison_row("hybrid", first(190), seed=1),
        comparison_row("finetune", first(190), seed=3),  # none in common
        comparison_row("pkd", first(100), target="2.5x"),  # no reference at this target
        comparison_row(
            "tinybert", first(100), data={"train": TRAIN, "dev": {"rows": ROWS, "sha256": "c"}}
        ),  # other dev rows
        comparison_row(
            "bilstm",
            first(100),
            data={"train": {"sha256": "c"}, "dev": {"rows": ROWS, "sha256": "a"}},
        ),  # other train rows
        comparison_row("layerdrop", first(100), teacher=OTHER_TEACHER),
        comparison_row("minialbert", first(100), data=MORE),  # more texts to learn from
    ]
    lines = {(x.method, x.target): x for x in compare(rows, ("lada", "pruning"))}
    lada = lines["lada", "7.5x"]
    assert (lada.seeds, lada.mean, lada.mark) == ((1, 2), 0.775, "")
    assert lada.interval[0] < 0.775 < lada.interval[1]
    assert lada.interval[1] - lada.interval[0] > 0.11  # of 200 rows, not of 400
    pruning = lines["pruning", "7.5x"]
    assert pruning.difference == pytest.approx(-0.15)
    assert pruning.p_value == mcnemar(0, 60)
    assert pruning.adjusted == pytest.approx(3 * mcnemar(0, 60))  # the least of three
    assert pruning.mark == "worse"
    kd = lines["kd", "7.5x"]
    assert (kd.paired, kd.difference, kd.p_value, kd.mark) == (1, -0.01, 0.5, "=")
    hybrid = lines["hybrid", "7.5x"]
    assert (hybrid.difference, hybrid.mark) == (0.2, "better")
    for key in (
        ("finetune", "7.5x"), ("pkd", "2.5x"), ("tinybert", "7.5x"), ("bilstm", "7.5x"),
        ("layerdrop", "7.5x"), ("minialbert", "7.5x"),
    ):  # fmt: skip
        assert (lines[key].difference, lines[key].p_value, lines[key].mark) == (None, None, "")
    teacher = lines["teacher", ""]
    assert (teacher.seeds, teacher.mean, teacher.sizes[1]) == ((1, 2, 3), 1.0, 1.0)


def test_both_sides_of_a_pair_count() -> None:
    """The same accuracy by other rows is no difference, and no finding."""
    lines = compare([comparison_row("lada", first(100)), comparison_row("kd", ~first(100))])
    (kd,) = [line for line in lines if line.method == "kd"]
    assert (kd.difference, kd.p_value, kd.mark) == (0.0, 1.0, "=")


def test_the_learning_rate_is_chosen_on_the_validation_split() -> None:
    """For each method and target by itself, whatever dev says."""

    def row(
        method: str, right: int, rate: float, validation: float, seed: int = 1
    ) -> dict[str, Any]:
        made = comparison_row(method, first(right), seed, rate=rate)
        made["artifact"]["validation_score"] = validation
        return made

    rows = [
        row("lada", 190, 1e-4, 0.80),
        row("lada", 150, 3e-4, 0.82),
        row("lada", 140, 3e-4, 0.80, seed=2),
        row("kd", 150, 1e-4, 0.7),
        row("kd", 199, 3e-4, 0.6),
        row("kd", 198, 1e-3, 0.6),
    ]
    lines = {x.method: x for x in compare(rows)}
    assert (lines["lada"].rate, lines["lada"].mean) == (3e-4, 0.725)
    assert lines["lada"].seeds == (1, 2)
    assert (lines["kd"].rate, lines["kd"].scores) == (1e-4, (0.75,))
    assert (lines["kd"].difference, lines["kd"].p_value) == (0.0, 1.0)  # to the chosen one
    assert lines["teacher"].rate is None
    assert choose_rates([]) == []


def test_order() -> None:
    rows = [
        comparison_row(m, first(9), target=t)
        for t in ("10x", "none", "2.5x")
        for m in ("kd", "lada")
    ]
    found = [(line.target, line.method) for line in compare(rows, ("lada", "kd"))]
    targets = [(t, m) for t in ("2.5x", "10x", "none") for m in ("lada", "kd")]
    assert found == [("", "teacher"), *targets]


def write_run(folder: Path) -> None:
    record = json.loads((ROOT / "experiments/first_run/mnli_7.5x.json").read_text())
    record["config"]["artifact"] = {"values": "int8"}
    record["start"] = ""
    record["speed"] = {"teacher": 3.0, "artifact": 1.0, "length": 64, "threads": 1}
    (folder / "results.json").write_text(json.dumps(record))
    classes: dict[str, dict[str, Any]] = {"teacher": {}, "artifact": {}, "labels": {}}
    for split, score in record["artifact"]["scores"].items():
        classes["labels"][split] = np.zeros(score["rows"], dtype=int)
        for who in ("teacher", "artifact"):
            right = record[who]["scores"][split]["correct"]
            classes[who][split] = (np.arange(score["rows"]) >= right).astype(int)
    write_predictions(folder / "predictions.safetensors", classes)


def test_a_run_becomes_a_row(tmp_path: Path) -> None:
    run, rows = tmp_path / "run", tmp_path / "rows"
    run.mkdir()
    write_run(run)
    (run / "metrics.csv").write_text(
        "epoch,ratio,validation/accuracy,step,train/loss\n0,3.5,0.5,49,\n0,,,49,2.0\n0,7.5,0.6,99,\n"
    )
    (run / "times.csv").write_text("step,seconds\n50,12.5\n")
    assert read_rows(rows) == []
    file = write_row(rows, make_row(run, "7.5x"))
    assert file.name == "mnli_7.5x_lada_0.0003_1.json"
    assert file.read_text().count("\n") == 1
    (found,) = read_rows(rows)
    assert found["command"].startswith("python train.py task=mnli")
    assert found["teacher"]["key"].startswith("mnli-")
    correct = bytes.fromhex(found["artifact"]["correct"]["dev_matched"])
    score = found["artifact"]["scores"]["dev_matched"]
    assert sum(byte.bit_count() for byte in correct) == score["correct"]
    assert found["curve_metric"] == "accuracy"
    assert found["curve"] == [
        {"step": 50, "seconds": 12.5, "validation": 0.5, "ratio": 3.5},
        {"step": 100, "seconds": None, "validation": 0.6, "ratio": 7.5},
    ]
    assert read_curve(tmp_path) == []


def test_records_of_version_0_2_0_are_read(tmp_path: Path) -> None:
    """There the validation split is called "select"."""
    run, rows = tmp_path / "run", tmp_path / "rows"
    run.mkdir()
    write_run(run)
    record = json.loads((run / "results.json").read_text())
    assert "select" in record["data"]
    accuracy = record["artifact"]["select_accuracy"]
    (run / "metrics.csv").write_text("ratio,select/accuracy,step\n7.5,0.6,99\n")
    row = make_row(run, "7.5x")
    assert row["artifact"]["validation_score"] == accuracy
    check = {"step": 100, "seconds": None, "validation": 0.6, "ratio": 7.5}
    assert row["curve"] == [check]
    old = json.dumps(row).replace("validation_score", "select_accuracy")
    old = old.replace('"validation', '"select')
    rows.mkdir()
    (rows / "old.json").write_text(old)
    assert read_rows(rows) == [row]
    assert choose_rates(read_rows(rows)) == [row]


def test_answers_of_another_run_are_rejected(tmp_path: Path) -> None:
    write_run(tmp_path)
    ids = {"dev_matched": np.zeros(9815, dtype=int), "dev_mismatched": np.zeros(1000, dtype=int)}
    write_predictions(
        tmp_path / "predictions.safetensors", {"teacher": ids, "artifact": ids, "labels": ids}
    )
    with pytest.raises(ValueError, match="is not of the run in results"):
        make_row(tmp_path, "7.5x")


def test_the_paper_s_figures() -> None:
    found = {
        (p.split, p.target, p.method): p for p in read_paper(ROOT / "experiments/table3/paper.csv")
    }
    assert found["mnli dev_matched", "7.5x", "lada"].accuracy == 82.1
    assert found["sst2 dev", "7.5x", "tinybert"].accuracy == 89.5
    assert found["qnli dev", "", "teacher"].accuracy == 90.5
    assert found["qqp dev", "2.5x", "pruning"].parameters == 44e6
    assert ("qqp dev", "", "teacher") not in found  # the paper has its F1 alone
