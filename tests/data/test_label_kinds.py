"""Sets of labels and numbers as labels, and which kind a column is."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lada.config import TaskConfig, from_values
from lada.data.examples import read_examples
from lada.data.label_kinds import (
    check_kind,
    check_varied,
    group_ids,
    indicator_sets,
    label_names,
    label_sets,
    likely_kind,
    multi_hot,
    numbers,
)
from lada.data.table import Columns, load_table
from lada.errors import LadaError

SETS = [{"a", "b"}, set(), {"c"}]
WHERES = ["f line 2", "f line 3", "f line 4"]


@pytest.mark.parametrize(
    ("values", "separator"),
    [
        ([["a", "b"], [], ["c"]], None),
        (['["a", "b"]', "[]", '[" c "]'], None),
        (['["a", "b"]', "", '["c"]'], None),
        (["a|b", "", "c"], "|"),
        (["a, b", " ", "c"], ","),
        ([np.array(["a", "b"]), np.array([]), np.array(["c"])], None),
    ],
)
def test_all_forms_of_sets(values: list[Any], separator: str | None) -> None:
    assert label_sets(values, WHERES, separator) == SETS


def test_indicator_columns() -> None:
    columns = {"a": ["1", "0", "0"], "b": [True, False, False], "c": [0, 0, 1]}
    assert indicator_sets(columns, WHERES) == SETS
    with pytest.raises(LadaError, match=r"^f line 3: column 'a' is '2'. Give 1"):
        indicator_sets({"a": ["1", "2", "0"]}, WHERES)


@pytest.mark.parametrize(
    ("value", "separator", "said"),
    [
        ("a|b", None, r"'a\|b' is not a list of labels. Give a list .* task.separator"),
        (3, None, "3 is not a list"),
        (None, None, "None is not a list"),
        ('{"a": 1}', None, "is not a list"),
        ('["a", ""]', None, "the label '' is not a name"),
        ("[1.5]", None, "the label 1.5 is not a name"),
        ("[true]", None, "the label True is not a name"),
        ("a||b", "|", "the label '' is not a name"),
        ("a|a", "|", "has the label 'a' twice"),
    ],
)
def test_wrong_sets_are_named(value: Any, separator: str | None, said: str) -> None:
    with pytest.raises(LadaError, match=f"^f line 2: .*{said}"):
        label_sets([value], WHERES[:1], separator)


def test_names_and_multi_hot() -> None:
    sets = label_sets([[10, 9], [], [2]], WHERES)
    names = label_names(sets, "train")
    assert names == ("2", "9", "10")
    hot = multi_hot(sets, names, WHERES, "train")
    assert hot.dtype == np.float32
    assert hot.tolist() == [[0, 1, 1], [0, 0, 0], [1, 0, 0]]
    with pytest.raises(LadaError, match=r"^f line 2: label '7' does not occur in train\. .*'2'"):
        multi_hot([frozenset("7")], names, WHERES[:1], "train")


@pytest.mark.parametrize(("labels", "said"), [("", "no labels"), ("a", "one label only, 'a'")])
def test_one_label_is_not_enough(labels: str, said: str) -> None:
    with pytest.raises(LadaError, match=f"^train: has {said}"):
        label_names([frozenset(labels)], "train")


def test_numbers() -> None:
    found = numbers(["1", " -2.5 ", 3, 0.25, ".5", "1e2"], ["x"] * 6, "score")
    assert found.dtype == np.float32
    assert found.tolist() == [1, -2.5, 3, 0.25, 0.5, 100]


@pytest.mark.parametrize("value", ["", "x", "nan", "inf", "1_0", float("nan"), None, True, "1e99"])
def test_what_is_no_number_is_named(value: Any) -> None:
    with pytest.raises(LadaError, match=r"^f line 2: column 'score' is .* not a finite number"):
        numbers([value], WHERES[:1], "score")


def test_numbers_that_are_all_the_same() -> None:
    check_varied(np.array([1, 2], dtype=np.float32), "train", "score")
    with pytest.raises(LadaError, match=r"^train: column 'score' is 1.5 in every example"):
        check_varied(np.full(3, 1.5, dtype=np.float32), "train", "score")


def test_groups() -> None:
    found = group_ids(["b", "a", "b", "c"])
    assert (found.dtype, found.tolist()) == (np.int64, [0, 1, 0, 2])


FLOATS = [f"{n / 5:.3f}" for n in range(26)]
HUNDRED = [str(n) for n in range(100)]


@pytest.mark.parametrize(
    ("values", "kind", "sure"),
    [
        (["good", "bad"], "single_label", True),
        (["0", "1", "2"], "single_label", True),
        (["1.0", "0.0"], "single_label", True),
        ([True, False], "single_label", True),
        (HUNDRED * 2, "single_label", True),
        (HUNDRED, "regression", False),
        (FLOATS, "regression", False),
        ([0.5, 1.5], "regression", False),
        ([["a"], []], "multi_label", True),
        ([json.dumps(["a"]), "[]", ""], "multi_label", True),
        (["a|b", "a", ""], "multi_label", False),
        (["27", "2,27", "3"], "multi_label", False),
        (["Paris, France", "Rome, Italy"], "single_label", True),
        (["a|", "b"], "single_label", True),
    ],
)
def test_likely_kinds(values: list[Any], kind: str, sure: bool) -> None:
    found = likely_kind(values)
    assert (found.kind, found.sure) == (kind, sure)


def test_messages_name_the_kinds() -> None:
    with pytest.raises(LadaError) as caught:
        check_kind(FLOATS, "score")
    assert str(caught.value).startswith(
        "task.label=score: has 26 different numbers. Set task.kind=regression, or "
    )
    with pytest.raises(LadaError, match=r"such as 'a\|b'\. Set task.kind=multi_label and .*'\|'"):
        check_kind(["a|b", "a"], "topics")
    assert check_kind(["x", "y"], "label") == "single_label"


ROWS: list[dict[str, Any]] = [
    {"text": "a", "joy": 1, "anger": 0, "x": 5},
    {"text": "b", "joy": 0, "anger": 1, "x": 5},
    {"text": "c", "joy": 0, "anger": 0, "x": 5},
]
TWO = Columns("text", None, '["joy", "anger"]')


@pytest.mark.parametrize("form", ["csv", "jsonl", "booleans", "list", "pandas"])
def test_a_column_of_0_and_1_for_each_label(form: str, tmp_path: Path) -> None:
    dev: list[dict[str, Any]] = [{"text": "d", "joy": 1, "anger": 1}]
    if form in ("list", "pandas"):
        given = pd.DataFrame(ROWS) if form == "pandas" else ROWS
        found = read_examples(given, dev, TWO)
        kind, labels, train, others = found.kind, found.labels, found.train, {"dev": found.dev}
    else:
        (tmp_path / "dev.jsonl").write_text(json.dumps(dev[0]))
        path = tmp_path / ("train.csv" if form == "csv" else "train.jsonl")
        if form == "csv":
            pd.DataFrame(ROWS).to_csv(path, index=False)
        else:
            rows = ROWS if form == "jsonl" else [
                {k: bool(v) if k in ("joy", "anger") else v for k, v in row.items()} for row in ROWS
            ]  # fmt: skip
            path.write_text("\n".join(map(json.dumps, rows)))
        kind, labels, train, others = load_table(path, tmp_path / "dev.jsonl", TWO)
    assert (kind, labels) == ("multi_label", ("joy", "anger"))  # in the order given
    assert train.labels.tolist() == [[1, 0], [0, 1], [0, 0]]
    assert others["dev"].labels.tolist() == [[1, 1]]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([{**ROWS[0], "joy": 2}], r"^train\[0\]: column 'joy' is '2'. Give 1 if"),
        ([{**ROWS[0], "joy": ""}], r"^train\[0\]: column 'joy' is empty"),
        ([{"text": "a", "joy": 1}], r"^train\[0\]: has no column 'anger'.*Correct task.label\[1\]"),
        ([ROWS[0], ROWS[2]], r"^train: column 'anger' is 0 in every example. Leave it out"),
    ],
)
def test_wrong_columns_of_0_and_1(rows: list[dict[str, Any]], said: str) -> None:
    with pytest.raises(LadaError, match=said):
        read_examples(rows, ROWS, TWO)


def test_several_columns_are_labels_of_their_own() -> None:
    assert TaskConfig(label=["a", 'b"']).label == '["a", "b\\""]'
    with pytest.raises(LadaError, match=r"^task.label=\[1, 2\]: must be a column or a list"):
        from_values({"task": {"label": [1, 2]}})
    with pytest.raises(LadaError, match=r"^task.label=\['a'\]: must be a column or a list of two"):
        TaskConfig(label=["a"])
    with pytest.raises(LadaError, match=r"^task.kind=single_label: task.label names 2 columns"):
        Columns("text", None, TWO.label, kind="single_label")
    with pytest.raises(LadaError, match=r"^task.separator=,: task.label names a column for each"):
        Columns("text", None, TWO.label, separator=",")
    with pytest.raises(LadaError, match=r"^task.label\[1\]=text: task.text names the same column"):
        Columns("text", None, '["joy", "text"]')
