"""Examples as Python objects: each kind gives what a file of the same content gives."""

import json
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pandas as pd
import pytest

from lada.data.examples import read_examples
from lada.data.table import Columns, load_table
from lada.errors import LadaError

ONE = Columns(text="text", text_pair=None, label="label")
TWO = Columns(text="text", text_pair="other", label="label")
ROWS = [
    {"text": "a, b", "other": "first", "label": "x", "extra": 1},
    {"text": 'say "so"', "other": "second", "label": "y", "extra": 2},
    {"text": "two\nlines", "other": "é", "label": "x", "extra": 3},
]
DEV = [{"text": "unseen", "other": "unseen", "label": "y", "extra": 4}]


def _file(rows: list[dict[str, Any]], path: Path) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


KINDS = {
    "list": lambda rows, _: rows,
    "generator": lambda rows, _: (row for row in rows),
    "pandas": lambda rows, _: pd.DataFrame(rows),
    "datasets": lambda rows, _: datasets.Dataset.from_list(rows),
    "path": lambda rows, folder: _file(rows, folder / "given.jsonl"),
    "str": lambda rows, folder: str(_file(rows, folder / "given.jsonl")),
}


@pytest.mark.parametrize("columns", [ONE, TWO])
@pytest.mark.parametrize("kind", list(KINDS))
def test_every_kind_gives_what_a_file_gives(kind: str, columns: Columns, tmp_path: Path) -> None:
    paths = _file(ROWS, tmp_path / "train.jsonl"), _file(DEV, tmp_path / "dev.jsonl")
    _, labels, train, others = load_table(*paths, columns)
    found = read_examples(KINDS[kind](ROWS, tmp_path), DEV, columns)
    assert found.labels == labels
    assert (found.train.digest, found.dev.digest) == (train.digest, others["dev"].digest)
    assert (found.train.name, found.dev.name) == ("train", "dev")


@pytest.mark.parametrize("kind", ["list", "pandas", "datasets", "path"])
@pytest.mark.parametrize(
    ("values", "names"),
    [
        ([10, 9, -1], ("-1", "9", "10")),
        ([True, False, True], ("false", "true")),
        (["b", " a ", "a"], ("a", "b")),
    ],
)
def test_labels_of_all_types_are_those_of_json(
    kind: str, values: list[Any], names: tuple[str, ...], tmp_path: Path
) -> None:
    rows = [{"text": f"text {i}", "label": value} for i, value in enumerate(values)]
    dev = [{"text": "unseen", "label": values[0]}]
    found = read_examples(KINDS[kind](rows, tmp_path), dev, ONE)
    assert found.labels == names
    said = [v.strip() if isinstance(v, str) else json.dumps(v) for v in values]
    assert [names[i] for i in found.train.labels] == said


def test_class_labels_are_their_names() -> None:
    features = datasets.Features(
        {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["no", "ja"])}
    )
    rows = datasets.Dataset.from_dict({"text": ["a", "b"], "label": [1, 0]}, features=features)
    found = read_examples(rows, [{"text": "c", "label": "ja"}], ONE)
    assert found.labels == ("ja", "no")
    assert found.train.labels.tolist() == [0, 1]
    unlabelled = datasets.Dataset.from_dict(
        {"text": ["a", "b"], "label": [1, -1]}, features=features
    )
    with pytest.raises(LadaError, match=r"^train\[1\]: column 'label' has no value"):
        read_examples(unlabelled, rows, ONE)


def test_numpy_values() -> None:
    rows = [{"text": np.str_("a"), "label": np.int64(3)}, {"text": "b", "label": np.int8(4)}]
    found = read_examples(rows, [{"text": "c", "label": 3}], ONE)
    assert found.labels == ("3", "4")
    assert [type(text) for text in found.train.texts] == [str, str]


GOOD = [{"text": "a", "label": "x"}, {"text": "b", "label": "y"}]


@pytest.mark.parametrize(
    ("train", "message"),
    [
        ([], "train: has no examples. Give at least one."),
        (None, "train: is None, not examples."),
        (7, "train: is of type int, not examples."),
        (b"text", "train: is of type bytes, not examples."),
        ({"text": ["a"], "label": ["x"]}, "train: is a dict, not examples."),
        (datasets.DatasetDict(), "train: is a DatasetDict, not examples."),
        ([("a", "x")], "train[0]: is of type tuple, not a dict. Give dicts"),
        ([*GOOD, {"text": "a"}], "train[2]: has no column 'label', the nearest is 'text'"),
        ([{"Text": "a", "label": "x"}], "train[0]: has no column 'text', the nearest is 'Text'"),
        ([*GOOD, {"text": None, "label": "x"}], "train[2]: column 'text' has no value (None)."),
        ([*GOOD, {"text": 5, "label": "x"}], "train[2]: column 'text' is of type int."),
        ([*GOOD, {"text": 0.5, "label": "a"}], "train[2]: column 'text' is the number 0.5."),
        ([*GOOD, {"text": ["a"], "label": "a"}], "train[2]: column 'text' is of type list."),
        ([*GOOD, {"text": "  ", "label": "x"}], "train[2]: column 'text' is empty."),
        ([*GOOD, {"text": "\u200b", "label": "x"}], "train[2]: column 'text' has only invisible"),
        ([*GOOD, {"text": "\ud800", "label": "x"}], "train[2]: column 'text' has half a"),
        ([GOOD[0]], "train: has one class only, 'x' in column 'label'."),
        (pd.DataFrame({"text": ["a", None], "label": ["x", "y"]}), "train.iloc[1]: column 'text'"),
        (pd.DataFrame({"text": ["a", "b"], "label": [1, np.nan]}), "train.iloc[1]: column 'label'"),
        (
            pd.DataFrame({"text": ["a", "b"], "label": pd.array([1, pd.NA], dtype="Int64")}),
            "train.iloc[1]: column 'label' has no value (<NA>).",
        ),
        (
            pd.DataFrame({"text": ["a"], "stars": [1]}),
            "train: has no column 'label', the nearest is",
        ),
        (
            pd.DataFrame([["a", "b", "x"]], columns=["text", "text", "label"]),
            "train: has 2 columns",
        ),
        (datasets.Dataset.from_dict({"text": ["a"]}), "train: has no column 'label',"),
    ],
)
def test_mistakes_are_one_line(train: Any, message: str) -> None:
    with pytest.raises(LadaError) as caught:
        read_examples(train, GOOD[:1], ONE)
    assert str(caught.value).startswith(message), caught.value
    assert "\n" not in str(caught.value)


def test_dev_is_checked_against_train(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(LadaError, match=r"^dev\[0\]: label 'z' does not occur in train. Set it to"):
        read_examples(GOOD, [{"text": "c", "label": "z"}], ONE)
    with pytest.raises(LadaError, match=r"^dev: holds the same examples as train\."):
        read_examples(GOOD, GOOD, ONE)
    read_examples(GOOD, [GOOD[0], {"text": "c", "label": "y"}], ONE)
    assert "1 of 2 dev examples are also in train" in caplog.text
