"""Texts without labels: what is read, what is left out, and what each kind learns from them."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers import Result, record_of, write_csv

from lada.data.batches import collate
from lada.data.source import load_task
from lada.data.split import Split, TaskData
from lada.data.tokens import Encoded, joined
from lada.data.unlabeled import read_unlabeled
from lada.errors import LadaError
from lada.heads import head_named

Cli = Callable[..., Result]
LABELS = {
    "single_label": np.array([0, 1]),
    "multi_label": np.ones((2, 3), np.float32),
    "regression": np.ones(2, np.float32),
    "tokens": [[[[0, 3], [4, 8]], [1, 0]], [[[0, 3], [4, 8]], [1, 0]]],
}


def task(kind: str = "single_label", pairs: bool = False, groups: Any = None) -> TaskData:
    """Two examples in each split."""

    def split(name: str, *texts: str) -> Split:
        second = [f"{text} too" for text in texts] if pairs else None
        return Split(name, texts, second, LABELS[kind], groups)

    return TaskData(
        task="csv",
        labels=("a", "b", "c"),
        metrics=(),
        train=split("train", "the soup", "the bread"),
        validation=split("validation", "the cold soup was not good", "old bread"),
        dev={"dev": split("dev", "we liked the  fresh bread", "hot tea")},
        kind=kind,
    )


def put(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines))
    return path


def test_texts_of_validation_and_dev_are_left_out(tmp_path: Path) -> None:
    given = [
        "old bread",  # the same
        "hot  tea",  # the same words
        "soup was not good",  # a phrase of three words or more in a sentence
        "the fresh bread",
    ]
    fresh = ["the soup", "new soup", "soup was", "hot tea and old bread", "was not good soup"]
    path = put(tmp_path / "more.txt", *given, *fresh)
    assert read_unlabeled(path, task(), "text", None).texts == fresh
    with pytest.raises(LadaError, match=r"^task.unlabeled_file=.*: every text is in the valid"):
        read_unlabeled(put(tmp_path / "none.txt", *given), task(), "text", None)


def test_pairs_are_left_out_if_both_texts_are_the_same(tmp_path: Path) -> None:
    rows = [("old bread", "old bread too"), ("old bread", "hot tea too"), ("hot tea", "hot tea")]
    path = write_csv(tmp_path / "more.csv", rows, ("a", "b"))
    found = read_unlabeled(path, task(pairs=True), "a", "b")
    assert list(zip(found.texts, found.pairs or [], strict=True)) == rows[1:]


@pytest.mark.parametrize("kind", list(LABELS))
def test_they_have_no_label(kind: str, tmp_path: Path) -> None:
    labels = read_unlabeled(
        put(tmp_path / "more.txt", "It's new."), task(kind), "text", None
    ).labels
    if kind == "tokens":
        assert labels == [[[(0, 2), (2, 3), (3, 4), (5, 8), (8, 9)], [-1] * 5]]
    elif kind == "single_label":
        assert labels.tolist() == [-100] and labels.dtype == np.int64
    else:
        assert labels.shape == (1, *LABELS[kind].shape[1:]) and np.isnan(labels).all()


def test_rerankers_are_told(tmp_path: Path) -> None:
    path = put(tmp_path / "more.txt", "new soup")
    with pytest.raises(LadaError, match="is not used for rerankers"):
        read_unlabeled(path, task("regression", groups=np.zeros(2, np.int64)), "text", None)


def test_other_kinds_are_told(tmp_path: Path) -> None:
    other = replace(task(), kind="embedding")
    with pytest.raises(LadaError, match=r"is not used by task.kind=embedding. Set task"):
        read_unlabeled(tmp_path / "more.txt", other, "text", None)


def test_columns_of_glue_tasks(tmp_path: Path) -> None:
    folder = tmp_path / "SST-2"
    folder.mkdir()
    for name in ("train", "dev"):
        rows = "".join(f"{name} film number {i}\t{i % 2}\n" for i in range(20))
        (folder / f"{name}.tsv").write_text("sentence\tlabel\n" + rows)
    more = put(tmp_path / "more.tsv", "id\tsentence", "1\ta long film", "2\tdev film number 3")
    data = load_task(
        "sst2", data_dir=str(tmp_path), validation_examples=5, unlabeled_file=str(more)
    )
    assert data.unlabeled is not None and data.unlabeled.texts == ["a long film"]
    assert (len(data.train), len(data.validation), len(data.unlabeled)) == (15, 5, 1)


@pytest.mark.parametrize(
    ("name", "lines", "advice"),
    [
        ("more.tsv", ["sentense", "a film"], "Correct the file: it needs the column 'sentence'."),
        ("more.jsonl", ['{"text": "a"}'], "Correct the file: it needs the column 'sentence'."),
        ("more.csv", ["id;sentence", "1;a film"], "Delimit its columns by ','."),
    ],
)
def test_columns_of_a_task_are_no_choice(
    name: str, lines: list[str], advice: str, tmp_path: Path
) -> None:
    """No message tells to set task.text or task.delimiter, which a GLUE task rejects."""
    more = put(tmp_path / name, *lines)
    with pytest.raises(LadaError) as caught:
        read_unlabeled(more, replace(task(), task="sst2"), "sentence", None)
    message = str(caught.value)
    assert message.startswith(str(more)) and message.endswith(advice)
    assert "task." not in message
    with pytest.raises(LadaError, match=r"(Correct task\.text|Set task\.delimiter=semicolon)"):
        read_unlabeled(more, task(), "sentence", None)  # task=csv


def test_the_demo_has_a_column_of_its_own(tmp_path: Path) -> None:
    more = put(tmp_path / "more.csv", "review", "new soup")
    with pytest.raises(LadaError, match=r"Correct the file: it needs the column 'text'\.$"):
        load_task("demo", data_dir=None, validation_examples=5, unlabeled_file=str(more))


def encoded(lengths: list[int], labels: Any, **more: Any) -> Encoded:
    starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
    ids = np.arange(starts[-1], dtype=np.int32)
    return Encoded(ids, starts, np.array(lengths, np.int32), labels, **more)


def test_joined_examples_are_those_of_both() -> None:
    words = np.array([-1, 0, 1, -1, 0], np.int32)
    parts = [
        encoded([3, 2], np.array([-100, 1, 0, -100, tag]), words=words, token_labels=True,
                source=np.array([0, 1])) for tag in (2, -1)
    ]  # fmt: skip
    both = joined(*parts)
    assert both.source is not None and both.source.tolist() == [0, 1, 2, 3]
    assert both.targets.tolist() == [2, 1, 2, 1]
    for number in range(4):
        alone = collate(parts[number // 2], np.array([number % 2]), 0)
        found = collate(both, np.array([number]), 0)
        for name in ("input_ids", "labels", "token_type_ids", "attention_mask"):
            assert torch.equal(alone[name], found[name])


@pytest.mark.parametrize("kind", ["single_label", "multi_label", "regression", "tokens"])
def test_labels_count_for_labelled_examples_alone(kind: str) -> None:
    """The loss from labels is that of the labelled half; the teacher's counts both halves."""
    head = head_named(kind, ("O", "B-A", "I-A"))
    width = 1 if kind == "regression" else 3
    shape = (4, 2, width) if kind == "tokens" else (4, width)
    student = torch.randn(shape, generator=torch.Generator().manual_seed(1), requires_grad=True)
    teacher = torch.randn(shape, generator=torch.Generator().manual_seed(2))
    known = {
        "single_label": torch.tensor([0, 2]),
        "multi_label": torch.tensor([[0.0, 1.0, 1.0], [1.0, 0.0, 0.0]]),
        "regression": torch.tensor([1.5, -2.0]),
        "tokens": torch.tensor([[1, -100], [0, 2]]),
    }[kind]
    none = {
        "single_label": torch.tensor([-100, -100]),
        "tokens": torch.tensor([[-1, -100], [-1, -1]]),
    }.get(kind, known * torch.nan)
    counts = {"totals": torch.tensor([4.0, 0.0, 0.0]), "targets": torch.tensor(6.0)}
    batch = {"labels": torch.cat([known, none]), **counts}
    half = head.hard(student[:2], {"labels": known, **counts})
    whole = head.hard(student, batch)
    torch.testing.assert_close(whole, half)
    (by_labels,) = torch.autograd.grad(whole, student)
    assert not by_labels[2:].any() and by_labels[:2].any()
    (by_teacher,) = torch.autograd.grad(head.soft(student, teacher, batch, 1.0), student)
    assert all(part.any() for part in by_teacher)


