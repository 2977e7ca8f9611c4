"""What a search has found, and the search from the command line."""

import io
import json
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from forked import start
from helpers import ROOT, Result
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from rich.console import Console

import lada.run.choices
from lada import program
from lada.config import check
from lada.errors import LadaError
from lada.report.searched import search_table
from lada.run.choices import choice, choices_of
from lada.search.found import best_of, command_words, place_of, write_ratios
from lada.search.settings import SearchSettings
from lada.search.start import joined, search


def row(number: int, score: float, size: float, ms: float = 1.0, **more: Any) -> dict[str, Any]:
    return {
        "trial": number,
        "state": "done",
        "front": False,
        "params": {"optim.lr": 0.00123456, "method": "[lada]"},
        "measured": {"score": score, "bytes": size, "ms": ms},
        "fractions": {"embedding": 0.3, "svd": 0.5, "density": 0.2},
        "words": ["task=demo", "ratios=point", "ratios.encoder=0.1", "ratios.by_rank=0.3"],
        **more,
    }


ROWS = [
    row(0, 0.9, 3e6, 9.0),
    row(1, 0.9, 2e6, 8.0),
    row(2, 0.8, 1e6, 7.0),
    row(3, 0.99, 9e6, state="stopped"),
]


@pytest.mark.parametrize(
    ("limits", "best"),
    [
        ({}, 1),
        ({"max_mb": 1.5}, 2),
        ({"max_ms": 7.5}, 2),
        ({"max_mb": 2.0}, 1),
        ({"max_mb": 0.5}, None),
    ],
)
def test_the_best_is_by_validation_within_the_limits(
    limits: dict[str, float], best: int | None
) -> None:
    found = best_of(ROWS, SearchSettings(**limits))
    assert (None if found is None else found["trial"]) == best


def test_the_ratios_are_a_choice_of_conf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    best = {**ROWS[1], "words": [*ROWS[1]["words"], "data.dir=/home/me/my data"]}
    file = write_ratios(best, "mine-1", 20, tmp_path)
    assert file == tmp_path / "ratios" / "found" / "mine-1.yaml"
    # It may be shared, without a path of one machine.
    assert "lada compress task=demo data.dir=PATH ratios=found/mine-1\n" in file.read_text()
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        words = ["ratios=found/mine-1", f"hydra.searchpath=[file://{tmp_path}]"]
        config = check(compose("train", overrides=words), words)
    assert config.ratios.rule == "custom"
    assert (config.ratios.embedding, config.ratios.svd) == (1 / 0.3, 1 / 0.5)
    assert config.ratios.pruning is None
    monkeypatch.setattr(lada.run.choices, "conf_folder", lambda: tmp_path)
    assert choices_of("ratios") == ["found/mine-1"]
    assert choice("ratios", "found/mine-1") == {
        "rule": "custom",
        "embedding": 1 / 0.3,
        "svd": 1 / 0.5,
    }


def test_where_the_ratios_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert place_of(tmp_path, ["--config-dir=mine"], tmp_path / "home") == tmp_path / "home/mine"
    assert place_of(tmp_path, ["task=demo"], tmp_path) == ROOT / "conf"
    monkeypatch.setattr(program, "_PACKAGE", tmp_path / "lada")
    (tmp_path / "lada" / "conf").mkdir(parents=True)  # installed
    assert place_of(tmp_path / "search", [], tmp_path) == tmp_path / "search" / "conf"


def test_the_command_of_the_best() -> None:
    assert command_words(ROWS[0], "mine") == ["task=demo", "ratios=found/mine"]
    assert command_words(ROWS[0], None) == ROWS[0]["words"]


def test_the_table() -> None:
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(search_table([*ROWS, row(4, 0.0, 0.0, state="failed")], 1))
    lines = [line.split() for line in console.export_text().splitlines()]
    shown = [words for words in lines if "method=[lada]" in words]
    numbers = [next(word for word in words if word.isdigit()) for words in shown]
    assert numbers == ["0", "1", "2", "3", "4"]
    best = next(words for words in lines if "best" in words)
    assert best == ["best", "1", "optim.lr=0.00123", "method=[lada]", "0.9000", "2.00", "8.0"]


def test_joining(tmp_path: Path) -> None:
    folder = tmp_path / "search"
    words = ["task=demo", "ratios=search", "search.trials=5"]
    with pytest.raises(LadaError, match=r"has no search\. Give the words of one"):
        joined(folder, [])
    about = joined(folder, words)
    assert about["search"]["trials"] == 5
    assert about["words"] == words[:2]
    assert joined(folder, []) == joined(folder, words) == about
    with pytest.raises(LadaError, match=r"search\.trials=6: the search in .* has 5"):
        joined(folder, [*words[:2], "search.trials=6"])
    with pytest.raises(LadaError, match="has a search with other words: task=demo ratios=search"):
        joined(folder, ["task=sst2", *words[1:]])
    with pytest.raises(LadaError, match=r"Give search\.name=NAME"):
        joined(tmp_path / "a search", words)


def test_without_optuna(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(
        LadaError, match=r"Optuna is not installed\. Run pip install 'ladabert\[search"
    ):
        search(tmp_path / "search", ["ratios=search"])
    assert not (tmp_path / "search").exists()


@pytest.mark.slow
def test_a_search(
    tiny: list[str], tmp_path: Path, train_py: Callable[..., Result], capfd: Any
) -> None:
    """A trial whose worker is killed is resumed by another, and ends bit-equal to a plain run."""
    conf, folder = tmp_path / "conf", tmp_path / "cut"
    conf.mkdir()
    own = [f"--config-dir={conf}", "callbacks.checkpoint_minutes=0", "search.trials=1"]
    words = [*tiny, *own, "ratios=search", "optim.lr=choice(1e-3,2e-3)"]
    script, log = ROOT / "tests" / "search" / "killed_search.py", tmp_path / "log.txt"
    first = start(script, [str(folder), *words], log)
    first.join()
    assert first.exitcode == -signal.SIGKILL, log.read_text()
    assert search(folder, []) == 0
    assert "best: trial 0, lada compress" in capfd.readouterr().out
    (trial,) = json.loads((folder / "trials.json").read_text())["trials"]
    assert trial["attempts"] == 2
    cut = folder / trial["folder"]
    assert json.loads((cut / "results.json").read_text())["resumed"]
    assert [place.name for place in cut.parent.iterdir()] == ["2"]

    whole = tmp_path / "whole"
    done = train_py(*trial["words"], f"hydra.run.dir={whole}")
    assert done.code == 0, done.err
    for name in ("artifact/model.safetensors", "metrics.csv"):
        assert (cut / name).read_bytes() == (whole / name).read_bytes()
    assert [file.name for file in (conf / "ratios" / "found").iterdir()] == ["cut.yaml"]
