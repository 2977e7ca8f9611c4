"""A target in bytes: `target=bytes target.mb=...`."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import Result, record_of, run_in
from stopped import under

import lada
from lada.run.results import too_large

Cli = Callable[..., Result]


def sized(tiny: list[str], *words: str) -> list[str]:
    return [word for word in tiny if not word.startswith("target")] + ["target=bytes", *words]


@pytest.mark.slow
@pytest.mark.parametrize("values", ["int8", "int4"])
def test_the_file_is_at_most_as_large(
    values: str, tiny: list[str], train_py: Cli, tmp_path: Path
) -> None:
    most = 0.045
    words = sized(tiny, f"target.mb={most}", f"artifact={values}")
    done = train_py(*under(tmp_path, words))
    assert done.code == 0, done.err
    record = record_of(tmp_path)
    size = record["artifact"]["stored_bytes"]
    assert 0.8 * most * 1e6 < size <= most * 1e6
    assert record["config"]["target"] == {"ratio": None, "mb": most}
    assert record["target"] > 1
    assert record["reached"] == pytest.approx(record["target"], rel=0.005)
    about = json.loads((run_in(tmp_path) / "artifact/config.json").read_text())["lada"]["about"]
    assert about["target"] == record["target"]


def test_mistakes(tiny: list[str], train_py: Cli) -> None:
    for words, line in {
        ("target.mb=0.001",): "target.mb=0.001: no plan of this method has so small a ",
        ("target.mb=1", "target.ratio=5"): "target.mb=1: target.ratio=5 is given, too. Give ",
        (
            "target.mb=1",
            "method=quantization",
        ): "target.mb=1: method=quantization has a size of its own, ",
        ("target.mb=0",): "target.mb=0: must be over 0",
    }.items():
        done = train_py(*sized(tiny, *words))
        assert done.code == 2 and done.err.count("\n") == 1, done.err
        assert line in done.err
    done = train_py(*sized(tiny))
    assert done.code == 2 and "or target=bytes target.mb=3." in done.err


@pytest.mark.parametrize("stored", [1_000_000, 1_250_000])
def test_a_file_that_is_larger_is_told(stored: int) -> None:
    lines = too_large(1.0, stored)
    assert len(lines) == (stored > 1_000_000)
    for line in lines:
        assert "the file has 1.250 MB, more than the 1 MB " in line
        assert line.endswith("target.mb=0.8 should do")


def test_from_python() -> None:
    with pytest.raises(lada.LadaError, match=r"^mb=1: target=5 is given, too"):
        lada.compress("tiny", task="demo", target=5, mb=1.0)
