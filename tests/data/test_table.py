"""A user's own CSV, TSV and JSON lines files, and every way in which they can be wrong."""

import gzip
import json
from pathlib import Path

import pytest

from lada.data.table import BY_NAME, Columns, Layout, load_table
from lada.errors import LadaError

ONE = Columns(text="text", text_pair=None, label="label")
TWO = Columns(text="text", text_pair="other", label="label")
GOOD = "text,label\na,x\nb,y\n"


def _put(path: Path, text: str) -> Path:
    data = text.encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def _error(folder: Path, train: str, suffix: str = ".csv", columns: Columns = ONE) -> str:
    """Return the message that reading this training file ends with."""
    path = _put(folder / f"train{suffix}", train)
    with pytest.raises(LadaError) as caught:
        load_table(path, _put(folder / "dev.csv", GOOD), columns)
    message = str(caught.value)
    assert "\n" not in message
    return message


def _load(path: Path, label: str = "x", columns: Columns = ONE, layout: Layout = BY_NAME):
    """Read a training file, with a dev file of one row."""
    row = json.dumps({"text": "unseen", "other": "unseen", "label": label})
    return load_table(path, _put(path.parent / "dev.jsonl", row), columns, layout)[1:]


ROWS = [("plain", "an, other", "x"), ('say "so"', "b", "y"), ("two\nlines", "c", "x")]


def _delimited(delimiter: str, content: list[tuple[str, str, str]]) -> str:
    rows = [("label", "extra", "other", "text")] + [(y, "-", b, a) for a, b, y in content]
    quoted = [['"' + field.replace('"', '""') + '"' for field in row] for row in rows]
    return "".join(delimiter.join(row) + "\n" for row in quoted)


FORMATS = {
    ".csv": lambda rows: _delimited(",", rows),
    ".tsv": lambda rows: _delimited("\t", rows),
    ".jsonl": lambda rows: "\n".join(
        json.dumps({"text": a, "other": b, "label": y}) for a, b, y in rows
    ),
}


@pytest.mark.parametrize("packed", ["", ".gz"])
@pytest.mark.parametrize("suffix", list(FORMATS))
def test_formats(suffix: str, packed: str, tmp_path: Path) -> None:
    train_path = _put(tmp_path / f"train{suffix}{packed}", FORMATS[suffix](ROWS))
    dev_path = _put(tmp_path / f"dev{suffix}{packed}", FORMATS[suffix](ROWS[1:]))
    _, labels, train, others = load_table(train_path, dev_path, TWO)
    assert list(others) == ["dev"]
    dev = others["dev"]
    assert labels == ("x", "y")
    assert (train.name, dev.name) == ("train", "dev")
    for split, rows in ((train, ROWS), (dev, ROWS[1:])):
        assert split.pairs is not None
        assert list(split.texts) == [row[0] for row in rows]
        assert list(split.pairs) == [row[1] for row in rows]
        assert [labels[i] for i in split.labels] == [row[2] for row in rows]


def test_one_text_has_no_pairs(tmp_path: Path) -> None:
    assert _load(_put(tmp_path / "rows.csv", GOOD))[1].pairs is None


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["10", "9", "-1"], ("-1", "9", "10")),
        (["10", "9", "b"], ("10", "9", "b")),
        ([" pos ", "neg", "pos"], ("neg", "pos")),
    ],
)
def test_labels_are_sorted(values: list[str], expected: tuple[str, ...], tmp_path: Path) -> None:
    path = _put(tmp_path / "rows.csv", "text,label\n" + "".join(f"t,{v}\n" for v in values))
    labels, train, _ = _load(path, values[1])
    assert labels == expected
    assert [labels[place] for place in train.labels] == [value.strip() for value in values]


def test_json_labels_may_be_numbers_or_booleans(tmp_path: Path) -> None:
    numbers = _put(tmp_path / "n.jsonl", '{"text": "a", "label": 2}\n{"text": "b", "label": "11"}')
    assert _load(numbers, "2")[0] == ("2", "11")
    truth = _put(
        tmp_path / "t.jsonl", '{"text": "a", "label": true}\n{"text": "b", "label": false}'
    )
    assert _load(truth, "true")[0] == ("false", "true")


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_blank_lines_hold_no_row(suffix: str, tmp_path: Path) -> None:
    row = {".csv": "{},{}\n", ".jsonl": '{{"text": "{}", "label": "{}"}}\n'}[suffix]
    head = "text,label\n" if suffix == ".csv" else "\n"
    path = _put(tmp_path / f"rows{suffix}", head + row.format("a", 0) + "\n" + row.format("b", 1))
    assert list(_load(path, "0")[1].texts) == ["a", "b"]


@pytest.mark.parametrize("key", ["task.train_file", "task.dev_file"])
def test_missing_file(key: str, tmp_path: Path) -> None:
    good, none = _put(tmp_path / "good.csv", GOOD), tmp_path / "none.csv"
    files = (none, good) if key == "task.train_file" else (good, none)
    with pytest.raises(LadaError, match=rf"{key}=.*none\.csv: there is no such file\."):
        load_table(*files, ONE)


def test_unknown_suffix(tmp_path: Path) -> None:
    message = _error(tmp_path, GOOD, ".xlsx")
    assert f"task.train_file={tmp_path / 'train.xlsx'}: the name has no known suffix" in message


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".csv.gz"])
def test_empty_file(suffix: str, tmp_path: Path) -> None:
    assert f"train{suffix}: is empty. Give a file" in _error(tmp_path, "", suffix)


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_file_without_rows(suffix: str, tmp_path: Path) -> None:
    text = "text,label\n" if suffix == ".csv" else "\n\n"
    assert f"train{suffix}: has no examples. Give a file" in _error(tmp_path, text, suffix)


