"""Any path that the file system allows, for a run's files, its inputs, and to stand in."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import ROOT, Result, record_of, sentences, write_csv
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

import lada
from lada.overrides import override, value

Cli = Callable[..., Result]
NAMES = {
    "spaces": " two  spaces ",
    "quotes": """it's "so\\" called'""",
    "signs": "a=b,c:d;e&f|g<h>i(j)k!l*m?n^o~p%q@r+s",
    "brackets": "[x]{y: z}[",
    "dollar": "$HOME $",
    "comment": "#1 # 2",
    "backslashes": "\\a\\\\b\\",
    "newline": "a\nb\tc",
    "unicode": "Ünï-日本 \u200b",
    "dash": "-m --help",
    "colons": "zip::a::b",
    "number": "1_0e3",
    "null": "null",
}


def rewritten(args: list[str], folder: Path, data: Path) -> list[str]:
    """The same with every path under one folder, quoted."""
    places = {f"paths.{name}": str(folder / name) for name in ("outputs", "teachers", "cache")}
    places |= {f"task.{name}_file": str(data / f"{name}.csv") for name in ("train", "dev")}
    kept = [a for a in args if a.partition("=")[0] not in places]
    return [*kept, *(override(key, place) for key, place in places.items())]


@pytest.mark.slow
@pytest.mark.parametrize("name", list(NAMES))
def test_a_run_in_a_folder_of_any_name(
    train_py: Cli, tiny: list[str], tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / NAMES[name]
    try:
        folder.mkdir()
    except OSError:
        pytest.skip("this file system has no such names")
    for number, file in enumerate(("train.csv", "dev.csv")):
        write_csv(folder / file, sentences((320, 80)[number], number + 1), ("text", "label"))
    args = rewritten(tiny, folder, folder)
    monkeypatch.chdir(folder)
    result = train_py(*args, "optim.epochs=1", override("hydra.run.dir", str(folder / "run")))
    assert result.code == 0, result.err
    assert record_of(folder)["artifact"]["scores"]["dev"]["rows"] == 80
    assert (folder / "run/results.json").is_file()
    assert lada.load(folder / "run/artifact")("a lovely day").label in ("good", "bad")
    # The message for a file that is not there names it, in one line.
    missing = train_py(*args, override("task.dev_file", str(folder / "none.csv")))
    assert missing.code == 2
    assert len(missing.err.strip().splitlines()) == 1


@pytest.mark.slow
def test_child_processes_in_folders_of_any_name(tiny: list[str], tmp_path: Path) -> None:
    """A sweep's job that starts several processes, from above a clone with the package's name."""
    odd = tmp_path / 'it\'s [/b] "a", b=c \\ {d: #1} ü\n$E -m'
    clone = odd / "lada"
    for name in ("lada", "conf", "tests/conf"):
        shutil.copytree(ROOT / name, clone / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "train.py", clone)
    for number, name in enumerate(("train", "dev")):
        write_csv(odd / f"{name}.csv", sentences((320, 80)[number], number + 1), ("text", "label"))
    own = [a for a in rewritten(tiny, odd, odd) if not a.startswith("hydra.searchpath")]
    places = f"file://{clone}/tests/conf"
    args = [f"hydra.searchpath=[{value(places)}]", *own, override("hydra.sweep.dir", "a [/sweep]")]
    several = ["trainer=ddp", "trainer.devices=2", "trainer.accelerator=cpu", "optim.epochs=1"]
    env = {name: set_ for name, set_ in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, "lada/train.py", "-m", *args, *several]
    done = subprocess.run(command, cwd=odd, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (row,) = json.loads((odd / "a [/sweep]/sweep.json").read_text())
    assert row["record"]["machine"]["processes"] == 2
    assert (odd / "a [/sweep]/0/artifact/model.safetensors").is_file()
    assert "[/b]" in "".join(done.stdout.split())


@pytest.mark.slow
@pytest.mark.parametrize("name", ["${x}", "a ${seed} b", "${", "\\${y}", "raw\udcff\udc80"])
def test_folders_that_a_run_cannot_be_in(
    train_py: Cli, tiny: list[str], tmp_path: Path, name: str
) -> None:
    """Hydra reads ``${``, and libraries in Rust no bytes that are not UTF-8."""
    folder = tmp_path / name
    folder.mkdir()
    write_csv(folder / "train.csv", sentences(320, 1), ("text", "label"))
    for args in (
        [override("hydra.run.dir", str(folder / "run"))],
        [override("paths.outputs", str(folder))],
    ):
        result = train_py(*tiny, *args)
        assert (result.code, result.out) == (2, "")
        (line,) = result.err.splitlines()
        assert "paths.outputs" in line
        assert [p.name for p in folder.rglob("*") if p.is_file()] == ["train.csv"]
    if "$" in name:  # what a run reads, and what it keeps for others, may lie there
        own = [override("task.train_file", str(folder / "train.csv"))]
        own += [override(f"paths.{place}", str(folder / place)) for place in ("teachers", "cache")]
        assert train_py(*tiny, *own, "optim.epochs=1").code == 0
        assert (folder / "teachers").is_dir()


ANY = st.text(st.characters(exclude_characters="\0"), max_size=20)


@given(ANY | st.text("\\\"'${}[]=, a", max_size=12))
def test_hydra_reads_back_what_is_quoted(text: str) -> None:
    parsed = OverridesParser.create().parse_override(override("key", text))
    config = OmegaConf.create({})
    OmegaConf.update(config, "key", parsed.value())
    assert config.key == text
