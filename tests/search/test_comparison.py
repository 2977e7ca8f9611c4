"""The comparison of experiments/search, from searches that are made up."""

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from helpers import ROOT
from scipy.stats import spearmanr

SPEC = importlib.util.spec_from_file_location("search_run", ROOT / "experiments/search/run.py")
assert SPEC is not None and SPEC.loader is not None
compared = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(compared)

SCORES = {
    "tpe": [0.5, None, 0.7, 0.6],
    "random": [None, 0.4, 0.6, 0.5],
    "proxy": [-0.1, -0.5, -0.3, -0.2],
}


def test_the_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = {}

    def run(folder: Path, words: list[str], trials: int) -> list[dict[str, Any]]:
        asked[folder.name] = words
        return [
            {"state": "failed" if score is None else "done", "measured": {"score": score}}
            for score in SCORES[folder.name]
        ]

    monkeypatch.setattr(compared, "run", run)
    options = [str(tmp_path / "found"), "--trials", "4", "--", "--config-dir=a", "task=demo"]
    monkeypatch.setattr(sys, "argv", ["run.py", *options])
    compared.main()
    words = ["--config-dir=a", "task=demo", "ratios=random"]
    assert asked["random"] == [*words, "search.name=found-random"]
    report = json.loads((tmp_path / "found" / "results.json").read_text())
    assert report["best_so_far"] == {"tpe": [0.5, 0.5, 0.7, 0.7], "random": [None, 0.4, 0.6, 0.6]}
    assert report["proxy"]["pairs"] == [[0.5, 0.4], [0.3, 0.6], [0.2, 0.5]]
    expected = spearmanr(SCORES["proxy"][1:], SCORES["random"][1:]).statistic
    assert report["proxy"]["spearman"] == pytest.approx(expected)
