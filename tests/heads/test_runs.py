"""Whole runs of each kind on a tiny model: from data and teacher to scores from the file."""

import csv
import json
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from helpers import Result

import lada
from lada.heads.kinds import METRICS
from lada.report.comparison import compare
from lada.report.rows import make_row

Cli = Callable[..., Result]
WORDS = ("sun", "rain", "snow", "wind")


def write(file: Path, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> Path:
    with file.open("w", newline="", encoding="utf-8") as f:
        writer = csv.writer(f)
        writer.writerow(header)
        writer.writerows(rows)
    return file


def texts(count: int, seed: int) -> list[list[str]]:
    """The words of each text: some that decide, among others."""
    draw = random.Random(seed)
    found = []
    for _ in range(count):
        said = [word for word in WORDS if draw.random() < 0.4]
        more = draw.choices(("the", "a", "of", "in", "day"), k=draw.randint(2, 5))
        mixed = said + more
        draw.shuffle(mixed)
        found.append(mixed)
    return found


def files(folder: Path, kind: str) -> list[str]:
    """Overrides for data of a kind."""
    found = ["task=csv", "task.text=text", "task.label=label"]
    for name, count, seed in (("train", 300, 1), ("dev", 60, 2), ("test", 40, 3)):
        rows: list[list[Any]] = []
        header = ["text", "label"]
        for number, words in enumerate(texts(count, seed)):
            said = [word for word in WORDS if word in words]
            if kind == "indicators":
                header = ["text", *WORDS]
                rows.append([" ".join(words), *(int(word in said) for word in WORDS)])
            elif kind == "multi_label":
                rows.append([" ".join(words), json.dumps(said)])
            elif kind == "regression":
                rows.append([" ".join(words), len(said) + 0.5])
            else:  # a reranker: which passage has the word that is asked for
                header = ["question", "text", "label"]
                query = WORDS[number // 5 % 4]
                rows.append([f"{query} {number // 5}", " ".join(words), int(query in words)])
        found.append(f"task.{name}_file={write(folder / f'{name}.csv', header, rows)}")
    if kind == "reranking":
        found += ["task.text=question", "task.text_pair=text", "task.query=question"]
    if kind == "indicators":
        found.append(f"task.label=[{','.join(WORDS)}]")
    if kind in ("regression", "reranking"):
        found.append("task.kind=regression")
    return found


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
