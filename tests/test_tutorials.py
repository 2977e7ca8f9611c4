"""The pages that lead through a task are run, block by block, as a reader would.

What is changed for it: the pretrained model is the tiny one, trainings are short, and runs use the
folders of the test. Everything else is as the pages say.
"""

import os
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from commands import blocks, run_page
from helpers import ROOT

import lada
from lada.config import PathsConfig, TeacherConfig, TrainerConfig
from lada.overrides import value

pytestmark = pytest.mark.slow

PAGES = [
    *sorted(ROOT.glob("docs/tutorials/*.md")),
    ROOT / "docs/quickstart.md",
    ROOT / "docs/recipes.md",
]
FEW = {"quickstart": ["teacher.epochs=1", "optim.epochs=0.3"]}
"""Fewer steps for the built-in task, which has 6,000 examples."""

SAID = {
    "csv": ['{"label": "', "has no column 'text'", "100 answers.jsonl"],
    "ner": ['{"entities": ['],
    "embedding": ["plain: ", "(dense, fp32)"],
    "sweep": ["job 0 was done before", "2.5x", "7.5x"],
    "processes": ["step 36 of 36", "round 4/4"],
    "serving": ["onnx: ", "get another answer"],
    "quickstart": ['{"label": "'],
}
"""What is found in the output of bash, among other things."""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_page(page: Path, teachers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert blocks(page)
    paths = {name: str(tmp_path / name) for name in ("outputs", "cache")}
    paths["teachers"] = str(teachers)
    extra = [
        f"hydra.searchpath=[{value(f'file://{ROOT}/tests/conf')}]",
        "debug=tiny",
        "model=tiny",
        "task.max_length=32",
        "teacher.margin=0",
        "trainer.precision=fp32",
        "trainer.threads=1",
        *(f"paths.{name}={folder}" for name, folder in paths.items()),
        *FEW.get(page.stem, []),
    ]

    def changed(args: list[str]) -> list[str]:
        return [*args, *extra] if args[0] == "compress" else args

    short: Any = partial(
        lada.compress,
        steps=60,
        max_length=16,
        teacher=TeacherConfig(steps=60, margin=0.0, lr=2e-3),
        trainer=TrainerConfig(precision="fp32", threads=1),
        paths=PathsConfig(**paths),
        progress="none",
    )
    monkeypatch.setattr(lada, "compress", short)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), str(ROOT / "tests")]))
    monkeypatch.chdir(tmp_path)
    printed = run_page(page, tmp_path, changed)
    for text in SAID.get(page.stem, []):
        assert text in printed, printed
