"""The comparison of experiments/search, from searches that are made up."""

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from helpers import ROOT
from scipy.stats import spearmanr


def load(name: str) -> Any:
    """A script of experiments/search."""
    spec = importlib.util.spec_from_file_location(name, ROOT / f"experiments/search/{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


compared, drawn, proxies = load("run"), load("draw"), load("proxies")

SCORES = {
    "tpe": [0.5, None, 0.7, 0.6],
    "random": [None, 0.4, 0.6, 0.5],
}


def test_the_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = {}

    def run(folder: Path, words: list[str], trials: int) -> list[dict[str, Any]]:
        asked[folder.name] = words
        return [
            {
                "trial": number,
                "state": "failed" if score is None else "done",
                "fractions": {"embedding": 0.25, "svd": 0.5, "density": 0.2 * (number + 1)},
                "measured": {"score": score},
                "words": ["data.dir=/home/me"],
            }
            for number, score in enumerate(SCORES[folder.name])
        ]

    monkeypatch.setattr(compared, "run", run)
    words = ["--config-dir=a", "task=demo", "data.dir=/home/me"]
    options = [str(tmp_path / "found"), "--trials", "4", "--", *words]
    monkeypatch.setattr(sys, "argv", ["run.py", *options])
    compared.main()
    assert asked["random"] == [*words, "ratios=random", "search.name=found-random"]
    text = (tmp_path / "found" / "results.json").read_text()
    assert "/home/me" not in text
    report = json.loads(text)
    assert report["best_so_far"] == {"tpe": [0.5, 0.5, 0.7, 0.7], "random": [None, 0.4, 0.6, 0.6]}
    # The best of TPE is trial 2; the scores after 5 and 10 trials are those of the last one here.
    (of_tpe,) = (line for line in drawn.searches(report).splitlines() if line.startswith("| TPE"))
    assert of_tpe == "| TPE | 70.0 | 70.0 | 70.0 | 2 | x4.00 | x2.00 | x1.67 |"


def test_the_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    losses = {"a": 0.1, "c": 0.5, "d": 0.3, "e": 0.7}
    monkeypatch.setattr(proxies, "loss_of", lambda words, steps: losses[words[0]])
    trials = [
        {"trial": number, "state": "failed" if word == "b" else "done", "words": [word],
         "measured": {"score": score}}
        for number, (word, score) in enumerate(
            {"a": 0.6, "b": 0.0, "c": 0.7, "d": 0.65, "e": 0.5}.items()
        )
    ]  # fmt: skip
    known = {"trials": [{"trial": 3, "score": 0.65, "loss": 0.9}]}  # is not computed again
    found = proxies.measure(trials, 100, known)
    assert [row["trial"] for row in found["trials"]] == [0, 2, 3, 4]
    assert [row["loss"] for row in found["trials"]] == [0.1, 0.5, 0.9, 0.7]
    expected = spearmanr([-0.1, -0.5, -0.9, -0.7], [0.6, 0.7, 0.65, 0.5]).statistic
    assert found["spearman"] == pytest.approx(expected)
    assert proxies.measure(trials[:2], 100, {})["spearman"] is None


def test_readme_holds_the_records() -> None:
    readme = (ROOT / "experiments/search/README.md").read_text()
    assert drawn.text("sst2-7.5x") in readme