@pytest.mark.parametrize(
    ("columns", "key", "wanted"),
    [
        (Columns("txet", None, "label"), "task.text", "'txet', the nearest is 'text'"),
        (Columns("text", "txt", "label"), "task.text_pair", "'txt', the nearest is 'text'"),
        (Columns("text", None, "lable"), "task.label", "'lable', the nearest is 'label'"),
    ],
)
def test_wrong_column(columns: Columns, key: str, wanted: str, tmp_path: Path) -> None:
    message = _error(tmp_path, GOOD, columns=columns)
    assert f"train.csv: has no column {wanted}; its columns are 'text', 'label'" in message
    assert message.endswith(f"Correct {key}.")


def test_column_there_twice(tmp_path: Path) -> None:
    message = _error(tmp_path, "text,text,label\na,b,x\n")
    assert "train.csv: has 2 columns 'text'" in message


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('text,label\n"a\nb",x\nc,y,z\n', "train.csv line 4: has 3 fields, but the header has 2"),
        ("text,label\na,x\nb\n", "train.csv line 3: has 1 fields, but the header has 2"),
        ('text,label\na,x\n"b" c,y\n', "train.csv line 3: malformed field: text after"),
        ('text,label\na,x\n"b,y\n', "train.csv line 3: malformed field: a quoted field that"),
        ("text,label\na,x\n ,y\n", "train.csv line 3: column 'text' is empty"),
        ("text,label\na,x\nb,\n", "train.csv line 3: column 'label' is empty"),
        ("text,label\na,x\nb,x\n", "train.csv: has one class only, 'x' in column 'label'"),
    ],
)
def test_broken_csv(text: str, expected: str, tmp_path: Path) -> None:
    assert expected in _error(tmp_path, text)


ROW = '{"text": "a", "label": "x"}\n'


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('{"text": "a", "label"', 'line 2: \'{"text": "a", "label"\' is not a JSON object'),
        ('["a", "x"]', 'line 2: \'["a", "x"]\' is not a JSON object'),
        ('{"txt": "a", "label": "x"}', "line 2: has no column 'text', the nearest is 'txt'"),
        ('{"text": ["a"], "label": "x"}', "line 2: 'text' is an array, not a text"),
        ('{"text": 5, "label": "x"}', "line 2: 'text' is the number 5, not a text"),
        ('{"text": "a", "label": NaN}', "line 2: 'label' is the number NaN, not a text"),
        ('{"text": 0.5, "label": "a"}', "line 2: 'text' is the number 0.5, not a text"),
        ('{"text": "a", "label": null}', "line 2: 'label' is null, not a text"),
        ('{"text": "", "label": "x"}', "line 2: column 'text' is empty"),
        ('{"text": "\\ud83d", "label": "x"}', "line 2: column 'text' has half a surrogate pair"),
    ],
)
def test_broken_json_lines(line: str, expected: str, tmp_path: Path) -> None:
    message = _error(tmp_path, ROW + line + "\n", ".jsonl")
    assert f"{tmp_path / 'train.jsonl'} {expected}" in message


def test_empty_second_text(tmp_path: Path) -> None:
    message = _error(tmp_path, "text,other,label\na,b,x\nc,,y\n", columns=TWO)
    assert "train.csv line 3: column 'other' is empty" in message


def test_dev_label_unseen_in_train(tmp_path: Path) -> None:
    train = _put(tmp_path / "train.csv", GOOD)
    dev = _put(tmp_path / "dev.csv", "text,label\na,x\nb,z\n")
    with pytest.raises(LadaError) as caught:
        load_table(train, dev, ONE)
    message = str(caught.value)
    assert (
        f"{dev} line 3: label 'z' does not occur in {train}. Set it to one of 'x', 'y'." == message
    )


def test_broken_utf8(tmp_path: Path) -> None:
    path = tmp_path / "train.csv"
    path.write_bytes(b"text,label\na,x\n\xff,y\n")
    with pytest.raises(LadaError, match=r"train\.csv line 3: byte 0xff is not UTF-8"):
        load_table(path, path, ONE)


def test_broken_gzip(tmp_path: Path) -> None:
    path = tmp_path / "train.csv.gz"
    path.write_text(GOOD)
    with pytest.raises(LadaError, match=r"train\.csv\.gz: is corrupt gzip"):
        load_table(path, path, ONE)


def test_a_test_file_is_a_split_of_its_own(tmp_path: Path) -> None:
    train = _put(tmp_path / "train.csv", "text,label\na,x\nb,y\n")
    dev = _put(tmp_path / "dev.csv", "text,label\nc,x\n")
    test = _put(tmp_path / "test.csv", "text,label\nd,y\ne,x\n")
    _, _, _, others = load_table(train, dev, ONE, test_file=test)
    assert {name: list(split.texts) for name, split in others.items()} == {
        "dev": ["c"],
        "test": ["d", "e"],
    }
    assert others["test"].labels.tolist() == [1, 0]
    with pytest.raises(LadaError, match=r"^task.test_file=.*: holds the same examples as task.tr"):
        load_table(train, dev, ONE, test_file=train)
    _put(test, "text,label\nd,z\n")
    with pytest.raises(LadaError, match=r"test.csv line 2: label 'z' does not occur in"):
        load_table(train, dev, ONE, test_file=test)
