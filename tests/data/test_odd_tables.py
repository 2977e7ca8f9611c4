"""Tables as they come from elsewhere: quotes, delimiters, encodings, labels."""

import codecs
import gzip
import json
import logging
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import Result

from lada.data.source import load_task
from lada.data.table import BY_NAME, Columns, Layout, load_table
from lada.errors import LadaError

ONE = Columns("text", None, "label")
TWO = Columns("text", "other", "label")


def _load(
    folder: Path,
    train: str | bytes,
    name: str = "train.csv",
    columns: Columns = ONE,
    layout: Layout = BY_NAME,
    label: str | None = "x",
):
    """The labels and the training rows of a file; dev is one row of ``label``."""
    path = folder / name
    path.write_bytes(train if isinstance(train, bytes) else train.encode())
    dev = folder / "dev.jsonl"
    if layout.delimiter is None and layout.encoding is None:
        dev.write_text(json.dumps({"text": "unseen", "other": "unseen", "label": label}))
    else:
        by = layout.delimiter or ","
        by = {"tab": "\t", "\\t": "\t", "semicolon": ";", "pipe": "|"}.get(by, by)
        dev = folder / "dev.csv"
        rows = f"text{by}other{by}label\nunseen{by}unseen{by}{label}\n"
        dev.write_bytes(rows.encode(layout.encoding or "utf-8"))
    _, labels, split, _ = load_table(path, dev, columns, layout)
    return labels, [
        (*row, labels[y])
        for *row, y in zip(
            split.texts, *([split.pairs] if split.pairs else []), split.labels, strict=True
        )
    ]


def _error(folder: Path, train: str | bytes, *args, **kwargs) -> str:
    with pytest.raises(LadaError) as caught:
        _load(folder, train, *args, **kwargs)
    message = str(caught.value)
    assert len(message.splitlines()) == 1 and len(message) < 600
    return message


@pytest.mark.parametrize(
    "rows",
    [
        # As MRPC and RTE have them: quotes that open and do not close, or stand behind text.
        [('"No one told us , " he said .', "x"), ('He said : "No .', "y"), ('"', "x"), ("a", "y")],
        # Two stray quotes: CSV would make one field of five rows.
        [('"The film is long', "x"), *((f"row {i}", "yx"[i % 2]) for i in range(5)),
         ('it ends"', "y"), ("after", "x")],
        [('5" disk', "x"), ('"a" and "b"', "y"), ('""', "x"), ('"quoted" then not', "y")],
        [("plain", "x"), ('inch 3"', "y"), ('"', "y")],
    ],
)  # fmt: skip
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_tsv_without_quoting(rows: list[tuple[str, str]], end: str, tmp_path: Path) -> None:
    text = end.join("\t".join(row) for row in [("text", "label"), *rows]) + end
    assert _load(tmp_path, text, "train.tsv")[1] == rows


def test_the_layout_of_mrpc(tmp_path: Path) -> None:
    header = "\ufeffQuality\t#1 ID\t#2 ID\t#1 String\t#2 String"
    rows = [
        '1\t7\t8\tHe said , " No .\t" No , " he said .',
        '0\t9\t3\t"\t" They left .',
        "1\t2\t4\ta\tb",
    ]
    columns = Columns("#1 String", "#2 String", "Quality")
    text = "\r\n".join([header, *rows]) + "\r\n"
    (tmp_path / "train.tsv").write_text(text, newline="")
    (tmp_path / "dev.tsv").write_text("\r\n".join([header, rows[0]]), newline="")
    _, labels, train, others = load_table(tmp_path / "train.tsv", tmp_path / "dev.tsv", columns)
    expected = [row.split("\t") for row in rows]
    found = zip((labels[y] for y in train.labels), train.texts, train.pairs or [], strict=True)
    assert list(found) == [(row[0], row[3], row[4]) for row in expected]
    assert len(others["dev"]) == 1


