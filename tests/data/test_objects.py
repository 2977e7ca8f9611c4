"""Examples of task=squad and task=conll as Python objects and files."""

import json
from pathlib import Path
from typing import Any

import pytest

from lada.data.objects import examples_of
from lada.errors import LadaError

QUESTIONS = [
    {"question": f"Who {n}?", "context": f"Ada {n} left.", "answer": f"Ada {n}", "answer_start": 0}
    for n in range(3)
]
SCORED = [{"text": f"a {n}", "text_pair": f"b {n}", "label": n / 2} for n in range(3)]
WORDS = [{"words": ["Ada", f"x{n}"], "tags": ["B-PER", "O"]} for n in range(3)]
GIVEN: dict[str, list[dict[str, Any]]] = {"squad": QUESTIONS, "conll": WORDS}


def lines(file: Path, rows: list[dict[str, Any]]) -> Path:
    file.write_text("\n".join(map(json.dumps, rows)))
    return file


@pytest.mark.parametrize("task", GIVEN)
def test_objects_and_files_are_the_same(task: str, tmp_path: Path) -> None:
    first, second, third = GIVEN[task]
    found = examples_of(task, {"train": [first, second], "dev": iter([third]), "test": [first]})
    files = {
        "train": str(lines(tmp_path / "train.jsonl", [first, second])),
        "dev": lines(tmp_path / "dev.jsonl", [third]),
    }
    read = examples_of(task, files)
    assert read.test is None and found.test is not None and found.test.name == "test"
    assert (found.labels, found.kind) == (read.labels, read.kind)
    assert found.train.digest == read.train.digest and found.dev.digest == read.dev.digest
    assert found.kind == {"squad": "spans", "conll": "tokens"}[task]


def test_a_data_set() -> None:
    datasets = pytest.importorskip("datasets")
    rows = [
        {"question": row["question"], "context": row["context"],
         "answers": {"text": [row["answer"]], "answer_start": [0]}}
        for row in QUESTIONS
    ]  # fmt: skip
    found = examples_of("squad", {"train": datasets.Dataset.from_list(rows), "dev": rows[:1]})
    assert found.train.labels == [[(0, row["answer"])] for row in QUESTIONS]


@pytest.mark.parametrize(
    ("train", "said"),
    [
        ({"a": 1}, "train: is of type dict. Give a list of dicts."),
        (3, "train: is of type int."),
        ([], "train: has no questions."),
        ([QUESTIONS[0], "x"], "train[1]: is of type str. Give {"),
        ([{**QUESTIONS[0], "answer_start": 4}], "train[0]: the answer 'Ada 0' does not stand"),
        ([{**QUESTIONS[0], "answer": ""}], "train: has no answers."),
    ],
)
def test_wrong_questions_are_named(train: Any, said: str) -> None:
    with pytest.raises(LadaError) as caught:
        examples_of("squad", {"train": train, "dev": QUESTIONS[:1]})
    assert str(caught.value).startswith(said)


def test_texts_and_pairs(tmp_path: Path) -> None:
    texts = ["one text", "another", "one text", "a 1"]
    found = examples_of("texts", {"train": texts, "dev": SCORED, "test": iter(SCORED[1:])})
    file = tmp_path / "train.txt"
    file.write_text("\n".join(texts))
    read = examples_of("texts", {"train": file, "dev": lines(tmp_path / "dev.jsonl", SCORED)})
    assert list(found.train.texts) == ["one text", "another"]
    assert found.train.digest == read.train.digest and found.dev.digest == read.dev.digest
    assert (found.kind, found.labels, read.test) == ("embedding", (), None)
    assert found.test is not None and found.test.labels.tolist() == [0.5, 1.0]
    dicts = examples_of("texts", {"train": [{"text": text} for text in texts], "dev": SCORED})
    assert dicts.train.digest == found.train.digest


@pytest.mark.parametrize(
    ("train", "said"),
    [
        (b"a text", "train: is of type bytes. Give a list of texts."),
        ([], "train: has no texts."),
        (["a", 3], "train[1]: has no text 'text'. Give strings"),
        ([{"words": "a"}], "train[0]: has no text 'text'."),
        (["a", " "], "train[1]: 'text' is empty."),
    ],
)
def test_wrong_texts_are_named(train: Any, said: str) -> None:
    with pytest.raises(LadaError) as caught:
        examples_of("texts", {"train": train, "dev": SCORED})
    assert str(caught.value).startswith(said)
