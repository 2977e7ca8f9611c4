"""The examples of training loops run, and what they write loads."""

import importlib
import sys
from pathlib import Path

import pytest
from helpers import ROOT

import lada
from lada.methods import registry


@pytest.mark.slow
@pytest.mark.parametrize("name", ["own_loop", "lightning_trainer", "hf_trainer", "new_method"])
def test_example(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "examples"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(registry, "_registered", {**registry._registered})
    try:
        importlib.import_module(name).main(Path("out"))
    finally:
        for module in (name, "toy"):
            sys.modules.pop(module, None)
    assert "4.00x smaller; the soup was lovely: good" in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == ["out"]  # and nothing beside it
    assert lada.load("out")("what a poor old film").label == "bad"
