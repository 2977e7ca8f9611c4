"""The examples in docstrings run."""

import doctest
import importlib
from pathlib import Path
from typing import Any

import pytest
from helpers import ROOT

import lada
from lada.config import PathsConfig, TeacherConfig
from lada.methods import registry

MODULES = [
    ".".join(file.relative_to(ROOT).with_suffix("").parts)
    for file in sorted((ROOT / "lada").rglob("*.py"))
    if ">>> " in file.read_text(encoding="utf-8")
]
OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What examples may use that they do not make: examples to train on, and a result."""
    adjectives = {"good": ("lovely", "great"), "bad": ("awful", "poor")}
    train, dev = (
        [
            {"text": f"what {word} soup {number}", "label": label}
            for number in numbers
            for label, words in adjectives.items()
            for word in words
        ]
        for numbers in (range(80), range(80, 100))
    )
    folder = tmp_path_factory.mktemp("result")
    paths = PathsConfig(
        outputs=str(folder), teachers=str(folder / "teachers"), cache=str(folder / "cache")
    )
    result = lada.compress(
        "tiny",
        train,
        dev,
        target=4,
        steps=60,
        max_length=16,
        teacher=TeacherConfig(steps=60),
        paths=paths,
        progress="none",
    )
    return {"lada": lada, "train": train, "dev": dev, "result": result}


def test_public_modules_have_examples() -> None:
    public = {getattr(lada, name).__module__ for name in lada.__all__ if name != "__version__"}
    assert public - {"lada.errors"} <= set(MODULES)


@pytest.mark.parametrize("module", MODULES)
def test_examples(
    module: str, names: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    # A method that an example registers is not there for other tests.
    monkeypatch.setattr(registry, "_registered", {**registry._registered})
    importlib.import_module("transformers.trainer")  # says once that wandb is offline
    found = doctest.testmod(
        importlib.import_module(module), extraglobs=names, optionflags=OPTIONS, report=True
    )
    assert found.attempted > 0
    assert found.failed == 0