def test_tsv_with_quoting(tmp_path: Path) -> None:
    text = 'text\tlabel\n"a ""b"" c"\tx\n"two\nlines"\ty\n"a\ttab"\tx\nplain "q"\ty\n'
    rows = [('a "b" c', "x"), ("two\nlines", "y"), ("a\ttab", "x"), ('plain "q"', "y")]
    assert _load(tmp_path, text, "train.tsv")[1] == rows


def test_broken_tsv_is_not_read_as_quoted(tmp_path: Path) -> None:
    # A row without a label, and two stray quotes that would hide others.
    text = 'text\tlabel\nfirst\tx\n"a\ty\nb\tx\nc"\ty\nd\te\tx\nf\ty\n'
    assert "line 6: has 3 fields, but the header has 2" in _error(tmp_path, text, "train.tsv")
    # The row that is broken is between the quotes, where CSV would see nothing.
    text = 'text\tlabel\nfirst\tx\nmore\ty\n"a\ty\nb\nc"\ty\n'
    assert "line 4: a quoted field ends in line 6" in _error(tmp_path, text, "train.tsv")


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ('text,label\nfirst,x\n"a stray one,y\nb,x\nc,y\nand another",x\nlast,y\n', (3, 6)),
        ('text,label\n"a,x\nb",y\nc,x\nd,y\n', (2, 3)),
        ('label,text\nx,"a\ny,b"\nx,c\ny,d\n', (2, 3)),
    ],
)
def test_rows_between_two_stray_quotes_are_not_swallowed(
    text: str, lines: tuple[int, int], tmp_path: Path
) -> None:
    message = _error(tmp_path, text)
    assert f"train.csv line {lines[0]}: a quoted field ends in line {lines[1]}" in message


def test_fields_over_several_lines_are_read(tmp_path: Path) -> None:
    text = 'text,label\n"first, x\nsecond",x\n"one,\ntwo, y\n\nthree,y",y\n'
    assert [row[0] for row in _load(tmp_path, text)[1]] == [
        "first, x\nsecond",
        "one,\ntwo, y\n\nthree,y",
    ]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('text,label\na,x\n"b,y\n' + "c,x\n" * 500, 3),
        ('text,label\na,x\n\n\n"b\nb",y\n"c\nc","y\nd,x\n', 8),
        ('text,label\n"a\n\na" b,x\nc,y\n', 2),
        ('text,label\na,x\n"b ""c"" d\ne,y\n', 3),
        ('"text,label\na,x\n', 1),
    ],
)
def test_a_broken_field_is_told_by_the_line_where_it_began(
    text: str, line: int, tmp_path: Path
) -> None:
    assert f"train.csv line {line}: malformed field" in _error(tmp_path, text)


def test_a_row_is_told_by_its_first_line(tmp_path: Path) -> None:
    assert "line 3: has 3 fields" in _error(tmp_path, 'text,label\na,x\n"b\nb\nb",y,z\n')
    assert "line 3: column 'label' is empty" in _error(tmp_path, 'text,label\na,x\n"b\nb\nb",\n')


def test_long_fields(tmp_path: Path) -> None:
    long = "word " * 60_000
    assert _load(tmp_path, f'text,label\n"{long}",x\na,y\n')[1][0] == (long, "x")
    assert _load(tmp_path, f'text\tlabel\n"{long}\tx\na\ty\n', "train.tsv")[1][0][0] == f'"{long}'


@pytest.mark.parametrize(
    ("given", "by"),
    [
        ("semicolon", ";"),
        (";", ";"),
        ("tab", "\t"),
        ("\\t", "\t"),
        ("|", "|"),
        ("pipe", "|"),
        ("~", "~"),
    ],
)
@pytest.mark.parametrize("name", ["train.csv", "train.txt", "train.tsv", "train"])
def test_delimiter(given: str, by: str, name: str, tmp_path: Path) -> None:
    text = f'text{by}label\n"a{by} b"{by}x\nc, d{by}y\n'
    found = _load(tmp_path, text, name, layout=Layout(delimiter=given))[1]
    assert found == [(f"a{by} b", "x"), ("c, d", "y")]


