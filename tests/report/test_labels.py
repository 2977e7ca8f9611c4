"""Variants of one method are never taken for each other, whatever reads their rows."""

import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import ROOT, comparison_row

from lada.report.comparison import by_target, compare
from lada.report.labels import labels, same_run, settings_in
from lada.report.rows import choose_rates, read_rows, training_seconds, write_row

INT8 = {"artifact.values": "int8", "method.factorizer": "svd", "optim.steps": 400}
INT4 = INT8 | {"artifact.values": "int4"}
WHITENED = INT8 | {"method.factorizer": "whitened"}


def row(settings: dict[str, Any] | None, right: int = 150, seed: int = 1, **more: Any) -> Any:
    method = more.pop("method", "lada")
    own = {} if settings is None else {"settings": settings, "values": settings["artifact.values"]}
    return comparison_row(method, np.arange(200) < right, seed, **own, **more)


def test_a_label_has_what_differs_and_nothing_else() -> None:
    assert labels([row(INT8), row(INT8, seed=2)]) == ["lada", "lada"]
    assert labels([row(INT8), row(INT4)]) == ["lada, int8", "lada, int4"]
    assert labels([row(INT8), row(WHITENED), row(INT4)]) == [
        "lada, int8, factorizer=svd",
        "lada, int8, factorizer=whitened",
        "lada, int4, factorizer=svd",
    ]
    assert labels([row(INT8), row(INT4, method="kd")]) == ["lada", "kd"]
    other_task = row(INT4, task="qnli")
    assert labels([row(INT8), other_task]) == ["lada", "lada"]


def test_what_is_a_size_by_its_target_is_no_variant() -> None:
    small, large = INT8 | {"method.layers": 1}, INT8 | {"method.layers": None}
    rows = [row(small), row(large, target="2.5x")]
    assert labels(rows) == ["lada", "lada"]
    rows.append(row(large))
    assert labels(rows) == ["lada, layers=1", "lada, layers=null", "lada, layers=null"]


def test_names_that_end_alike_are_told_apart() -> None:
    one = INT8 | {"distill.hidden": 1.0, "method.hidden": 2, "teacher.lr": 1e-4, "compile": False}
    other = INT8 | {"distill.hidden": 0.5, "method.hidden": 3, "teacher.lr": 5e-5, "compile": True}
    expected = "lada, compile=true, distill.hidden=0.5, method.hidden=3, teacher.lr=5e-05"
    assert labels([row(one), row(other)])[1] == expected
    assert labels([row(INT8 | {"ratios.rule": rule}) for rule in ("fast", "scaled")]) == [
        "lada, ratios=fast", "lada, ratios=scaled",
    ]  # fmt: skip


def test_keys_that_are_newer_than_a_row_count_where_they_are_given() -> None:
    newer = INT8 | {"method.vocabulary": "keep"}
    assert labels([row(INT8), row(newer)]) == ["lada", "lada"]
    trimmed = INT8 | {"method.vocabulary": "trim"}
    given = row(trimmed, command="python train.py method.vocabulary=trim")
    assert labels([row(INT8), given]) == ["lada", "lada, vocabulary=trim"]
    # Rows up to version 0.2.0 have their commands alone.
    words = ("", "method.layers=1", "method.layers=1.0", "+teacher.lr=5e-5")
    old = [row(None, command=f"python train.py method=lada optim.lr=1e-4 {x}") for x in words]
    assert labels(old) == [
        "lada", "lada, layers=1", "lada, layers=1", "lada, teacher.lr=5e-05"
    ]  # fmt: skip
    assert same_run(old[1], old[2])
    assert not same_run(old[0], old[1])
    assert same_run(old[0], row(INT8))
    assert not same_run(old[0], row(WHITENED, command="python train.py method.factorizer=whitened"))


def test_settings_are_what_decides_a_result() -> None:
    config = {
        "seed": 1, "compile": False, "method": {"name": "lada", "score": "magnitude"},
        "optim": {"lr": 1e-3, "steps": 4}, "trainer": {"threads": 2, "checks": 2},
        "paths": {"outputs": "PATH"}, "task": {"name": "sst2", "max_length": 64},
    }  # fmt: skip
    assert settings_in(config) == {
        "compile": False, "method.score": "magnitude", "optim.steps": 4, "trainer.checks": 2,
        "task.max_length": 64,
    }  # fmt: skip


def test_a_row_may_have_a_label_of_its_own() -> None:
    rows = [row(INT8, label="ours"), row(INT4, label="ours, small"), row(INT8)]
    assert labels(rows) == ["ours", "ours, small", "lada"]


