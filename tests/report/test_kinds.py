"""The comparison of methods for every kind of task, from records as runs write them."""

import csv
import io
import json
import runpy
from pathlib import Path
from typing import Any

import pytest
import scipy.stats
from heads.drawn import CASES, UNITS, whole
from helpers import ROOT
from report.made import write_run
from sklearn.metrics import f1_score

from lada.heads.kinds import METRICS
from lada.report import differences
from lada.report.bootstrap import Difference, paired_bootstrap
from lada.report.comparison import Line, compare
from lada.report.figures import draw_curves, draw_front, draw_panel, drawing, panels
from lada.report.predictions import PREDICTIONS, from_packed, to_packed
from lada.report.rows import Row, by_metric, make_row, read_rows, write_row

EXACT, *OTHERS = CASES
TABLE = runpy.run_path(str(ROOT / "experiments/table3/table.py"))


@pytest.fixture(autouse=True)
def few_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(differences, "SAMPLES", 100)


NOISE = {"lada": 0.4, "kd": 0.8, "hybrid": 0.4}


def rows_of(case: str, folder: Path, seeds: tuple[int, ...] = (1,)) -> list[Row]:
    """Rows of three methods, written and read back; hybrid is as good as lada."""
    for number, (method, noise) in enumerate(NOISE.items()):
        for seed in seeds:
            models = {
                "teacher": whole(case, 0.3),
                "artifact": whole(case, noise, 10 * seed + number),
            }
            write_run(folder / f"{method}_{seed}", models, method, seed)
            write_row(folder / "rows", make_row(folder / f"{method}_{seed}", "7.5x"))
    return read_rows(folder / "rows")


def by_method(rows: list[Row]) -> dict[str, Line]:
    return {line.method: line for line in compare(rows)}


@pytest.mark.parametrize("case", CASES)
def test_lines_are_of_the_metric_that_decides(case: str, tmp_path: Path) -> None:
    rows = rows_of(case, tmp_path)
    lines = by_method(rows)
    _, name = case.split(", ")
    for number, (method, noise) in enumerate(NOISE.items()):
        score = whole(case, noise, 10 + number).score()
        line = lines[method]
        assert (line.metric, line.mean) == (METRICS[name], pytest.approx(score[name], abs=1e-6))
        assert line.interval == pytest.approx(tuple(score[f"{name}_95"]), abs=1e-6)
        assert set(line.others) == {*rows[0]["metrics"][1:]}
        for other, value in line.others.items():
            assert value == score[other]
    teacher = whole(case, 0.3).score()[name]
    assert lines["teacher"].mean == lines["kd"].teachers[0] == teacher
    assert lines["kd"].difference == pytest.approx(lines["kd"].mean - lines["lada"].mean, abs=1e-6)
    assert lines["kd"].difference is not None and lines["kd"].difference < 0
    assert (lines["kd"].mark, lines["hybrid"].mark) == ("worse", "=")
    assert (lines["lada"].mark, lines["lada"].p_value) == ("", None)


def test_a_difference_of_correlations_is_a_paired_bootstrap_of_scipy_s(tmp_path: Path) -> None:
    line = by_method(rows_of("regression, pearson", tmp_path))["kd"]

    def pearson(noise: float, seed: int) -> Any:
        drawn = whole("regression, pearson", noise, seed)
        given, truth = drawn.outputs.numpy()[:, 0], drawn.examples.labels
        return lambda index: scipy.stats.pearsonr(given[index], truth[index]).statistic

    expected = paired_bootstrap(pearson(0.8, 11), pearson(0.4, 10), UNITS, samples=100)
    assert line.difference == pytest.approx(expected.difference, abs=1e-6)
    assert line.p_value == expected.p


def test_a_difference_of_micro_f1_is_a_paired_bootstrap_of_scikit_learn_s(tmp_path: Path) -> None:
    line = by_method(rows_of("multi_label, micro_f1", tmp_path))["hybrid"]

    def micro(seed: int) -> Any:
        drawn = whole("multi_label, micro_f1", 0.4, seed)
        given, truth = (drawn.outputs.numpy() >= 0).astype(int), drawn.examples.labels.astype(int)
        return lambda index: f1_score(truth[index], given[index], average="micro")

    expected = paired_bootstrap(micro(12), micro(10), UNITS, samples=100)
    assert line.difference == pytest.approx(expected.difference, abs=1e-6)
    assert line.p_value == expected.p > 0.05


