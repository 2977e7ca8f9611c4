"""The tables that end a run and a sweep, as text."""

import json
import runpy
from pathlib import Path
from typing import Any

import pytest
from heads.drawn import CASES, whole
from helpers import ROOT
from report.made import record_of
from rich.console import Console

from lada.heads.kinds import METRICS
from lada.report.html import run_html
from lada.report.table import run_rows, run_table, sweep_table


def shown(table: Any) -> str:
    console = Console(width=120, record=True, force_terminal=False)
    with console.capture() as captured:
        console.print(table)
    return captured.get()


CONSTANT = {"examples": [309, 691], "answers": [0, 1000], "mcc": 0.0, "macro_f1": 0.4086,
            "majority": {"class": 1, "accuracy": 0.691, "p_value": 1.0}}  # fmt: skip


def record(**extra: Any) -> dict[str, Any]:
    def scores(correct: int) -> dict[str, Any]:
        return {"dev": {"rows": 1000, "correct": correct, "accuracy": correct / 1000,
                        "accuracy_95": [0.8, 0.9], **extra}}  # fmt: skip

    return {
        "config": {
            "task": {"name": "qqp"},
            "model": {"name": "minilm-l6"},
            "method": {"name": "lada"},
        },
        "start": "",
        "target": 7.5,
        "reached": 7.501,
        "teacher": {"scores": scores(905), "nonzeros": 22_714_754, "stored_bytes": 90_000_000},
        "artifact": {"scores": scores(881), "nonzeros": 3_028_634, "stored_bytes": 30_000_000},
        "speed": {"teacher": 12.0, "artifact": 5.0, "length": 64, "threads": 1},
    }


def test_teacher_next_to_artifact() -> None:
    text = shown(run_table(record()))
    lines = [line.split() for line in text.splitlines()]
    assert ["minilm-l6", "on", "qqp,", "lada,", "x7.5"] in lines
    assert ["dev", "accuracy", "%", "90.5", "88.1", "-2.4"] in lines
    assert ["nonzero", "parameters", "22,714,754", "3,028,634", "7.50x", "smaller"] in lines
    assert ["file,", "bytes", "90,000,000", "30,000,000", "3.00x", "smaller"] in lines
    assert "ms for 64 tokens (torch) 12.0 5.0 2.40x faster".split() in lines
    assert "95 % interval of accuracy 80.0-90.0; one seed" in " ".join(text.split())
    assert "1,000 dev examples" in text
    assert "F1" not in text


def test_from_scratch_is_said() -> None:
    found = record() | {"start": "from scratch"}
    assert "minilm-l6 on qqp, lada from scratch, x7.5" in shown(run_table(found))


def test_f1_where_the_task_has_it() -> None:
    assert "dev F1 %" in shown(run_table(record(f1=0.5)))


def test_a_model_that_answers_one_class_is_told() -> None:
    lines = ['dev: the artifact answers "[b]yes", the largest class, for every example']
    found = record(**CONSTANT) | {"warnings": lines}
    found["teacher"]["scores"]["dev"] |= {"answers": [200, 800], "mcc": 0.413, "macro_f1": 0.69}
    text = shown(run_table(found))
    assert lines[0] in text  # no markup is taken from a label
    rows = [line.split() for line in text.splitlines()]
    assert "dev majority baseline % 69.1 69.1".split() in rows
    assert "dev Matthews correlation 0.413 0.000 -0.413".split() in rows
    assert "dev macro-F1 % 69.0 40.9 -28.1".split() in rows


def test_nothing_more_where_classes_are_even() -> None:
    even = {"examples": [500, 500], "answers": [490, 510], "mcc": 0.8, "macro_f1": 0.88,
            "majority": {"class": 0, "accuracy": 0.5, "p_value": 1e-9}}  # fmt: skip
    assert shown(run_table(record(**even) | {"warnings": []})) == shown(run_table(record()))


def test_a_sweep_marks_a_model_that_answers_one_class() -> None:
    rows = [{"job": n, "overrides": [], "outcome": "done", "record": r}
            for n, r in enumerate((record(), record(**CONSTANT)))]  # fmt: skip
    text = shown(sweep_table(rows))
    cells = [line.split() for line in text.splitlines()]
    assert ["0", "done", "88.1", "90.5", "7.50x", "30,000,000"] in cells
    assert ["1", "done", "88.1*", "90.5", "7.50x", "30,000,000"] in cells
    assert "* not significantly more accurate than always answering the largest class" in text
    assert "*" not in shown(sweep_table(rows[:1]))


