"""150 odd data files: each is read as a plain reading of its kind reads it, or is one line."""

import csv
import gzip
import io
import json
import random
from dataclasses import dataclass
from pathlib import Path

import pytest

from lada.data.table import Columns, load_table
from lada.errors import LadaError

FILES = 150
PIECES = [
    "good", "bad", "film", "  ", " ", ",", ";", "|", "'", '"', '""', "\\", "\\n", "\\\"", "é", "字",
    "👍", "\u200b", "\u2028", "\x85", "\x0b", "\x1f", "\ufeff", "{", "}", "[", "null", "NaN", "1",
    "-", "=1+1", "a" * 300, "word " * 50, "\u202e", "e\u0301", "<br>", "&amp;", "#", "%s", "{0}",
    "\x00",
]  # fmt: skip
CLASSES = [
    ("0", "1"), ("neg", "pos"), ("a b", "c, d", "e"), ("-1", "0", "1"), ("yes", "no", "ja;nein"),
    ("9" * 4400, "8"), ("é", "ê"), ("true", "false"), ("Ünï", "字", "x\u200by"), ("1.5", "2"),
]  # fmt: skip
ODD_CLASSES = [("1", "+1"), ("x",), ("", "y"), ("\u200b", "z"), (" p", "p ", "p"), ("01", "1", "2")]
KINDS = ("csv", "tsv", "plain tsv", "jsonl")
Rows = list[tuple[str, str]]


@dataclass(frozen=True)
class Case:
    kind: str
    packed: bool
    data: bytes
    """Before it is packed."""
    clean: Rows | None
    """What was written, if the file is as it should be."""


def _text(draw: random.Random, kind: str) -> str:
    pieces = PIECES if kind == "plain tsv" else [*PIECES, "\n", "\t", "\r\n", "\n\n"]
    return "".join(draw.choices(pieces, k=draw.randint(0, 6))) + draw.choice("abcxyz?字")


def _written(kind: str, rows: Rows, draw: random.Random) -> str:
    end = draw.choice(["\n", "\r\n"]) if kind != "jsonl" else "\n"
    if kind == "jsonl":
        extra = {"id": 1, "other": {"text": ["text"]}}
        return "\n".join(
            json.dumps({"label": label, "text": text} | extra, ensure_ascii=draw.random() < 0.5)
            for text, label in rows
        )
    table = [("id", "text", "label"), *((str(i), *row) for i, row in enumerate(rows))]
    if kind == "plain tsv":
        return end.join(map("\t".join, table)) + end * draw.randint(0, 2)
    out = io.StringIO()
    quoting = draw.choice([csv.QUOTE_ALL, csv.QUOTE_MINIMAL])
    csv.writer(
        out, delimiter="," if kind == "csv" else "\t", lineterminator=end, quoting=quoting
    ).writerows(table)
    return out.getvalue()


def _damaged(data: bytes, draw: random.Random) -> bytes:
    at = draw.randrange(len(data))
    lines = data.split(b"\n")
    here = draw.randrange(len(lines))
    return draw.choice([
        lambda: data[:at],
        lambda: data[:at] + data[at + draw.randint(1, 30):],
        lambda: data[:at] + draw.choice(list(b'"\t,\n\r\0{')).to_bytes(1, "big") + data[at:],
        lambda: data[:at] + b'""' + data[at:],
        lambda: data[:at] + bytes([data[at] ^ (1 << draw.randrange(8))]) + data[at + 1:],
        lambda: data[:at] + draw.randbytes(3) + data[at:],
        lambda: b"\n".join([*lines[:here], *lines[here + 1:]]),
        lambda: b"\n".join([*lines[:here], lines[here], *lines[here:]]),
        lambda: b"\n".join(lines[::-1]),
        lambda: data.replace(b"text", b"Text", 1),
        lambda: data.replace(b"label", b"text", 1),
        lambda: data.replace(b"\n", b"\r"),
        lambda: data.replace(b",", b";"),
        lambda: data.decode(errors="replace").encode("utf-16"),
        lambda: data.decode(errors="replace").encode("latin-1", "replace"),
        lambda: b"\xef\xbb\xbf" + data,
        lambda: b"\n\n" + data,
        lambda: b"",
        lambda: b"\n \n",
    ])()  # fmt: skip


def _case(seed: int) -> Case:
    draw = random.Random(seed)
    kind = KINDS[seed % len(KINDS)]
    odd = draw.random() < 0.15
    names = draw.choice(ODD_CLASSES if odd else CLASSES)
    count = draw.randint(2, 25)
    rows = [(_text(draw, kind), names[i % len(names)]) for i in range(count)]
    if kind == "plain tsv":  # a quote that nothing closes: else it might be read as quoted
        rows[0] = ('"open', rows[0][1])
    if odd and draw.random() < 0.5:
        rows[-1] = (draw.choice(["", " ", "\u200b", "\x01"]), rows[-1][1])
    data = _written(kind, rows, draw).encode()
    damaged = draw.random() < 0.55
    if damaged:
        for _ in range(draw.randint(1, 2)):
            data = _damaged(data, draw) if data else data
    # Between rows a lone carriage return is a line end; within quotes it is text, as all else.
    return Case(kind, draw.random() < 0.3, data, None if odd or damaged else rows)