@pytest.mark.parametrize("case", ["regression, map", "tokens, entity_f1"])
def test_several_seeds_resample_the_same_examples(case: str, tmp_path: Path) -> None:
    """Twice the same run is no more certain than once; other seeds count as their mean."""
    rows = rows_of(case, tmp_path)
    again = [row | {"seed": 2} for row in rows]
    once, twice = by_method(rows), by_method(rows + again)
    for method in NOISE:
        assert twice[method].seeds == (1, 2)
        assert twice[method].interval == pytest.approx(once[method].interval)
        assert twice[method].difference == pytest.approx(once[method].difference)
        assert twice[method].p_value == once[method].p_value
    several = by_method(rows_of(case, tmp_path / "several", (1, 2)))
    means = [line.difference for line in several.values() if line.difference is not None]
    pairs = [
        (several["kd"].scores[n] - several["lada"].scores[n]) for n in range(2)
    ]  # fmt: skip
    assert means[-1] == pytest.approx(sum(pairs) / 2, abs=1e-6)
    assert several["kd"].paired == 2


def test_holm_s_correction_counts_all_differences(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = iter((0.02, 0.03))
    monkeypatch.setattr(
        differences, "paired_bootstrap", lambda *_, **__: Difference(-0.1, -0.2, 0.0, next(found))
    )
    lines = by_method(rows_of("regression, map", tmp_path))
    adjusted = sorted(line.adjusted for line in lines.values() if line.adjusted is not None)
    assert adjusted == [0.04, 0.04]
    assert lines["kd"].mark == "worse"


def test_rows_of_several_metrics_are_not_compared(tmp_path: Path) -> None:
    rows = [
        *rows_of("regression, pearson", tmp_path / "a"),
        *rows_of("tokens, entity_f1", tmp_path / "b"),
        *rows_of("regression, map", tmp_path / "c"),
    ]
    line = "regression by Pearson, tokens by entity F1, regression by MAP"
    with pytest.raises(ValueError, match=f"cannot be compared: {line}"):
        compare(rows)
    assert [len(part) for part in by_metric(rows)] == [3, 3, 3]


def test_runs_on_other_examples_are_not_averaged(tmp_path: Path) -> None:
    rows = rows_of("regression, pearson", tmp_path)
    short = json.loads(json.dumps(rows[0])) | {"seed": 2}
    for who in ("teacher", "artifact"):
        units = from_packed(short[who]["units"]["dev"])[:-1]
        short[who]["units"]["dev"] = to_packed(units)
    with pytest.raises(ValueError, match="task of regression dev: the rows have different exam"):
        compare([*rows, short])


@pytest.mark.parametrize("case", CASES)
def test_units_of_another_run_are_rejected(case: str, tmp_path: Path) -> None:
    for name, seed in (("one", 1), ("other", 2)):
        models = {"teacher": whole(case, 0.3), "artifact": whole(case, 0.8, seed)}
        write_run(tmp_path / name, models, "lada", 1)
    make_row(tmp_path / "one", "7.5x")
    (tmp_path / "other" / PREDICTIONS).replace(tmp_path / "one" / PREDICTIONS)
    with pytest.raises(ValueError, match="is not of the run in results"):
        make_row(tmp_path / "one", "7.5x")


@pytest.mark.parametrize("case", ["regression, map", "tokens, entity_f1"])
def test_figures_have_the_name_and_the_unit_of_the_metric(case: str, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    lines = compare(rows_of(case, tmp_path))
    metric = METRICS[case.split(", ")[1]]
    checks = [{"step": 1, "seconds": 2.0, "validation": 0.25, "ratio": 2.0},
              {"step": 2, "seconds": 3.0, "validation": 0.5, "ratio": 7.5}]  # fmt: skip
    with drawing(tmp_path / "figure", 2, 2, (8, 8)) as (figure, axes):
        draw_front(figure, axes[0, 0], lines)
        (own,) = panels(lines).values()
        draw_panel(axes[0, 1], own, None, {})
        draw_curves(figure, axes[1], {"lada": [checks]}, metric)
        labels = [axis.get_ylabel() for axis in (axes[0, 0], *axes[1])]
        points = {round(float(y), 6) for line in axes[0, 0].lines for y in line.get_ydata()}
        across = {round(float(x), 6) for line in axes[0, 1].lines for x in line.get_xdata()}
        texts = [text.get_text() for text in axes[0, 1].texts]
        curve = [y for line in axes[1, 0].lines for y in line.get_ydata()]
    assert labels == [metric.heading, *[f"validation {metric.heading}"] * 2]
    scale = 100 if metric.percent else 1
    assert points >= {round(scale * line.mean, 6) for line in lines}
    assert across >= {round(scale * line.mean, 6) for line in own}
    assert [text.split()[0] for text in texts] == [metric.shown(line.mean) for line in own]
    assert {0.25 * scale, 0.5 * scale} == set(curve)


def test_a_figure_of_rows_of_several_metrics_is_rejected(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    for case in ("regression, pearson", "regression, map"):
        for row in rows_of(case, tmp_path / case):
            write_row(tmp_path / "rows", row | {"target": f"{len(case)}x"})
    draw = runpy.run_path(str(ROOT / "experiments/figure1/draw.py"))["main"]
    with pytest.raises(SystemExit, match=r"error: .*: rows of several metrics cannot be compared"):
        draw(["--rows", str(tmp_path / "rows"), "--task", "task of regression"])


def cells(text: str) -> list[list[str]]:
    return [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]


def test_a_table_of_correlations(tmp_path: Path) -> None:
    rows = rows_of("regression, pearson", tmp_path)
    text = TABLE["make"](rows, "markdown")
    header, _, teacher, lada, *_ = cells(text)
    assert header[4:10] == [
        "dev Pearson (lowest-highest)", "95 %", "Spearman", "teacher", "to lada", "p (Holm)",
    ]  # fmt: skip
    score = whole("regression, pearson", 0.4, 10).score()
    low, high = score["pearson_95"]
    assert lada[4:7] == [
        f"{score['pearson']:.3f}", f"{low:.3f}-{high:.3f}", f"{score['spearman']:.3f}",
    ]  # fmt: skip
    assert lada[7] == teacher[4]
    assert "paper" not in text.lower() and "McNemar" not in text and "Wilson" not in text
    assert "the p-value of a paired bootstrap on the same dev examples" in text


def test_a_table_of_percentages(tmp_path: Path) -> None:
    rows = rows_of("tokens, entity_f1", tmp_path)
    header, _, teacher, *_ = cells(TABLE["make"](rows, "markdown"))
    assert header[4:8] == [
        "dev entity F1 % (lowest-highest)",
        "95 %",
        "token accuracy %",
        "teacher %",
    ]
    score = whole("tokens, entity_f1", 0.3).score()
    assert teacher[4] == f"{100 * score['entity_f1']:.1f}"
    assert teacher[6] == f"{100 * score['token_accuracy']:.1f}"


def test_kinds_have_tables_of_their_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for case in (EXACT, "single_label, mcc", "multi_label, micro_f1"):
        for row in rows_of(case, tmp_path / case):
            write_row(tmp_path / "rows", row | {"task": case})
    rows = read_rows(tmp_path / "rows")
    text = TABLE["make"](rows, "markdown")
    titles = [line for line in text.splitlines() if line.endswith(":") and "|" not in line]
    assert titles == [
        "multi label, micro-F1:", "single label, accuracy:", "single label, Matthews correlation:",
    ]  # fmt: skip
    assert [row[4] for row in cells(text) if row[0] == "task, dev examples"] == [
        "dev micro-F1 % (lowest-highest)", "dev % (lowest-highest)",
        "dev Matthews correlation (lowest-highest)",
    ]  # fmt: skip
    with pytest.raises(SystemExit, match=r"error: .*: rows of several metrics"):
        TABLE["main"](["--rows", str(tmp_path / "rows"), "--format=csv"])
    TABLE["main"](["--rows", str(tmp_path / "multi_label, micro_f1/rows"), "--format=csv"])
    found = {x["method"]: x for x in csv.DictReader(io.StringIO(capsys.readouterr().out))}
    score = whole("multi_label, micro_f1", 0.4, 10).score()
    assert float(found["lada"]["micro_f1"]) == pytest.approx(score["micro_f1"])
    assert float(found["lada"]["average_precision"]) == pytest.approx(score["average_precision"])
    assert "majority" not in found["lada"]
