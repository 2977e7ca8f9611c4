"""Probabilities that another model gave: what is read, what is rejected, and what is learned."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers import Result, record_of, sentences
from torch import Tensor

from lada.data.batches import collate
from lada.data.columns import by_key
from lada.data.examples import read_examples
from lada.data.probabilities import column_probabilities, given_outputs, probabilities
from lada.data.source import load_task
from lada.data.split import given_digest
from lada.data.table import Columns, load_table
from lada.data.tokens import Encoded, joined
from lada.errors import LadaError
from lada.heads import head_named

Cli = Callable[..., Result]
NONE = math.nan


def write_rows(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_probabilities_of_lists_and_columns() -> None:
    wheres = ["f line 2", "f line 3", "f line 4"]
    expected = np.array([[0.25, 0.75], [1, 0], [0.5, 0.5]], dtype=np.float32)
    found = probabilities(["[0.25, 0.75]", [1, 0], np.array([0.5, 0.5])], wheres, ("a", "b"))
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, expected)
    columns: dict[str, Any] = {"b": ["0.75", "0", "0.5"], "a": [0.25, 1, 0.5]}
    np.testing.assert_array_equal(column_probabilities(columns, wheres, ("a", "b")), expected)


def test_rounded_probabilities_sum_to_1() -> None:
    found = probabilities([[0.333, 0.333, 0.3335]], ["x"], ("a", "b", "c"))
    np.testing.assert_allclose(found.sum(), 1, rtol=1e-6)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ([0.5, 0.4], "sum to 0.9, not 1"),
        ([0.5, 0.502], "sum to 1.002, not 1"),
        ([-0.5, 1.5], "'-0.5' is not a probability"),
        ([float("nan"), 1], "'nan' is not a probability"),
        ("[Infinity, 0]", "'inf' is not a probability"),
        ([True, 0], "'True' is not a probability"),
        ([None, 1], "'None' is not a probability"),
        ([0.2, 0.3, 0.5], "has 3 probabilities, but there are 2 classes. .*'a', 'b'"),
        ("0.5 0.5", "'0.5 0.5' is not a list of probabilities"),
        (0.5, "'0.5' is not a list"),
    ],
)
def test_what_are_no_probabilities_is_named(value: Any, said: str) -> None:
    with pytest.raises(LadaError, match=rf"^f line 2: .*{said}"):
        probabilities([value], ["f line 2"], ("a", "b"))


def test_columns_are_those_of_the_classes() -> None:
    with pytest.raises(LadaError, match=r"has probabilities of 'a', 'c', but the classes are 'a'"):
        column_probabilities({"a": [1], "c": [0]}, ["f line 2"], ("a", "b"))
    with pytest.raises(LadaError, match=r"^f line 2: 'much' is not a probability"):
        column_probabilities({"a": ["much"], "b": [0]}, ["f line 2"], ("a", "b"))


def test_probabilities_of_several_labels_need_not_sum_to_1() -> None:
    found = probabilities([[0.9, 0.8]], ["line 2"], ("a", "b"), apart=True)
    np.testing.assert_array_equal(found, np.array([[0.9, 0.8]], np.float32))
    with pytest.raises(LadaError, match=r"^line 2: 1.5 is not a probability. Give numbers from 0"):
        probabilities([[0.9, 1.5]], ["line 2"], ("a", "b"), apart=True)


@pytest.mark.parametrize(
    ("kind", "column", "fields", "expected"),
    [
        ("single_label", "p", [["[0.25, 0.75]"], [""], [None]], [[0.25, 0.75], [NONE] * 2]),
        ("single_label", '["b", "a"]', [["0.75", "0.25"], ["", " "]], [[0.25, 0.75], [NONE] * 2]),
        ("multi_label", "p", [[[1.0, 0.75]], [NONE]], [[1, 0.75], [NONE] * 2]),
        ("regression", "p", [["-3.5"], [""], [2]], [[-3.5], [NONE], [2]]),
    ],
)
def test_an_empty_field_is_no_prediction(
    kind: str, column: str, fields: list[list[Any]], expected: list[list[float]]
) -> None:
    wheres = [f"line {number}" for number in range(len(fields))]
    found = given_outputs(kind, fields, wheres, column, ("a", "b"))
    np.testing.assert_array_equal(found[:2], expected[:2])
    assert len(found) == len(fields)


def test_kinds_without_such_predictions_are_told() -> None:
    for kind in ("tokens", "spans", "embedding"):
        with pytest.raises(LadaError, match=rf"^task.probabilities=p: is not used by .*={kind}"):
            given_outputs(kind, [["[1]"]], ["x"], "p", ("a",))
    with pytest.raises(LadaError, match=r"names 2 columns, but task.kind=regression has one"):
        given_outputs("regression", [["1", "2"]], ["x"], '["p", "q"]', ("score",))


ROWS = [
    {"text": f"text {n}", "label": "ba"[n % 2], "p": [0.25, 0.75] if n % 2 == 0 else None}
    for n in range(8)
]


def test_files_and_objects_have_the_same_probabilities(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    datasets = pytest.importorskip("datasets")
    columns = Columns("text", None, "label", probabilities="p")
    dev = [{"text": "another", "label": "a"}]  # it has no such column, and needs none
    rows = write_rows(tmp_path / "train.jsonl", ROWS)
    header = "text\tlabel\tp\n"
    lines = [f"{r['text']}\t{r['label']}\t{r['p'] or ''}\n" for r in ROWS]
    (tmp_path / "train.tsv").write_text(header + "".join(lines))
    forms = [
        rows, tmp_path / "train.tsv", ROWS, pandas.DataFrame(ROWS), datasets.Dataset.from_list(ROWS)
    ]  # fmt: skip
    expected = np.array([[0.25, 0.75], [NONE, NONE]] * 4, np.float32)
    for form in forms:
        found = read_examples(form, dev, columns)
        np.testing.assert_array_equal(found.train.given, expected)
        assert found.dev.given is None
        assert (
            found.train.digest
            == read_examples(ROWS, dev, Columns("text", None, "label")).train.digest
        )
    _, _, train, _ = load_table(rows, write_rows(tmp_path / "dev.jsonl", dev), columns)
    np.testing.assert_array_equal(train.given, expected)


def test_a_wrong_order_is_noticed(caplog: pytest.LogCaptureFixture) -> None:
    columns = Columns("text", None, "label", probabilities="p")
    dev = [{"text": "another", "label": "a"}]
    caplog.set_level("INFO", logger="lada")
    read_examples(ROWS, dev, columns)
    assert "4 of 8 training examples have column p; its correlation with the labels is 1.00" in (
        caplog.text
    )
    assert "another order" not in caplog.text
    read_examples([{**row, "p": [0.75, 0.25]} for row in ROWS if row["p"]] + ROWS[1::2], dev,
                  Columns("text", None, "label", probabilities="p"))  # fmt: skip
    assert "Are the classes in another order?" in caplog.text
    with pytest.raises(LadaError, match=r"^task.probabilities=p: is empty in every training"):
        read_examples([{**row, "p": ""} for row in ROWS], dev, columns)


def test_they_stay_with_their_examples(tmp_path: Path) -> None:
    """Through the cut of the validation split, texts without labels, tokens and batches."""
    rows = [{"text": f"text {n}", "label": n % 2, "0": 1 - n / 64, "1": n / 64} for n in range(40)]
    more = [{"text": f"more {n}", "0": "", "1": None} for n in range(3)]
    more[1] |= {"0": 0.125, "1": 0.875}
    data = load_task(
        "csv",
        data_dir=None,
        validation_examples=8,
        train_file=str(write_rows(tmp_path / "train.jsonl", rows)),
        dev_file=str(write_rows(tmp_path / "dev.jsonl", [{"text": "another", "label": 1}])),
        unlabeled_file=str(write_rows(tmp_path / "more.jsonl", more)),
        text="text",
        label="label",
        probabilities='["0", "1"]',
    )
    assert data.unlabeled is not None and len(data.train) == 32
    for split in (data.train, data.validation):
        expected = [int(text.split()[1]) / 64 for text in split.texts]
        assert split.given is not None and split.given[:, 1].tolist() == expected
    np.testing.assert_array_equal(
        data.unlabeled.given, np.array([[NONE] * 2, [0.125, 0.875], [NONE] * 2], np.float32)
    )

    def encoded(count: int, given: Any) -> Encoded:
        return Encoded(
            np.arange(count, dtype=np.int32),
            np.arange(count + 1),
            np.ones(count, np.int32),
            np.zeros(count, np.int64),
            given=given,
        )

    first, second = encoded(32, data.train.given), encoded(3, data.unlabeled.given)
    batch = collate(joined(first, second), np.array([0, 33, 34]), 0)
    assert batch["given"].dtype == torch.float32
    np.testing.assert_array_equal(batch["given"][1], [0.125, 0.875])
    np.testing.assert_array_equal(batch["given"][0], first.given[0])  # type: ignore[index]
    assert "given" not in collate(encoded(2, None), np.array([0]), 0)
    half = joined(encoded(2, None), second)
    np.testing.assert_array_equal(half.given, np.concatenate([np.full((2, 2), NONE), second.given]))  # type: ignore[list-item]
    # The examples are the same with other predictions, but a run is not.
    assert given_digest(data) is not None


def reference(kind: str, teacher: Tensor, given: Tensor, weight: float) -> Tensor:
    """The mixture of one row, as probabilities or numbers, written out."""
    if kind == "numbers":
        return (1 - weight) * teacher + weight * given
    theirs = torch.exp(teacher) / torch.exp(teacher).sum()
    if kind == "multi_label":
        theirs = 1 / (1 + torch.exp(-teacher))
    return (1 - weight) * theirs + weight * given


@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("kind", ["single_label", "multi_label", "numbers"])
def test_the_teacher_is_mixed_with_what_is_given(kind: str, weight: float) -> None:
    head = head_named("regression" if kind == "numbers" else kind, ("a", "b", "c"))
    draw = torch.Generator().manual_seed(1)
    teacher = 3 * torch.randn(5, 3, generator=draw)
    given = torch.rand(5, 3, generator=draw).softmax(-1)
    given[3] = torch.nan
    found = head.mixed(teacher, given, weight)
    assert torch.equal(found[3], teacher[3])  # the teacher alone, to the last bit
    read: dict[str, Callable[[Tensor], Tensor]] = {
        "single_label": lambda x: x.softmax(-1),
        "multi_label": torch.sigmoid,
        "numbers": lambda x: x,
    }
    for row in (0, 1, 2, 4):
        torch.testing.assert_close(
            read[kind](found[row]), reference(kind, teacher[row], given[row], weight),
            atol=2e-6, rtol=1e-5,
        )  # fmt: skip
    if weight == 0:
        torch.testing.assert_close(found, teacher, atol=1e-4, rtol=1e-4)


def test_sure_predictions_are_finite() -> None:
    sure = torch.tensor([[1.0, 0.0]])
    for kind in ("single_label", "multi_label"):
        found = head_named(kind, ("a", "b")).mixed(torch.tensor([[-50.0, 50.0]]), sure, 1.0)
        assert found.isfinite().all() and found[0, 0] > found[0, 1]
    for kind in ("tokens", "spans", "embedding"):
        with pytest.raises(TypeError, match="are not mixed"):
            head_named(kind, ("O",)).mixed(sure, sure, 0.5)


def inverted(rows: int, seed: int) -> list[dict[str, Any]]:
    """Examples whose predictions say the contrary of their labels."""
    names = ("bad", "good")
    return [
        {
            "text": text,
            "label": label,
            "bad": float(label == names[1]),
            "good": float(label == names[0]),
        }
        for text, label in sentences(rows, seed)
    ]


def test_a_student_learns_what_is_given_instead_of_the_teacher(
    tiny: list[str],
    train_py: Cli,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """With a weight of 1 and predictions that are the contrary, its answers are the contrary."""
    file = write_rows(tmp_path / "train.jsonl", inverted(320, 1))
    tiny = [word for word in tiny if not word.startswith("task.train_file")]
    done = train_py(
        *tiny, "distill=prediction", f"task.train_file={file}", "optim.epochs=8",
        "task.probabilities=[bad,good]", "task.probabilities_weight=1",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert "Are the classes in another order?" in caplog.text
    record = record_of(tmp_path / "out")
    assert record["teacher"]["scores"]["dev"]["accuracy"] > 0.9
    assert record["artifact"]["scores"]["dev"]["accuracy"] < 0.3
    given = record["data"]["probabilities"]
    assert (given["rows"], given["weight"]) == (record["data"]["train"]["rows"], 1)
    (card,) = (tmp_path / "out").rglob("README.md")
    assert (
        f"For {given['rows']} examples another model's predictions were given; they have 100 %"
        in (card.read_text())
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["method=finetune", "task.probabilities=p"], "since method=finetune does not learn from"),
        (
            ["task.probabilities=label"],
            "task.label=label: task.probabilities names the same",
        ),
        (["task.probabilities=nothing"], "has no column 'nothing'"),
    ],
)
def test_what_is_not_used_or_not_there_is_told(
    words: list[str], said: str, tiny: list[str], train_py: Cli
) -> None:
    done = train_py(*tiny, *words)
    assert done.code == 2 and done.err.count("\n") == 1
    assert said in done.err


def test_logits_are_no_sigmoids(tiny: list[str], train_py: Cli, tmp_path: Path) -> None:
    """Labels of 0 and 1 make a number a sigmoid: logits of another model are not clamped."""
    made = sentences(64, 1)
    rows = [
        {"text": text, "label": int(label == "good"), "p": [2.5, None, -3.0][n % 3]}
        for n, (text, label) in enumerate(made)
    ]
    file = write_rows(tmp_path / "train.jsonl", rows[:48])
    dev = write_rows(tmp_path / "dev.jsonl", rows[48:])
    done = train_py(
        *tiny, "task.kind=regression", f"task.train_file={file}", f"task.dev_file={dev}",
        "task.probabilities=p",
    )  # fmt: skip
    assert done.code == 2 and done.err.count("\n") == 1
    assert "task.probabilities: has numbers from -3 to 2.5, and those of this task are" in done.err


def test_columns_by_key() -> None:
    columns = Columns("text", None, "label", probabilities='["x", "y"]')
    assert by_key("task.probabilities", '["x", "y"]').items() <= columns.by_key().items()
    assert list(columns.by_key())[-1] == "task.label"
    assert columns.scored.by_key() == {"task.text": "text", "task.label": "label"}
