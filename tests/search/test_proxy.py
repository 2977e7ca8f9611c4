"""The proxy: one round, a short recovery, the loss of the predictions."""

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from helpers import ROOT, Result
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra

from lada.config import Config, TargetConfig, check
from lada.errors import LadaError
from lada.run.entry import estimate
from lada.run.main import main
from lada.run.proxy import proxy
from lada.search.settings import SearchSettings


@pytest.fixture
def config(tiny: list[str]) -> Config:
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        return check(compose("train", overrides=tiny), tiny)


def test_less_compression_is_nearer_to_the_teacher(config: Config) -> None:
    def loss(target: float, steps: int = 3) -> float:
        wanted = replace(config, target=TargetConfig(ratio=target))
        return proxy(wanted, examples=64, steps=steps).loss

    losses = [loss(target) for target in (1.2, 3.0, 12.0)]
    assert losses == sorted(losses)
    assert loss(3.0) == losses[1]
    assert loss(3.0, steps=12) < losses[1]
    found = proxy(config, examples=64, steps=1)
    assert found.fractions is not None and {*found.fractions} == {
        "embedding", "svd", "density", "words",
    }  # fmt: skip


def test_what_has_no_proxy(config: Config) -> None:
    with pytest.raises(LadaError, match=r"^proxy: needs \d+ training texts and has \d+"):
        proxy(config, examples=1000)
    with pytest.raises(LadaError, match=r"search\.objectives=\[score,bytes\]: search\.proxy=true"):
        SearchSettings(proxy=True, objectives="[score,bytes]")


def test_the_command(
    tiny: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    train_py: Callable[..., Result],
) -> None:
    monkeypatch.setattr("lada.run.proxy.EXAMPLES", 64)
    monkeypatch.setattr(proxy, "__defaults__", (64, 2))
    folder = tmp_path / "run"
    GlobalHydra.instance().clear()
    monkeypatch.setattr(sys, "argv", ["lada compress", *tiny, f"hydra.run.dir={folder}"])
    main(estimate)
    record = json.loads((folder / "results.json").read_text())
    assert f"proxy: {record['proxy']:.5f}" in capfd.readouterr().out
    assert [place.name for place in folder.iterdir()] == ["results.json"]
    GlobalHydra.instance().clear()
    monkeypatch.setattr(sys, "argv", ["lada compress", *tiny, "method=pruning"])
    with pytest.raises(SystemExit) as stop:
        main(estimate)
    assert stop.value.code == 2
    assert "method=pruning: has no proxy" in capfd.readouterr().err