@pytest.mark.parametrize("method", ["finetune", "pruning", "factorization", "quantization"])
def test_a_method_without_a_teacher_is_told(method: str, tiny: list[str], train_py: Cli) -> None:
    own = ["target=none"] if method == "quantization" else []
    done = train_py(*tiny, f"method={method}", *own, "task.unlabeled_file=more.txt")
    assert done.code == 2
    assert done.err.count("\n") == 1
    assert f"since method={method} does not learn from a teacher" in done.err


@pytest.mark.parametrize(
    "kind", ["single_label", *(pytest.param(k, marks=pytest.mark.slow) for k in ("tokens",))]
)
def test_a_run(kind: str, tiny: list[str], train_py: Cli, tmp_path: Path) -> None:
    texts = [f"the film number {i} was {w}" for i in range(50) for w in ("great", "awful")]
    more = put(tmp_path / "more.txt", *texts)
    if kind == "tokens":
        tagged = [
            {"words": ["in", place, str(n)], "tags": ["O", "B-LOC", "O"]}
            for n in range(60)
            for place in ("Rome", "Oslo")
        ]
        files = [put(tmp_path / f"{n}.jsonl", *map(json.dumps, rows))
                 for n, rows in (("train", tagged[:100]), ("dev", tagged[100:]))]  # fmt: skip
        tiny = [word for word in tiny if not word.startswith(("task=", "task.train", "task.dev"))]
        tiny += ["task=conll", f"task.train_file={files[0]}", f"task.dev_file={files[1]}"]
    done = train_py(*tiny, f"task.unlabeled_file={more}", "teacher.margin=0")
    assert done.code == 0, done.err
    record = record_of(tmp_path / "out")
    found = record["data"]["unlabeled"]
    assert (found["rows"], found["file"]) == (100, "more.txt")
    assert str(tmp_path) not in json.dumps(record)
    total = record["data"]["train"]["rows"] + 100
    assert record["epochs"] == pytest.approx(record["steps"] * 32 / total, rel=0.1)
    (card,) = (tmp_path / "out").rglob("README.md")
    assert "and 100 texts without labels from `more.txt`" in card.read_text()
    assert set(record["artifact"]["scores"]) == {"dev"}