def test_sweep_with_a_failed_job() -> None:
    rows = [
        {"job": 0, "overrides": ["target=5x"], "outcome": "done", "record": record()},
        {"job": 1, "overrides": ["target=9x"], "outcome": "failed: no room"},
    ]
    text = shown(sweep_table(rows))
    lines = [line.split() for line in text.splitlines()]
    assert ["0", "target=5x", "done", "88.1", "90.5", "7.50x", "30,000,000"] in lines
    assert ["1", "target=9x", "failed:", "no", "room"] in lines


@pytest.mark.parametrize("case", CASES)
def test_all_metrics_of_a_kind_the_deciding_one_with_its_interval(case: str) -> None:
    teacher, artifact = whole(case, 0.3), whole(case, 0.8, 1)
    found = record_of({"teacher": teacher, "artifact": artifact})
    before, after = teacher.score(), artifact.score()
    rows = [row.split() for row in shown(run_table(found)).splitlines()]
    for name in [name for name in found["metrics"] if name in before]:
        metric = METRICS[name]
        row = [*f"dev {metric.heading}".split(), metric.shown(before[name]),
               metric.shown(after[name]), metric.change(before[name], after[name])]  # fmt: skip
        assert rows.count(row) == 1
    decides = METRICS[case.split(", ")[1]]
    low, high = (decides.shown(bound) for bound in after[f"{decides.name}_95"])
    assert f"95 % interval of {decides.title} {low}-{high}; one seed" in run_html(found)
    queries = f" of {after['queries']} queries" if "queries" in after else ""
    assert f"; {len(artifact.split):,} dev examples{queries}, 95" in run_html(found)


def test_a_metric_that_decides_is_not_listed_again_for_uneven_classes() -> None:
    """Of a task like CoLA."""
    case = "single_label, mcc"
    found = record_of({"teacher": whole(case, 0.3), "artifact": whole(case, 0.8, 1)})
    names = [row[0] for row in run_rows(found).rows if row[0].startswith("dev ")]
    assert names == ["dev Matthews correlation", "dev macro-F1 %", "dev majority baseline %"]


def test_a_sweep_over_kinds_says_score() -> None:
    cases = ("tokens, entity_f1", "regression, pearson")
    found = [record_of({"teacher": whole(case, 0.3), "artifact": whole(case)}) for case in cases]
    rows = [{"job": n, "overrides": [], "outcome": "done", "record": each}
            for n, each in enumerate(found)]  # fmt: skip
    one, both = shown(sweep_table(rows[:1])), shown(sweep_table(rows))
    assert "entity F1 %" in one and "score" not in one
    assert "score" in both and "entity F1 %" not in both
    pearson = whole(cases[1]).score()["pearson"]
    assert f"{pearson:.3f}" in both and f"{100 * pearson:.1f}" not in both


def test_records_of_kinds_as_markdown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main = runpy.run_path(str(ROOT / "experiments/markdown.py"))["main"]
    files = []
    for case in ("single_label, accuracy", "regression, pearson"):
        made = record_of({"teacher": whole(case, 0.3), "artifact": whole(case)})
        files.append(tmp_path / f"{case}.json")
        files[-1].write_text(json.dumps(made))
    main([str(files[0])])
    header, _, line = capsys.readouterr().out.splitlines()
    assert "| teacher % | artifact % (95 %) |" in header and "accuracy" not in line
    main([str(file) for file in files])
    header, *_, line = capsys.readouterr().out.splitlines()
    score = whole("regression, pearson").score()
    low, high = score["pearson_95"]
    assert "| teacher | artifact (95 %) |" in header
    assert "(120 examples), Pearson |" in line
    assert f"| **{score['pearson']:.3f}** ({low:.3f}-{high:.3f}) |" in line


def test_intervals_as_text() -> None:
    assert METRICS["accuracy"].interval((0.8, 0.905)) == "80.0-90.5"
    assert METRICS["pearson"].interval([0.1, 0.25]) == "0.100-0.250"
    assert METRICS["pearson"].interval([-0.5, -0.25]) == "-0.500 to -0.250"