@pytest.mark.parametrize("given", ["", ";;", "a", "7", '"', "\n", "comma ", "none"])
def test_no_delimiter(given: str, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("text,label\na,x\n")
    said = r"^task\.delimiter=.*: this is not a delimiter\. Set it to comma, tab"
    with pytest.raises(LadaError, match=said):
        load_table(path, path, ONE, Layout(delimiter=given))


def test_json_has_no_delimiter(tmp_path: Path) -> None:
    layout = Layout(delimiter="tab")
    assert "is JSON, which has no delimiter" in _error(tmp_path, "{}", "train.jsonl", layout=layout)


@pytest.mark.parametrize(
    ("text", "name", "proposed"),
    [
        ("text;label\na;x\nb;y\n", "train.csv", "semicolon"),
        ('"text";"label"\n"a, b";"x"\n', "train.csv", "semicolon"),
        ("text\tlabel\na\tx\n", "train.csv", "tab"),
        ("text,label\na,x\n", "train.tsv", "comma"),
        ("id|text|label\n1|a|x\n", "train.csv", "pipe"),
        ("id;title, long;text;label\n1;a, b;c;x\n", "train.csv", "semicolon"),
        ("body;class\na;x\n", "train.csv", "semicolon"),  # neither column, but one field alone
    ],
)
def test_another_delimiter_is_proposed(text: str, name: str, proposed: str, tmp_path: Path) -> None:
    message = _error(tmp_path, text, name)
    assert "has no column 'text'" in message
    assert f"Set task.delimiter={proposed} if" in message


def test_a_wrong_column_name_is_no_wrong_delimiter(tmp_path: Path) -> None:
    message = _error(tmp_path, "txt,label\na;b,x\n")
    assert "nearest is 'txt'" in message and "delimiter" not in message


@pytest.mark.parametrize(
    "encoding", ["latin-1", "cp1252", "utf-16", "utf-16-le", "shift_jis", "UTF8"]
)
def test_encoding(encoding: str, tmp_path: Path) -> None:
    text = "text,label\nnaïve,x\nb,y\n".replace("ï", "イ" if encoding == "shift_jis" else "ï")
    layout = Layout(encoding=encoding)
    assert (
        _load(tmp_path, text.encode(encoding), layout=layout)[1][0][0] == text.split("\n")[1][:-2]
    )
    packed = gzip.compress(text.encode(encoding))
    assert len(_load(tmp_path, packed, "train.csv.gz", layout=layout)[1]) == 2


@pytest.mark.parametrize(
    ("data", "line", "proposed"),
    [
        ("text,label\na,x\nnaïve,y\n".encode("latin-1"), 3, "latin-1"),
        ("text,label\n“a”,x\nb,y\n".encode("cp1252"), 2, "cp1252"),
        ("text,label\na,x\nb,y\n".encode("utf-16"), 1, "utf-16"),
        (codecs.BOM_UTF16_BE + "text,label\na,x\nb,y\n".encode("utf-16-be"), 1, "utf-16"),
        ("text,label\na,x\nb,y\n".encode("utf-32"), 1, "utf-32"),
        ("text,label\na,x\nb,y\n".encode("utf-16-le"), 1, "utf-16-le"),
        ("text,label\na,x\nb,y\n".encode("utf-16-be"), 1, "utf-16-be"),
    ],
)
def test_another_encoding_is_proposed(
    data: bytes, line: int, proposed: str, tmp_path: Path
) -> None:
    message = _error(tmp_path, data)
    assert f"train.csv line {line}: " in message
    assert f"or set task.encoding={proposed} if" in message
    # What is proposed is what reads it.
    labels, _ = _load(tmp_path, data, layout=Layout(encoding=proposed))
    assert labels == ("x", "y")


@pytest.mark.parametrize("given", ["utf-9", "base64", "rot13", "", "a\0b", "latin 1 or so"])
def test_no_encoding(given: str, tmp_path: Path) -> None:
    path = tmp_path / "train.csv"
    path.write_text("text,label\na,x\nb,y\n")
    with pytest.raises(LadaError, match=r"^task\.encoding=.*: Python has no such text encoding\."):
        load_table(path, path, ONE, Layout(encoding=given))


@pytest.mark.parametrize(
    ("given", "data"), [("ascii", b"\xe9"), ("utf-16", b"odd"), ("utf-32", b"x" * 9)]
)
def test_not_of_the_encoding_given(given: str, data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "train.csv"
    path.write_bytes(b"text,label\na,x\n" + data)
    with pytest.raises(LadaError, match=rf"train\.csv: is not {given} somewhere after line"):
        load_table(path, path, ONE, Layout(encoding=given))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (gzip.compress(b"text,label\na,x\n", mtime=0), "is gzip. Give it a name that ends in .gz"),
        (b"PK\x03\x04\x14\x00\xff\xff", "is a zip file, such as a spreadsheet. Save it as CSV"),
        (b"PAR1\x15\x04\xff\xff", "is a Parquet file"),
    ],
)
def test_other_kinds_of_files_are_told(data: bytes, said: str, tmp_path: Path) -> None:
    assert said in _error(tmp_path, data)


