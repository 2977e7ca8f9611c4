"""Figures that can be read, and what is said of learning curves."""

import json
import runpy
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import ROOT, comparison_row
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from lada.report.comparison import compare
from lada.report.figures import (
    at_target,
    draw_panel,
    drawing,
    first_to_reach,
    front,
    panels,
    place_labels,
)
from lada.report.paper import Printed
from lada.report.rows import write_row


def main(figure: str, *args: str) -> None:
    runpy.run_path(str(ROOT / f"experiments/{figure}/draw.py"))["main"](list(args))


def curve(values: list[float], ratios: list[float], pace: float = 2.0) -> list[dict[str, Any]]:
    looks = enumerate(zip(values, ratios, strict=True), 1)
    return [
        {"step": 10 * n, "seconds": pace * n, "validation": v, "ratio": r} for n, (v, r) in looks
    ]


def test_no_label_lies_on_another(tmp_path: Path) -> None:
    draw = np.random.default_rng(1)
    with drawing(tmp_path / "figure", 1, 1, (6, 5)) as (figure, axes):
        axis = axes[0, 0]
        points = [(float(x), float(y)) for x, y in draw.normal(size=(30, 2))]
        points += [(0.0, 0.0)] * 5  # on the same spot
        axis.plot(*zip(*points, strict=True), "o")
        place_labels(figure, axis, [(x, y, f"method {n}", "k") for n, (x, y) in enumerate(points)])
        renderer = figure.canvas.get_renderer()
        # The text alone: a note's own extent has its line to the point as well.
        boxes = [text.get_bbox_patch().get_window_extent(renderer) for text in axis.texts]
        assert len(boxes) == 35
        assert not any(a.overlaps(b) for a, b in combinations(boxes, 2))
        frame = axis.get_window_extent(renderer)
        assert all(frame.x0 <= b.x0 and b.x1 <= frame.x1 for b in boxes)
    assert (tmp_path / "figure.pdf").read_bytes().startswith(b"%PDF")
    assert (tmp_path / "figure.png").stat().st_size > 10_000


def test_where_a_curve_passes_a_score() -> None:
    found = curve([0.9, 0.5, 0.7, 0.8], [2.0, 7.4, 7.5, 7.5])
    assert [at_target(look, found) for look in found] == [False, False, True, True]
    passed = first_to_reach(found, 0.75)  # not the first, which was not small yet
    assert passed is not None
    assert passed["step"] == 40
    assert first_to_reach(found, 0.85) is None


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    ours = curve([0.9, 0.7, 0.8, 0.85], [2.0, 7.5, 7.5, 7.5])
    theirs = curve([0.5, 0.6, 0.7, 0.79], [7.5] * 4, pace=1.0)
    for task in ("mnli", "qqp"):
        for method, looks in (("lada", ours), ("tinybert", theirs)):
            bits = [number < 150 for number in range(200)]
            write_row(tmp_path / "rows", comparison_row(method, bits, task=task, curve=looks))
    return tmp_path / "rows"


@pytest.mark.parametrize(("figure", "task"), [("figure3", "mnli"), ("figure4", "qqp")])
def test_learning_curves(
    rows: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], figure: str, task: str
) -> None:
    main(figure, "--rows", str(rows), "--out", str(tmp_path))
    said = capsys.readouterr().out
    assert "seed 1: tinybert ends with 79.0 % after 40 steps; lada, at its target size" in said
    assert "first has that at step 30: 1.3 times fewer steps, 1.5 times more seconds" in said
    assert (tmp_path / f"{task}_7.5x.pdf").is_file()
    assert (tmp_path / f"{task}_7.5x.png").is_file()


def test_sizes(rows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    titles = []
    monkeypatch.setattr(Figure, "suptitle", lambda _, text, **__: titles.append(text))
    main("figure1", "--rows", str(rows), "--out", str(tmp_path), "--task", "qqp")
    assert (tmp_path / "qqp_dev.pdf").is_file()
    assert titles[0].startswith("qqp dev, 7.5x: lada has 75.0 % in ")


def test_the_errors_of_weights_are_those_of_the_record() -> None:
    folder = ROOT / "experiments/figure5"
    rows = json.loads((folder / "errors.json").read_text())["rows"]
    made = runpy.run_path(str(folder / "draw.py"))["text"](rows)
    assert made in (folder / "README.md").read_text()


@pytest.mark.parametrize("uneven", [True, False])
def test_the_majority_baseline_is_drawn_where_classes_are_uneven(
    tmp_path: Path, uneven: bool
) -> None:
    rows = [comparison_row(method, [n < 150 for n in range(200)]) for method in ("lada", "kd")]
    share = 0.7 if uneven else 0.52
    for row in rows:
        for who in ("teacher", "artifact"):
            row[who]["scores"]["dev"] |= {
                "examples": [round(200 * (1 - share)), round(200 * share)], "answers": [70, 130],
                "majority": {"class": 1, "accuracy": share, "p_value": 0.01}, "mcc": 0.4,
                "macro_f1": 0.7,
            }  # fmt: skip
    teacher, *lines = compare(rows)
    with drawing(tmp_path / "figure", 1, 1, (6, 4)) as (_, axes):
        axis = axes[0, 0]
        draw_panel(axis, lines, teacher, {"kd": Printed("", "7.5x", "kd", "BERT-KD", 1.0, 81.5)})
        found = {
            look: [line.get_xdata()[0] for line in axis.lines if getter(line) == look]
            for look, getter in ((":", Line2D.get_linestyle), ("x", Line2D.get_marker))
        }
        names = [text.get_text() for text in axis.get_yticklabels()]
    assert found == {":": [70.0] if uneven else [], "x": [81.5]}
    assert names == ["kd", "lada"]  # in the order given


def test_the_front_is_what_no_other_beats() -> None:
    def line(label: str, size: float, right: int, target: str = "7.5x") -> dict[str, Any]:
        row = comparison_row(label, [n < right for n in range(200)], target=target)
        row["artifact"]["stored_bytes"] = size
        return row

    rows = [line("kd", 3e6, 150), line("lada", 2e6, 160), line("pkd", 4e6, 170),
            line("hybrid", 2e6, 140), line("pruning", 5e6, 170),
            line("lada", 9e6, 171, "2.5x")]  # fmt: skip
    lines = [x for x in compare(rows) if x.method != "teacher"]
    assert [(x.label, x.target) for x in front(lines)] == [
        ("lada", "7.5x"), ("pkd", "7.5x"), ("lada", "2.5x"),
    ]  # fmt: skip
    found = panels(lines)
    assert list(found) == ["2.5x", "7.5x"]
    assert [x.label for x in found["7.5x"]] == ["pkd", "pruning", "lada", "kd", "hybrid"]


@pytest.mark.parametrize(
    ("figure", "line"), [("figure1", "no rows of mnli"), ("figure3", "no curve of lada on mnli")]
)
def test_nothing_to_draw(tmp_path: Path, figure: str, line: str) -> None:
    with pytest.raises(SystemExit, match=line):
        main(figure, "--rows", str(tmp_path))
