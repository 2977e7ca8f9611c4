"""Any path that the file system allows, for a run's files, its inputs, and to stand in."""

from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import Result, record_of, sentences, write_csv
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

import lada
from lada.overrides import override

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
    "number": "1_0e3",
    "null": "null",
}


def rewritten(args: list[str], folder: Path, data: Path) -> list[str]:
    """The same with every path under one folder, quoted."""
    places = {f"paths.{name}": str(folder / name) for name in ("outputs", "teachers", "cache")}
    places |= {f"task.{name}_file": str(data / f"{name}.csv") for name in ("train", "dev")}
    kept = [a for a in args if a.partition("=")[0] not in places]
    return [*kept, *(override(key, place) for key, place in places.items())]


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