def test_what_is_no_regular_file_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    for path in (tmp_path / "pipe.csv", tmp_path, Path("/dev/zero")):
        with pytest.raises(LadaError, match="not a regular file"):
            load_table(path, path, ONE, Layout(delimiter="comma"))


def test_a_name_that_no_file_can_have(tmp_path: Path) -> None:
    for name in ("zero\0byte.csv", "x" * 300 + ".csv"):
        with pytest.raises(LadaError) as caught:
            load_table(tmp_path / name, tmp_path / name, ONE)
        assert "task.train_file" in str(caught.value)


@pytest.mark.parametrize(
    "labels", [("1", "+1"), ("01", "1"), ("1", "1.0"), ("-0", "0"), ("2.50", "2.5"), ("007", "7.")]
)
def test_two_labels_that_are_one_number(labels: tuple[str, str], tmp_path: Path) -> None:
    text = f"text,label\na,{labels[0]}\nb,{labels[1]}\nc,other\n"
    message = _error(tmp_path, text, label=labels[0])
    assert all(repr(label) in message for label in labels) and "are the same number" in message


@pytest.mark.parametrize(
    "labels", [("1", "11"), ("1.5", "15"), ("1", "1a"), ("v1", "v01"), ("+1", "-1")]
)
def test_labels_that_are_several_numbers(labels: tuple[str, str], tmp_path: Path) -> None:
    text = f"text,label\na,{labels[0]}\nb,{labels[1]}\n"
    columns = Columns("text", None, "label", kind="single_label")
    found, _ = _load(tmp_path, text, columns=columns, label=labels[0])
    assert set(found) == set(labels)


