"""Questions from SQuAD files, tables and JSON lines, and what can be wrong with them."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from lada.data.source import load_task
from lada.data.squad import (
    QuestionColumns,
    question_of,
    read_question_table,
    read_squad,
    split_questions,
)
from lada.errors import LadaError

KEY = "task.train_file"
CONTEXT = "Ada King  left\nRome. Ada stayed."


def _squad(*answers: tuple[int, str], **extra: Any) -> dict[str, Any]:
    given = [{"answer_start": start, "text": text} for start, text in answers]
    entry = {"id": "q7", "question": "Who?", "answers": given}
    paragraph = {"context": CONTEXT, "qas": [entry | extra]}
    return {"version": "2", "data": [{"title": "t", "paragraphs": [paragraph]}]}


def _put(path: Path, content: Any) -> Path:
    text = content if isinstance(content, str) else json.dumps(content)
    data = text.encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


@pytest.mark.parametrize("suffix", [".json", ".json.gz"])
def test_answers_are_parts_of_the_context(suffix: str, tmp_path: Path) -> None:
    (row,) = read_squad(_put(tmp_path / f"a{suffix}", _squad((0, "Ada King"), (21, "Ada"))), KEY)
    assert (row.id, row.question, row.context) == ("q7", "Who?", CONTEXT)
    assert row.answers == [(0, "Ada King"), (21, "Ada")]


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ((4, "King left"), (4, "King  left")),
        ((8, "left Rome"), (10, "left\nRome")),
        ((10, " left "), (10, "left")),
    ],
)
def test_whitespace_may_differ(given: tuple[int, str], found: Any, tmp_path: Path) -> None:
    (row,) = read_squad(_put(tmp_path / "a.json", _squad(given)), KEY)
    assert row.answers == [found]
    start, text = found
    assert row.context[start : start + len(text)] == text


def test_impossible_questions_have_no_answer(tmp_path: Path) -> None:
    plausible = [{"answer_start": 0, "text": "Ada"}]
    whole = _squad(is_impossible=True, plausible_answers=plausible)
    assert read_squad(_put(tmp_path / "a.json", whole), KEY)[0].answers == []


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{\n]", "a.json line 2: is not JSON"),
        ({"version": 1}, "a.json: has no list 'data'"),
        ([1], "a.json: has no list 'data'"),
        ({"data": []}, "has no questions"),
        ({"data": [3]}, "a.json: data[0]: is not an object"),
        ({"data": [{"paragraphs": [{}]}]}, "a.json: data[0].paragraphs[0]: has no text 'context'"),
        ({"data": [{"paragraphs": [{"context": "x"}]}]},
         "a.json: data[0].paragraphs[0]: has no list 'qas'"),
        ({"data": [{"paragraphs": [{"context": "x", "qas": [{}]}]}]},
         "a.json: data[0].paragraphs[0].qas[0]: has no text 'question'"),
        (_squad((1, "Ada")), "question 'q7': the answer 'Ada' does not stand in its context at "
                             "character 1; it stands at 0."),
        (_squad((0, "Bob")), "it does not stand there at all"),
        (_squad((-1, "Ada")), "at character -1; it stands at 0"),
        (_squad((999, "Ada")), "at character 999"),
        (_squad((0, "")), "has the start 0 and the text ''"),
        (_squad((True, "Ada")), "has the start True"),
        (_squad(answers={"text": []}), "its answers are not a list of objects"),
        (_squad(question=" "), "its question is empty"),
        (_squad(question="\ud800"), "surrogate"),
    ],
)  # fmt: skip
def test_wrong_files_are_named(content: Any, said: str, tmp_path: Path) -> None:
    with pytest.raises(LadaError) as caught:
        read_squad(_put(tmp_path / "a.json", content), KEY)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


ROWS = [("Who?", CONTEXT, "Ada", 21), ("When?", CONTEXT, "", "")]


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".jsonl.gz"])
def test_tables(suffix: str, tmp_path: Path) -> None:
    names = QuestionColumns("q", "c", "a", "s")
    if suffix.startswith(".jsonl"):
        rows = [dict(zip(names, row, strict=True)) for row in ROWS]
        rows[1] |= {"a": None, "s": None}
        text = "\n".join(map(json.dumps, rows))
    else:
        by = "," if suffix == ".csv" else "\t"
        text = "".join(by.join(f'"{v}"' for v in row) + "\n" for row in (names, *ROWS))
    found = read_question_table(_put(tmp_path / f"a{suffix}", text), KEY, names)
    assert [row[1:] for row in found] == [
        ("0", "Who?", CONTEXT, [(21, "Ada")]),
        ("1", "When?", CONTEXT, []),
    ]


def test_answers_in_one_key() -> None:
    row = {"id": "x", "question": "Who?", "context": CONTEXT}
    both = {"text": ["Ada", "Ada King"], "answer_start": [0, 0]}
    assert question_of("a", 0, row | {"answers": both}).answers == [(0, "Ada"), (0, "Ada King")]
    assert question_of("a", 0, row | {"answers": {"text": [], "answer_start": []}}).answers == []
    assert question_of("a", 0, row | {"answer": "Ada", "answer_start": -1}).answers == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"question": 3}, "a: has no text 'question'"),
        ({"answers": {"text": ["Ada"], "answer_start": []}}, "two lists of the same length"),
        ({}, "has no 'answer'"),
        ({"answer": "Ada"}, "has no 'answer_start'"),
        ({"answer": "Ada", "answer_start": "one"}, "has the start 'one'"),
        ({"answer": "Ada", "answer_start": 0.0}, "has the start 0.0"),
    ],
)
def test_wrong_rows_are_named(change: dict[str, Any], said: str) -> None:
    with pytest.raises(LadaError) as caught:
        question_of("a", 0, {"question": "Who?", "context": CONTEXT} | change)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.csv", "question,context,answer\na,b,c\n", "has no column 'answer_start'"),
        ("a.csv", "question,context,answer,answer_start\n", "has no questions"),
        ("a.csv", "question,context,answer,answer_start\na,b,c,0\n", "a.csv line 2: the answer"),
        ("a.xls", "question", "has no known suffix"),
        ("a.jsonl", "3\n", "a.jsonl line 1: '3' is not a JSON object"),
        ("a.jsonl", "\n\n", "has no examples"),
        ("a.jsonl", '{"a": 1, "a": 2}', "a.jsonl line 1: has 'a' twice"),
    ],
)
def test_wrong_tables_are_named(name: str, text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(LadaError) as caught:
        read_question_table(_put(tmp_path / name, text), KEY)
    assert said in str(caught.value)


def test_splits(tmp_path: Path) -> None:
    train = read_squad(_put(tmp_path / "a.json", _squad((0, "Ada"))), KEY)
    dev = read_squad(_put(tmp_path / "b.json", _squad((4, "King"))), KEY)
    names = {"train": "a.json", "dev": "b.json"}
    found = split_questions({"train": train, "dev": dev}, names)
    assert (found["train"].texts, found["train"].pairs) == (["Who?"], [CONTEXT])
    assert [found[name].labels for name in names] == [[[(0, "Ada")]], [[(4, "King")]]]
    with pytest.raises(LadaError, match=r"^b\.json: holds the same examples as a\.json"):
        split_questions({"train": train, "dev": train}, names)
    with pytest.raises(LadaError, match=r"^a\.json: has no answers"):
        split_questions({"train": [train[0]._replace(answers=[])], "dev": dev}, names)


def _articles(contexts: int, questions: int, start: int = 0) -> dict[str, Any]:
    paragraphs = []
    for number in range(start, start + contexts):
        context = f"Ada {number} left."
        answers = [{"answer_start": 0, "text": f"Ada {number}"}]
        qas = [{"question": f"Who {n}?", "answers": answers} for n in range(questions)]
        paragraphs.append({"context": context, "qas": qas})
    return {"data": [{"paragraphs": paragraphs}]}


def test_the_task_keeps_the_questions_on_a_context_together(tmp_path: Path) -> None:
    train = _put(tmp_path / "train.json.gz", _articles(20, 3))
    dev = _put(tmp_path / "dev.json", _articles(2, 1, start=50))
    files = {"train_file": str(train), "dev_file": str(dev)}
    for split_by in ("auto", "example"):
        data = load_task("squad", data_dir=None, validation_examples=8, split_by=split_by, **files)
        assert (data.kind, data.metrics) == ("spans", ("exact_match", "answer_f1"))
        assert (len(data.train), len(data.validation), len(data.dev["dev"])) == (51, 9, 2)
        assert not set(data.train.pairs or ()) & set(data.validation.pairs or ())
        text = data.validation.pairs[0].removesuffix(" left.")  # type: ignore[index]
        assert data.validation.labels[0] == [(0, text)]
        assert len(data.train.digest) == 64


def test_the_task_reads_tables(tmp_path: Path) -> None:
    train, dev = (
        _put(tmp_path / f"{name}.jsonl", "\n".join(map(json.dumps, rows)))
        for name, rows in (
            ("train", [{"question": f"Who {n}?", "context": f"Ada {n}.", "answer": "Ada",
                        "answer_start": 0} for n in range(20)]),
            ("dev", [{"question": "Who?", "context": "Ada.", "answers": {
                "text": ["Ada", "Ada."], "answer_start": [0, 0]}}]),
        )
    )  # fmt: skip
    data = load_task(
        "squad", data_dir=None, validation_examples=2, train_file=str(train), dev_file=str(dev)
    )
    assert (len(data.train), data.dev["dev"].labels) == (18, [[(0, "Ada"), (0, "Ada.")]])
    with pytest.raises(LadaError, match=r"^task\.dev_file=null: task squad needs it"):
        load_task("squad", data_dir=None, validation_examples=2, train_file=str(train))


def test_questions_without_answers_join_the_training(tmp_path: Path) -> None:
    train = _put(tmp_path / "train.json", _articles(20, 1))
    dev = _put(tmp_path / "dev.json", _articles(2, 1, start=50))
    rows = [("Who?", "Bob left."), ("Who 0?", "Ada 50 left.")]
    text = "\n".join(json.dumps({"question": q, "context": c}) for q, c in rows)
    more = _put(tmp_path / "more.jsonl", text)
    data = load_task(
        "squad",
        data_dir=None,
        validation_examples=2,
        train_file=str(train),
        dev_file=str(dev),
        test_file=str(train.with_name("dev.json")),
        unlabeled_file=str(more),
    )
    assert data.unlabeled is not None and list(data.dev) == ["dev", "test"]
    assert (data.unlabeled.texts, data.unlabeled.labels) == (["Who?"], [None])
    assert data.unlabeled.pairs == ["Bob left."]
