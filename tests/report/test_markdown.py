"""Tables in Markdown, and READMEs that hold what the records say."""

import json
import runpy
from pathlib import Path

import pytest
from helpers import ROOT

from lada.report.markdown import put, table

SPEED = ROOT / "experiments/training_speed"


def test_table() -> None:
    assert table(["", "b"], [["x", "1"]]) == "|  | b |\n| --- | ---: |\n| x | 1 |"


def test_put(tmp_path: Path) -> None:
    file, marks = tmp_path / "README.md", ("<!-- a -->", "<!-- b -->")
    file.write_text("before\n<!-- a -->\nold\n<!-- b -->\nafter\n")
    for _ in range(2):
        put(file, marks, "new\n")
        assert file.read_text() == "before\n<!-- a -->\n\nnew\n\n<!-- b -->\nafter\n"
    with pytest.raises(ValueError, match="lacks <!-- a --> or <!-- c -->"):
        put(file, ("<!-- a -->", "<!-- c -->"), "new\n")


@pytest.mark.parametrize(
    ("name", "make"),
    [("compare", "loops"), ("overhead", "overhead"), ("memory", "memory"), ("growth", "growth")],
)
def test_readme_of_training_speed_holds_its_records(name: str, make: str) -> None:
    record = json.loads((SPEED / f"{name}.json").read_text())
    found: str = runpy.run_path(str(SPEED / "tables.py"))[make](record)
    assert found in (SPEED / "README.md").read_text()