@pytest.mark.parametrize("name", ["train.csv", "train.jsonl"])
def test_integers_of_any_length(name: str, tmp_path: Path) -> None:
    long = "9" * 5000
    rows = {
        "train.csv": f"text,label\na,{long}\nb,7\nc,-1{long}\n",
        "train.jsonl": f'{{"text": "a", "label": {long}}}\n{{"text": "b", "label": 7}}\n'
        f'{{"text": "c", "label": -1{long}}}\n',
    }
    assert _load(tmp_path, rows[name], name, label="7")[0] == (f"-1{long}", "7", long)
    message = _error(tmp_path, f'{{"text": {long}, "label": 1}}', "train.jsonl")
    assert "'text' is the number 9999" in message


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (["Pos", "pos", "neg"], "'Pos', 'pos' differ only by case"),
        (["not good", "not  good", "good"], "'not  good', 'not good' differ only by case, spaces"),
        (["pos", "pos\u200b", "neg"], "'pos', 'pos\\u200b' differ"),
        (["é", "e\u0301", "neg"], "differ only by case, spaces or invisible"),
        (["STRASSE", "straße", "weg"], "differ only by case"),
    ],
)
def test_labels_that_look_alike_are_warned_of(
    labels: list[str], words: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    text = "text,label\n" + "".join(f"t{i},{label}\n" for i, label in enumerate(labels))
    assert len(_load(tmp_path, text, label=labels[0])[0]) == 3
    assert words in caplog.text and caplog.text.count("WARNING") == 1


def test_spaces_around_labels(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert _load(tmp_path, "text,label\na, x\nb,x\nc,y \n")[0] == ("x", "y")
    assert "'x' occur with and without spaces" in caplog.text
    caplog.clear()
    assert _load(tmp_path, "text,label\na, x\nb, y\nc, x\n")[0] == ("x", "y")
    assert caplog.text == ""


@pytest.mark.parametrize(
    "text",
    [
        "\u200b",
        "\ufeff\u200d",
        "\x01\x02",
        "\u00ad",
        "\u2028",
        "\ufffd",
        "\ue000",
        "\u200b \u2060",
        "\x7f\x00",
    ],
)
def test_invisible_text_is_no_text(text: str, tmp_path: Path) -> None:
    for column, row in (
        ("text", (text, "b", "x")),
        ("other", ("a", text, "x")),
        ("label", ("a", "b", text)),
    ):
        lines = [dict(zip(("text", "other", "label"), values, strict=True))
                 for values in (("a", "b", "y"), row)]  # fmt: skip
        file = "\n".join(map(json.dumps, lines))
        assert f"train.jsonl line 2: column {column!r}" in _error(
            tmp_path, file, "train.jsonl", TWO
        )


@pytest.mark.parametrize("text", ["\u200ba", "é", "字", "👍", "?", "\u0301", "👩\u200d👩"])
def test_a_visible_character_is_text(text: str, tmp_path: Path) -> None:
    assert _load(tmp_path, f"text,label\n{text},x\nb,y\n")[1][0][0] == text


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (("a", None, "a"), "task.label=a: task.text names the same column"),
        (("a", "a", "b"), "task.text_pair=a: task.text names the same column"),
        (("a", "b", "b"), "task.label=b: task.text_pair names the same column"),
        (("x y", "b", "x y"), "task.label=x y: task.text names the same column"),
    ],
)
def test_one_column_for_two_things(names: tuple[str, str | None, str], words: str) -> None:
    text, pair, label = names
    with pytest.raises(LadaError) as caught:
        load_task("csv", data_dir=None, validation_examples=None,
                  train_file="no.csv", dev_file="no.csv",
                  text=text, text_pair=pair, label=label)  # fmt: skip
    assert str(caught.value).startswith(words)


@pytest.mark.parametrize(
    "how", ["same", "dotted", "link", "hard link", "copy", "packed", "shuffled", "json"]
)
def test_the_same_examples_for_train_and_dev(how: str, tmp_path: Path) -> None:
    train = tmp_path / "train.csv"
    train.write_text("text,label\na,x\nb,y\nc,x\n")
    dev = tmp_path / {"packed": "dev.csv.gz", "json": "dev.jsonl"}.get(how, "dev.csv")
    if how in ("same", "dotted"):
        dev = train if how == "same" else tmp_path / ".." / tmp_path.name / "train.csv"
    elif how == "link":
        dev.symlink_to(train)
    elif how == "hard link":
        dev.hardlink_to(train)
    elif how == "json":
        dev.write_text(
            "".join(f'{{"label": "{y}", "text": "{t}"}}\n' for t, y in ["ax", "by", "cx"])
        )
    else:
        data = train.read_bytes()
        data = b"text,label\nc,x\na,x\nb,y\n" if how == "shuffled" else data
        dev.write_bytes(gzip.compress(data) if how == "packed" else data)
    with pytest.raises(
        LadaError, match=r"^task\.dev_file=.*: holds the same examples as task\.train_file="
    ):
        load_table(train, dev, ONE)


