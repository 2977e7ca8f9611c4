"""Which of several runs to take."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lada.report.choose import Limits, Point, choose, find_points, reason
from lada.report.chosen import choice_json
from lada.report.predictions import to_hex
from lada.report.rows import Row

EXAMPLES = 1000


def row(right: range, mb: float, ms: float = 10.0, *, task: str = "sst2", data: str = "a") -> Row:
    """A run with these examples right; its teacher has 900 of 1,000."""
    bits = np.zeros(EXAMPLES, dtype=bool)
    bits[list(right)] = True

    def scores(count: int) -> dict[str, Any]:
        return {"dev": {"accuracy": count / EXAMPLES, "rows": EXAMPLES}}

    return {
        "task": task,
        "metrics": ["accuracy"],
        "latency": {"artifact": ms},
        "data": {"dev": {"sha256": data}},
        "teacher": {"scores": scores(900)},
        "artifact": {
            "scores": scores(len(right)),
            "stored_bytes": round(mb * 1e6),
            "correct": {"dev": to_hex(bits)},
        },
    }


def points(**rows: Row) -> list[Point]:
    return [Point(name, found) for name, found in rows.items()]


SOME = points(
    large=row(range(880), 4.0, 12.0),
    small=row(range(872), 2.0, 8.0),  # 8 fewer of 8 that differ: p .008
    middle=row(range(3, 880), 3.0, 9.0),  # 3 fewer: p .25
    tiny=row(range(700), 1.0, 4.0),
)


def names(found: list[Point] | tuple[Point, ...]) -> list[str]:
    return [point.name for point in found]


def test_the_smallest_that_does_not_differ_from_the_best() -> None:
    found = choose(SOME, Limits())
    assert names(found.points) == ["middle", "large", "small", "tiny"]
    assert found.best.name == "large"
    assert found.equals == 2
    # Holm over three tests: .25 is the largest, .0078 is doubled.
    assert found.p_values == pytest.approx([0.25, 1.0, 2 / 2**7, 3 * 2 / 2**180], rel=1e-6)
    words = reason(found, Limits())
    assert "large has the best accuracy (88.0). The difference from it is not significant" in words
    assert "smaller by 1.00 MB" in words


@pytest.mark.parametrize(
    ("limits", "taken", "missed"),
    [
        (Limits(mb=2.5), "small", ["large", "middle"]),
        (Limits(ms=8.0), "small", ["large", "middle"]),
        (Limits(retention=97.2), "middle", ["small", "tiny"]),
        (Limits(mb=3.5, ms=9.0, retention=96.0), "small", ["large", "tiny"]),
        (Limits(mb=1.0), "tiny", ["large", "small", "middle"]),
    ],
)
def test_limits(limits: Limits, taken: str, missed: list[str]) -> None:
    found = choose(SOME, limits)
    assert found.points[0].name == taken
    assert names([point for point, _ in found.missed]) == missed
    assert all(words for _, words in found.missed)
    have = "has" if len(found.points) == 1 else "have"
    assert f"{len(found.points)} of 4 runs {have} at " in reason(found, limits)


def test_the_words_where_the_best_is_taken() -> None:
    found = choose(points(a=row(range(880), 2.0), b=row(range(879), 3.0)), Limits())
    assert found.points[0].name == "a"
    assert "those that do not differ significantly from it are larger" in reason(found, Limits())
    found = choose(points(a=row(range(880), 2.0), b=row(range(500), 1.0)), Limits())
    assert found.points[0].name == "a"
    assert "the others are significantly worse" in reason(found, Limits())


def test_no_run_meets_all_limits() -> None:
    with pytest.raises(ValueError, match="none of the 4 runs meets all limits") as caught:
        choose(SOME, Limits(mb=1.5, retention=99.0))
    line = str(caught.value)
    assert "the smallest file has 1.00 MB, the best keeps 97.8 % (not the same run)" in line


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (row(range(9), 1.0, task="qnli"), r"several tasks: qnli \(accuracy\), sst2"),
        (row(range(9), 1.0, data="b"), "2 different sets of dev examples"),
    ],
)
def test_runs_that_do_not_compare(other: Row, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        choose([*SOME, Point("other", other)], Limits())
    with pytest.raises(ValueError, match="there is no finished run"):
        choose([], Limits())


def test_as_json() -> None:
    limits = Limits(retention=97.2)
    found = choice_json(choose(SOME, limits), limits)
    assert json.loads(json.dumps(found)) == found
    assert (found["chosen"], found["runner_up"], found["best"]) == ("middle", "large", "large")
    by_name = {run["run"]: run for run in found["runs"]}
    assert by_name["small"]["misses"] == ["96.9 % kept"]
    assert by_name["tiny"]["misses"] == ["77.8 % kept"]
    assert by_name["large"]["interval_95"][0] < 0.88 < by_name["large"]["interval_95"][1]


def test_folders_of_rows(tmp_path: Path) -> None:
    for point in SOME:
        (tmp_path / f"{point.name}.json").write_text(json.dumps(point.row))
    found = find_points([tmp_path], "sst2")
    assert names(found) == sorted(point.name for point in SOME)
    assert choose(found, Limits()).points[0].name == "middle"
    assert find_points([tmp_path], "qnli") == []
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="has no finished run"):
        find_points([tmp_path / "empty"])
    (tmp_path / "empty/results.json").write_text("{}")
    with pytest.raises(ValueError, match="a run in it cannot be read"):
        find_points([tmp_path / "empty"])
