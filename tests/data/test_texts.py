"""Texts without labels from files, and what can be wrong with them."""

import gzip
import json
from pathlib import Path

import pandas
import pytest

from lada.data.table import Layout
from lada.data.texts import read_text_objects, read_texts
from lada.errors import LadaError

KEY = "task.unlabelled_file"
TEXTS = ["good soup", "a, b", "é \u2028 x"]
PAIRS = ["one", "two", "three"]


def _put(path: Path, text: str) -> Path:
    data = text.encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def _table(by: str, *columns: list[str]) -> str:
    return "".join(by.join(f'"{v}"' for v in row) + "\n" for row in zip(*columns, strict=True))


def _json(**columns: list[str]) -> str:
    rows = zip(*columns.values(), strict=True)
    return "\n\n".join(json.dumps(dict(zip(columns, row, strict=True))) for row in rows)


FILES = {
    ".csv": _table(",", ["id", *"123"], ["s", *TEXTS], ["t", *PAIRS]),
    ".tsv": _table("\t", ["id", *"123"], ["s", *TEXTS], ["t", *PAIRS]),
    ".jsonl": _json(id=list("123"), t=PAIRS, s=TEXTS),
}


@pytest.mark.parametrize("packed", ["", ".gz"])
@pytest.mark.parametrize("suffix", list(FILES))
def test_tables(suffix: str, packed: str, tmp_path: Path) -> None:
    path = _put(tmp_path / f"a{suffix}{packed}", FILES[suffix])
    assert read_texts(path, KEY, "s")[:2] == (TEXTS, None)
    assert read_texts(path, KEY, "s", "t")[:2] == (TEXTS, PAIRS)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("name", ["a.txt", "a.txt.gz"])
def test_one_text_per_line(name: str, end: str, tmp_path: Path) -> None:
    text = "\ufeff" + end.join([*TEXTS[:2], "", *TEXTS[2:]])
    assert read_texts(_put(tmp_path / name, text), KEY)[:2] == (TEXTS, None)


def test_layout(tmp_path: Path) -> None:
    path = tmp_path / "a.dat"
    path.write_bytes("text;n\ncafé;1\n".encode("latin-1"))
    assert read_texts(path, KEY, layout=Layout("semicolon", "latin-1")).texts == ["café"]


@pytest.mark.parametrize(
    ("name", "text", "pair", "said"),
    [
        ("a.txt", "x\n", "t", "a.txt: has one text per line, but the task has two"),
        ("a.txt", "\n \n", None, "has no texts"),
        ("a.txt", "", None, "is empty"),
        ("a.txt", "x\n\u200b\n", None, "a.txt line 2: 'text' is empty"),
        ("a.csv", "text,n\n", None, "has no texts"),
        ("a.csv", "words,n\nx,1\n", None, "has no column 'text'"),
        ("a.csv", "text,t\nx,\n", "t", "a.csv line 2: 't' is empty"),
        ("a.doc", "x", None, "the name has no known suffix. Give a .txt, .csv"),
        ("a.jsonl", '{"text": 3}', None, "a.jsonl line 1: 'text' is '3', not a text"),
        ("a.jsonl", '{"text": "\\ud800"}', None, "a.jsonl line 1: 'text' has half a surrogate"),
        ("a.jsonl", '{"words": "x"}', None, "a.jsonl line 1: has no column 'text'"),
    ],
)
def test_wrong_files_are_named(
    name: str, text: str, pair: str | None, said: str, tmp_path: Path
) -> None:
    with pytest.raises(LadaError) as caught:
        read_texts(_put(tmp_path / name, text), KEY, pair=pair)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_rows_of_a_frame_are_texts_and_not_its_columns() -> None:
    frame = pandas.DataFrame({"id": [1, 2], "text": TEXTS[:2], "text_pair": PAIRS[:2]})
    assert read_text_objects(frame, "train")[:2] == (TEXTS[:2], None)
    assert read_text_objects(frame, "train", pair="text_pair")[:2] == (TEXTS[:2], PAIRS[:2])