def test_common_examples_are_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "train.csv").write_text("text,label\na,x\nb,y\nc,x\n")
    (tmp_path / "dev.csv").write_text("text,label\na,x\nb,x\nd,y\n")
    load_table(tmp_path / "train.csv", tmp_path / "dev.csv", ONE)
    assert "1 of 3 dev examples are also in" in caplog.text


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"text": true, "label": "x"}', "'text' is true, not a text"),
        ('{"text": null, "label": "x"}', "'text' is null, not a text"),
        ('{"text": 1e400, "label": "x"}', "'text' is the number 1e400, not a text"),
        ('{"text": NaN, "label": "x"}', "'text' is the number NaN, not a text"),
        ('{"text": {"text": "a"}, "label": "x"}', "'text' is an object, not a text"),
        ('{"text": "a", "label": [null]}', "'label' is an array, not a text"),
        ('{"text": "a", "label": {}}', "'label' is an object, not a text"),
        ('{"text": 1.0, "label": "a"}', "'text' is the number 1.0, not a text"),
        ('{"text": "a", "label": Infinity}', "'label' is the number Infinity, not a text"),
        ('{"text": "a", "text": "b", "label": "x"}', "has 2 columns 'text'"),
        ('{"label": "y", "text": "a", "label": "x"}', "has 2 columns 'label'"),
        ("[" * 100_000, "is not a JSON object"),
        ('{"text": "a", "label": "x"} {}', "is not a JSON object"),
        ("text,label", "is not a JSON object"),
    ],
)
def test_json_values(line: str, said: str, tmp_path: Path) -> None:
    message = _error(tmp_path, '{"text": "a", "label": "x"}\n' + line, "train.jsonl")
    assert said in message and "train.jsonl line 2" in message


def test_a_key_that_nobody_wants_may_come_twice(tmp_path: Path) -> None:
    rows = (
        '{"text": "a", "id": 1, "id": {"text": "c"}, "label": "x"}\n{"text": "b", "label": "y"}\n'
    )
    assert _load(tmp_path, rows, "train.jsonl")[1] == [("a", "x"), ("b", "y")]


def test_a_file_of_one_long_line(tmp_path: Path) -> None:
    message = _error(tmp_path, "word " * 200_000)
    assert "has no column 'text'" in message


def test_level_of_what_is_said_of_unquoted_files(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "lada"):
        _load(tmp_path, 'text\tlabel\n"a\tx\nb\ty\n', "train.tsv")
    assert [record.levelname for record in caplog.records] == ["INFO"]
    assert "read without quoting" in caplog.text


def test_delimiter_and_encoding_on_the_command_line(
    train_py: Callable[..., Result], tiny: list[str], tmp_path: Path
) -> None:
    rows = "".join(f"naïve {i};{'good' if i % 2 else 'bad'}\n" for i in range(30))
    for name, count in (("train", 30), ("dev", 9)):
        text = "text;label\n" + "".join(rows.splitlines(keepends=True)[:count])
        (tmp_path / f"{name}.csv").write_text(text, encoding="latin-1")
    files = [f"task.{name}_file={tmp_path}/{name}.csv" for name in ("train", "dev")]
    given: list[str] = []
    for proposed in ("task.encoding=latin-1", "task.delimiter=semicolon"):
        result = train_py(*tiny, *files, *given)
        assert result.code == 2 and f"et {proposed} if" in result.err
        given.append(proposed)
    result = train_py(*tiny, *files, *given, "data.validation=30")
    assert "error: data.validation=30: this leaves no training example of 30" in result.err