def test_variants_have_lines_of_their_own_over_their_seeds() -> None:
    rows = [
        row(settings, right + seed, seed, rate=rate)
        for settings, right in ((INT8, 150), (INT4, 120))
        for seed in (1, 2)
        for rate in (1e-4, 3e-4)
    ]
    for one in rows:
        best = 3e-4 if one["values"] == "int8" else 1e-4
        one["artifact"]["validation_score"] = 0.9 if one["rate"] == best else 0.8
    assert {(r["values"], r["rate"]) for r in choose_rates(rows)} == {
        ("int8", 3e-4), ("int4", 1e-4),
    }  # fmt: skip
    lines = {line.label: line for line in compare(rows, reference="lada, int8")}
    assert set(lines) == {"teacher", "lada, int8", "lada, int4"}
    int8, int4 = lines["lada, int8"], lines["lada, int4"]
    assert (int8.seeds, int8.scores, int8.p_value) == ((1, 2), (0.755, 0.76), None)
    assert (int4.scores, int4.paired, int4.mark) == ((0.605, 0.61), 2, "worse")
    assert int4.difference == pytest.approx(-0.15)


def test_the_reference_is_one_variant() -> None:
    rows = [row(INT8), row(INT4), row(INT8, method="kd")]
    with pytest.raises(ValueError, match=r"variants of lada \('lada, int8', 'lada, int4'\)"):
        compare(rows)
    assert all(line.p_value is None for line in compare(rows, reference=None))
    lines = {x.label: x for x in compare(rows, reference="kd")}
    assert lines["lada, int4"].p_value == lines["lada, int8"].p_value == 1.0
    # Where each target has one of them, the method names it.
    assert len(compare([row(INT8), row(INT4, target="5x"), row(INT8, method="kd")])) == 4


def test_rows_of_variants_do_not_replace_each_other(tmp_path: Path) -> None:
    files = [write_row(tmp_path, row(s, 100 + n)) for n, s in enumerate((INT8, INT4, WHITENED))]
    assert len(set(files)) == 3
    again = [write_row(tmp_path, row(s, 110 + n)) for n, s in enumerate((INT8, INT4, WHITENED))]
    assert again == files
    found = {r["values"] + r["settings"]["method.factorizer"]: r for r in read_rows(tmp_path)}
    right = {k: r["artifact"]["scores"]["dev"]["correct"] for k, r in found.items()}
    assert right == {"int8svd": 110, "int4svd": 111, "int8whitened": 112}
    files[0].unlink()  # those that stay keep their names
    assert write_row(tmp_path, row(INT4)) == files[1]


def test_targets_in_order() -> None:
    targets = ["none", "1.2MB", "10x", "1.8 MB", "2.5x"]
    assert sorted(targets, key=by_target) == ["2.5x", "10x", "1.8 MB", "1.2MB", "none"]


def test_seconds_of_a_resumed_run() -> None:
    part = {"seconds": {"compression": 5.0}, "steps": 20}
    checks = [{"step": 10, "seconds": 12.0}, {"step": 20, "seconds": 30.0}]
    assert training_seconds(row(INT8, **part)) == 5.0
    assert training_seconds(row(INT8, **part, resumed=True, curve=checks)) == 30.0
    assert training_seconds(row(INT8, **part, resumed=True, curve=checks[:1])) is None
    assert training_seconds(row(INT8)) is None


def test_table_and_figures_name_the_variants(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checks = [
        {"step": n, "seconds": n, "validation": 0.5 + n / 100, "ratio": 7.5} for n in (10, 20)
    ]
    for right, settings in ((150, INT8), (120, INT4)):
        write_row(tmp_path, row(settings, right, curve=checks))
    write_row(tmp_path, row(INT8, method="tinybert", curve=checks))
    experiments = ROOT / "experiments"
    table = runpy.run_path(str(experiments / "table3/table.py"))
    with pytest.raises(SystemExit, match="Name one of them"):
        table["main"](["--rows", str(tmp_path)])
    table["main"](["--rows", str(tmp_path), "--reference", "lada, int8"])
    shown = capsys.readouterr().out
    names = [line.split(" | ")[2] for line in shown.splitlines() if line.startswith("| sst2")]
    assert names == ["teacher, minilm-l6", "lada, int4", "lada, int8", "tinybert"]
    assert "| to lada, int8 |" in shown
    draw = runpy.run_path(str(experiments / "figure3/draw.py"))
    found = draw["curves"](read_rows(tmp_path), "sst2", "7.5x")
    assert list(found["lada"]) == ["lada, int8", "lada, int4"]
    assert found["tinybert"] == {"tinybert": {1: checks}}
