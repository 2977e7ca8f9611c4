"""Whole runs of each kind on a tiny model: from data and teacher to scores from the file."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from heads.files import WORDS, files
from helpers import Result

import lada
from lada.heads.kinds import METRICS
from lada.report.comparison import compare
from lada.report.rows import make_row

Cli = Callable[..., Result]
DECIDES = {"multi_label": "micro_f1", "regression": "pearson", "reranking": "map"}


@pytest.fixture(params=[*DECIDES, pytest.param("indicators", marks=pytest.mark.slow)])
def run(
    request: pytest.FixtureRequest, train_py: Cli, tiny: list[str], tmp_path: Path
) -> tuple[str, Path, Result]:
    kind: str = request.param
    words = files(tmp_path, kind)
    kind = "multi_label" if kind == "indicators" else kind
    out = tmp_path / "run"
    more = ["teacher.margin=5", f"hydra.run.dir={out}"]
    result = train_py(*tiny, *words, *more)
    assert result.code == 0, result.err
    return kind, out, result


def test_a_run(run: tuple[str, Path, Result]) -> None:
    kind, out, result = run
    record = json.loads((out / "results.json").read_text())
    decides = METRICS[DECIDES[kind]]
    assert record["kind"] == ("regression" if kind == "reranking" else kind)
    assert record["metrics"][0] == decides.name
    rows = {name: found["rows"] for name, found in record["artifact"]["scores"].items()}
    assert rows == {"dev": 60, "test": 40} and list(rows) == ["dev", "test"]
    assert f"test {decides.heading}" in result.out
    score = record["artifact"]["scores"]["dev"]
    low, high = score[f"{decides.name}_95"]
    assert low <= score[decides.name] <= high
    assert record["reached"] == pytest.approx(5, rel=0.005)
    assert decides.heading in result.out
    assert "nan" not in result.out.lower()
    assert f"validation/{decides.name}" in (out / "metrics.csv").read_text()
    lines = {(line.method, line.split): line for line in compare([make_row(out, "5x")])}
    line = lines["lada", "dev"]
    assert line.mean == score[decides.name]
    assert line.interval == pytest.approx((low, high), abs=1e-6)
    model = lada.load(out / "artifact")
    given = ("sun 1", "the sun of rain day") if kind == "reranking" else "the sun of rain day"
    answer = model(given)
    if kind == "multi_label":
        assert set(answer.names) <= set(WORDS)
        assert model.about["thresholds"] == score["thresholds"]
    else:
        assert isinstance(float(answer), float)
    card = (out / "artifact" / "README.md").read_text()
    assert f"dev {decides.title}" in card and f"test {decides.title}" in card
    assert f'type: "{decides.hub or decides.name}", name: "{decides.title}"' in card