def _rfc4180(text: str, delimiter: str) -> list[list[str]] | None:
    """The records, character by character; None where a quote is out of place."""
    records: list[list[str]] = []
    record: list[str] = []
    field, place, state = "", 0, "start"
    while place <= len(text):
        char = text[place : place + 1]
        line_end = char in ("\n", "\r", "")
        if state == "quoted":
            if char == "":
                return None
            if char == '"' and text[place + 1 : place + 2] == '"':
                field, place = field + '"', place + 1
            elif char == '"':
                state = "closed"
            else:
                field += char
        elif char == delimiter:
            record, field, state = [*record, field], "", "start"
        elif line_end:
            if char == "\r" and text[place + 1 : place + 2] == "\n":
                place += 1
            elif char == "\r" and text[place + 1 :].strip("\r"):
                return None  # a carriage return alone ends no line of ours
            if record or field or state != "start":
                records.append([*record, field])
            record, field, state = [], "", "start"
        elif state == "closed":
            return None
        elif char == '"' and state == "start":
            state = "quoted"
        else:
            field, state = field + char, "plain"
        place += 1
    return records


def _reference(case: Case) -> Rows | None:
    """Texts and labels as a plain reading has them; None where it finds no table."""
    try:
        text = case.data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None
    if case.kind == "jsonl":
        lines = [line for line in text.split("\n") if line.strip()]
        try:
            objects = [json.loads(line, parse_int=str) for line in lines]
            return [(row["text"], row["label"]) for row in objects]
        except (ValueError, KeyError, TypeError):
            return None
    records = _rfc4180(text, "," if case.kind == "csv" else "\t")
    if case.kind != "csv":
        plain = [line.rstrip("\r").split("\t") for line in text.split("\n") if line.rstrip("\r")]
        whole = len({len(record) for record in plain}) == 1
        if whole and (
            records is None or len(records) < len(plain) or len({len(r) for r in records}) > 1
        ):
            records = plain
    if not records or len({len(record) for record in records}) > 1:
        return None
    try:
        places = records[0].index("text"), records[0].index("label")
    except ValueError:
        return None
    return [(record[places[0]], record[places[1]]) for record in records[1:]]


def _read(case: Case, folder: Path, label: str) -> Rows | str:
    """What is loaded, or the line that says why not."""
    suffix = ".jsonl" if case.kind == "jsonl" else f".{case.kind[-3:]}"
    path = folder / f"train{suffix}{'.gz' if case.packed else ''}"
    path.write_bytes(gzip.compress(case.data) if case.packed else case.data)
    dev = folder / "dev.jsonl"
    dev.write_text(json.dumps({"text": "not seen elsewhere", "label": label}))
    try:
        _, labels, train, _ = load_table(path, dev, Columns("text", None, "label"))
    except LadaError as error:
        return str(error)
    return list(zip(train.texts, (labels[i] for i in train.labels), strict=True))


@pytest.mark.parametrize("seed", range(FILES))
def test_read_as_the_reference_or_rejected_in_one_line(seed: int, tmp_path: Path) -> None:
    case = _case(seed)
    expected = _reference(case)
    label = expected[0][1] if expected else "0"
    found = _read(case, tmp_path, label if isinstance(label, str) and label.strip() else "0")
    if isinstance(found, str):
        assert found and len(found.splitlines()) == 1 and len(found) < 1000
        assert case.clean is None, found
        return
    assert expected is not None
    assert found == [(text, label.strip()) for text, label in expected]
    if case.clean is not None:
        assert found == case.clean


def test_there_are_enough_of_each(tmp_path: Path) -> None:
    cases = [_case(seed) for seed in range(FILES)]
    for kind in KINDS:
        assert sum(case.kind == kind and case.clean is not None for case in cases) >= 10, kind
        assert sum(case.kind == kind and case.clean is None for case in cases) >= 10, kind
    assert sum(case.packed for case in cases) >= 30
    # Of the odd ones some can be read, and some not.
    odd = [case for case in cases if case.clean is None]
    read = sum(_reference(case) is not None for case in odd)
    assert 15 <= read <= len(odd) - 15


@pytest.mark.parametrize("seed", range(12))
def test_broken_gzip(seed: int, tmp_path: Path) -> None:
    draw = random.Random(seed)
    packed = bytearray(gzip.compress(b"text,label\n" + b"good film,1\nbad film,0\n" * 50))
    path = tmp_path / "train.csv.gz"
    if seed % 2:
        packed = packed[: draw.randrange(1, len(packed))]
    else:
        packed[draw.randrange(12, len(packed))] ^= 1 << draw.randrange(8)
    path.write_bytes(packed)
    with pytest.raises(LadaError) as caught:
        load_table(path, tmp_path / "dev.csv", Columns("text", None, "label"))
    assert len(str(caught.value).splitlines()) == 1
