"""A model that has learnt nothing but the largest class says so wherever its score is shown."""

import csv
import json
import random
import runpy
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import ROOT, Result, record_of, run_in, write_csv

from lada.data.demo import make_examples
from lada.report.rows import make_row, write_row

Cli = Callable[..., Result]


def like_cola(split: str, count: int, seed: int) -> list[tuple[str, str]]:
    """Sentences of the demo's grammar, 70 % of them "fine", whatever they say."""
    draw = random.Random(seed)
    texts = draw.sample(make_examples(split)[0], count)
    return [(text, "fine" if draw.random() < 0.7 else "odd") for text in texts]


@pytest.fixture
def cola(tiny: list[str], tmp_path: Path) -> list[str]:
    """A run on such data."""
    header = ("text", "label")
    files = {split: write_csv(tmp_path / f"{split}.csv", like_cola(split, count, 1), header)
             for split, count in (("train", 400), ("dev", 150))}  # fmt: skip
    return [*tiny, *(f"task.{split}_file={file}" for split, file in files.items()),
            "teacher.margin=0", "teacher.lr=1e-4", "optim.lr=1e-4"]  # fmt: skip


@pytest.mark.slow
def test_the_largest_class_alone_is_told_everywhere(
    train_py: Cli, cola: list[str], tmp_path: Path
) -> None:
    done = train_py(*cola)
    assert done.code == 0, done.err
    record, run = record_of(tmp_path / "out"), run_in(tmp_path / "out")
    line = 'dev: the artifact answers "fine", the largest class, for every example'

    # The record.
    with (tmp_path / "dev.csv").open() as file:
        labels = [row["label"] for row in csv.DictReader(file)]
    share = labels.count("fine") / len(labels)
    assert record["labels"] == ["fine", "odd"]
    score = record["artifact"]["scores"]["dev"]
    assert score["accuracy"] == score["majority"]["accuracy"] == share
    assert (score["mcc"], score["answers"]) == (0.0, [150, 0])
    assert record["warnings"][0] == line

    # The run's table, wrapped as the terminal is wide.
    printed = " ".join(done.out.split())
    assert f"warning: {line}" in printed
    assert f"dev majority baseline % {100 * share:.1f} {100 * share:.1f}" in printed
    assert "dev Matthews correlation" in printed

    # The card.
    card = (run / "artifact/README.md").read_text()
    assert f"> **Warning.** {line}" in card
    assert "| dev Matthews correlation | 0.000 | 0.000 |" in card

    # The comparison.
    write_row(tmp_path / "rows", make_row(run, "5x"))
    make = runpy.run_path(str(ROOT / "experiments/table3/table.py"))["make"]
    rows = [json.loads(file.read_text()) for file in (tmp_path / "rows").iterdir()]
    table = make(rows, "markdown")
    (shown,) = (x for x in table.splitlines() if x.startswith("| csv dev, 150 | 5x |"))
    assert "lada, no better than the majority class" in shown
    assert f"| {100 * share:.1f} | 0.000 |" in shown
    assert "Matthews correlation, 0 for answers" in table
