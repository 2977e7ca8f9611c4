"""Tagged words from CoNLL files, JSON lines and Python objects, and what can be wrong with them."""

import gzip
import json
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pandas
import pytest

from lada.data.conll import read_conll, read_tagged
from lada.data.source import load_tagged
from lada.data.split import Split
from lada.data.tagged import (
    Fields,
    Tagged,
    from_spans,
    from_words,
    read_json_tagged,
    read_tagged_objects,
    split_tagged,
)
from lada.errors import LadaError

WORDS = [["Ada", "King", "left", "Rome"], ["Rain", "!"]]
BIO = [["B-PER", "I-PER", "O", "B-LOC"], ["O", "O"]]
IOB1 = [["I-PER", "I-PER", "O", "I-LOC"], ["O", "O"]]
BIOES = [["B-PER", "E-PER", "O", "S-LOC"], ["O", "O"]]
BILOU = [["B-PER", "L-PER", "O", "U-LOC"], ["O", "O"]]
KEY = "task.train_file"


def _conll(tags: list[list[str]], by: str = " ", end: str = "\n", middle: str = "") -> str:
    lines = [f"-DOCSTART-{by}O", ""]
    for words, names in zip(WORDS, tags, strict=True):
        lines += [f"{word}{by}{middle}{tag}" for word, tag in zip(words, names, strict=True)]
        lines.append("")
    return end.join(lines)


def _write(path: Path, text: str) -> Path:
    data = text.encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


@pytest.mark.parametrize("tags", [BIO, IOB1, BIOES, BILOU])
@pytest.mark.parametrize("by", [" ", "\t", "   "])
def test_schemes_and_separators_give_the_same(tags: Any, by: str, tmp_path: Path) -> None:
    found = read_conll(_write(tmp_path / "a.conll", _conll(tags, by)), KEY)
    assert [row.tags for row in found] == BIO
    for row, words in zip(found, WORDS, strict=True):
        assert row.text == " ".join(words)
        assert [row.text[start:end] for start, end in row.words] == words


@pytest.mark.parametrize("name", ["a.txt", "a.tsv.gz"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_marks_line_ends_and_gzip(name: str, end: str, tmp_path: Path) -> None:
    found = read_conll(_write(tmp_path / name, "\ufeff" + _conll(BIO, end=end)), KEY)
    assert [row.tags for row in found] == BIO
    assert [row.where.rpartition(" ")[2] for row in found] == ["3", "8"]


def test_columns_are_chosen(tmp_path: Path) -> None:
    text = "".join(
        f"{n}\t{tag}\t{word}\tX\n"
        for n, (tag, word) in enumerate(zip(BIO[0], WORDS[0], strict=True))
    )
    (row,) = read_conll(_write(tmp_path / "a.tsv", text), KEY, word=-2, tag=1)
    assert (row.text, row.tags) == ("Ada King left Rome", BIO[0])


def test_only_spaces_and_tabs_separate(tmp_path: Path) -> None:
    (row,) = read_conll(_write(tmp_path / "a.conll", "10\u00a0000 B-NUM\n"), KEY)
    assert (row.text, row.tags) == ("10\u00a0000", ["B-NUM"])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Ada B-PER\nKing\n", "line 2: has 1 column, but 2 are needed"),
        ("Ada NNP B-PER\nKing I-PER\n", "line 2: has 2 columns, but line 1 has 3"),
        ("Ada B-PER\nKing NNP\n", "line 2: 'NNP' is not a tag of entities. Give O, B-PER"),
        ("Ada B-\n", "line 1: 'B-' is not a tag"),
        ("Ada O-PER\n", "line 1: 'O-PER' is not a tag"),
        ("Ada S\n", "line 1: 'S' is not a tag"),
        ("\n\n", "has no sentences"),
        ("", "is empty"),
        ("\tO\nAda\tO\n", "word is empty"),
    ],
)
def test_wrong_lines_are_named(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(LadaError) as caught:
        read_conll(_write(tmp_path / "a.conll", text), KEY)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


SPANS = [
    {"text": "Ada King left Rome", "spans": [{"start": 14, "end": 18, "type": "LOC"},
                                             {"start": 0, "end": 8, "label": "PER"}]},
    {"text": "Rain!", "spans": []},
]  # fmt: skip


def test_json_of_both_shapes_is_as_conll(tmp_path: Path) -> None:
    rows = [{"words": w, "tags": t} for w, t in zip(WORDS, BIOES, strict=True)]
    text = "\n\n".join(map(json.dumps, rows))
    found = read_json_tagged(_write(tmp_path / "a.jsonl.gz", text), KEY)
    expected = read_conll(_write(tmp_path / "a.conll", _conll(BIO)), KEY)
    assert [row[1:] for row in found] == [row[1:] for row in expected]
    spans = read_json_tagged(_write(tmp_path / "b.jsonl", "\n".join(map(json.dumps, SPANS))), KEY)
    assert [row.tags for row in spans] == BIO
    assert spans[0][1:] == expected[0][1:]
    assert [spans[1].text[a:b] for a, b in spans[1].words] == WORDS[1]
    assert [row[1:] for row in read_tagged_objects(SPANS, "train")] == [row[1:] for row in spans]


def test_class_labels_of_a_dataset_are_names() -> None:
    names = ["O", "B-PER", "I-PER", "B-LOC"]
    label = datasets.ClassLabel(names=names)
    features = datasets.Features(
        tokens=datasets.Sequence(datasets.Value("string")), ner_tags=datasets.Sequence(label)
    )
    rows = {"tokens": WORDS, "ner_tags": [[names.index(tag) for tag in tags] for tags in BIO]}
    given = datasets.Dataset.from_dict(rows, features=features)
    for fields in (Fields(), Fields("tokens"), Fields("tokens", "ner_tags")):
        found = read_tagged_objects(given, "train", fields)
        assert [row.tags for row in found] == BIO


def test_keys_may_have_other_names(tmp_path: Path) -> None:
    rows = [{"w": w, "t": t, "tags": 3} for w, t in zip(WORDS, BIO, strict=True)]
    named = Fields("w", "t")
    expected = [row[1:] for row in read_conll(_write(tmp_path / "a.conll", _conll(BIO)), KEY)]
    text = "\n".join(map(json.dumps, rows))
    file = _write(tmp_path / "a.jsonl", text)
    frame = pandas.DataFrame(rows)
    frame["w"] = frame["w"].map(np.array)
    for found in (
        read_tagged(file, KEY, None, named),
        read_tagged_objects(rows, "train", named),
        read_tagged_objects(frame, "train", named),
    ):
        assert [row[1:] for row in found] == expected
    spans = [{"body": row["text"], "found": row["spans"]} for row in SPANS]
    found = read_tagged_objects(spans, "train", Fields("body", "found"))
    assert [row.tags for row in found] == BIO
    with pytest.raises(LadaError, match=r"has the keys 'w', 't', 'tags', not task.text=x and task"):
        read_tagged(file, KEY, None, Fields("x", "t"))
    with pytest.raises(LadaError, match=r"^train\[0\]: has the keys .*, not task.label=y. Corr"):
        read_tagged_objects(rows, "train", Fields(None, "y"))


def test_columns_of_a_conll_file_have_numbers(tmp_path: Path) -> None:
    file = _write(tmp_path / "a.conll", "1 B-PER Ada NNP\n2 O left VBD\n")
    (row,) = read_tagged(file, KEY, None, Fields("2", "1"))
    assert (row.text, row.tags) == ("Ada left", ["B-PER", "O"])
    assert read_tagged(file, KEY, None, Fields("-2", "-3")) == [row]
    with pytest.raises(LadaError, match=r"^task.label=ner: the columns of a CoNLL file such as a"):
        read_tagged(file, KEY, None, Fields(None, "ner"))
    with pytest.raises(LadaError, match=r"^.*a.conll line 1: has 4 columns, but 10 are needed"):
        read_tagged(file, KEY, None, Fields("9"))


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"words": ["a"], "tags": []}, "its numbers of words and tags differ, 1 and 0"),
        ({"words": [], "tags": []}, "has no words"),
        ({"words": ["a"], "tags": [3]}, "the tag 3 is not a string"),
        ({"words": ["a", " "], "tags": ["O", "O"]}, "' ' is not a word"),
        ({"words": "a", "tags": "O"}, "'words' is of type str"),
        ({"words": ["\ud800"], "tags": ["O"]}, "surrogate"),
        ({"text": "a"}, "has the keys 'text'. Give 'words' and 'tags', 'tokens' and 'ner"),
        ({"text": " ", "spans": []}, "has no words"),
        ({"text": 3, "spans": []}, "is of type int"),
        ({"text": "Rome", "spans": [{"start": 0, "end": 3, "type": "X"}]}, "the edges of words"),
        ({"text": "Rome", "spans": [{"start": 0, "end": 5, "type": "X"}]}, "does not lie in"),
        ({"text": "Rome", "spans": [{"start": 0, "end": 4}]}, "is not a span"),
        ({"text": "Rome", "spans": [[0, 4, "X"]]}, "is not a span"),
        ({"text": "a b", "spans": [{"start": 0, "end": 3, "type": "X"},
                                   {"start": 2, "end": 3, "type": "Y"}]}, "overlaps"),
    ],
)  # fmt: skip
def test_wrong_examples_are_named(row: Any, said: str) -> None:
    with pytest.raises(LadaError) as caught:
        read_tagged_objects([SPANS[0], row], "train")
    assert str(caught.value).startswith("train[1]: ")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("given", ["file", {"words": []}, [], [3], None])
def test_what_holds_no_examples_is_rejected(given: Any) -> None:
    with pytest.raises(LadaError, match=r"^train"):
        read_tagged_objects(given, "train")


def _split(train: list[Tagged], dev: list[Tagged]) -> tuple[tuple[str, ...], dict[str, Split]]:
    return split_tagged({"train": train, "dev": dev}, {"train": "train", "dev": "dev"})


def test_ids_are_o_then_the_sorted_types() -> None:
    train = [from_words("a", w, t) for w, t in zip(WORDS, BIO, strict=True)]
    names, found = _split(train, train[:1])
    assert names == ("O", "B-LOC", "I-LOC", "B-PER", "I-PER")
    assert [[names[tag] for tag in tags] for _, tags in found["train"].labels] == BIO
    assert found["dev"].labels == found["train"].labels[:1]


def test_one_type_without_a_name() -> None:
    names, found = _split(
        [from_words("a", ["x", "y"], ["B", "I"])], [from_words("b", ["z"], ["O"])]
    )
    assert names == ("O", "B", "I")
    assert found["train"].labels[0][1] == [1, 2]


def test_splits_that_do_not_fit() -> None:
    train = [from_words("t", w, t) for w, t in zip(WORDS, BIO, strict=True)]
    other = from_spans("dev.jsonl line 4", "a b", [{"start": 0, "end": 1, "type": "ORG"}])
    with pytest.raises(LadaError, match=r"^dev.jsonl line 4: has the type 'ORG', .* in train\."):
        _split(train, [train[0], other])
    with pytest.raises(LadaError, match=r"^train: has no entities"):
        _split(train[1:], train)
    with pytest.raises(LadaError, match=r"^dev: holds the same examples as train"):
        _split(train, train)


def test_a_test_file_is_a_split_of_its_own(tmp_path: Path) -> None:
    files = [tmp_path / f"{name}.conll" for name in ("train", "dev", "test")]
    for file, lines in zip(files, ("Ada B-PER\nleft O", "King B-PER", "Rome O"), strict=True):
        file.write_text(lines + "\n")
    names, train, others = load_tagged(files[0], files[1], None, files[2])
    assert (names, train.name, list(others)) == (("O", "B-PER", "I-PER"), "train", ["dev", "test"])
    assert (others["test"].texts, others["test"].labels) == (["Rome"], [[[(0, 4)], [0]]])
    files[2].write_text("Rome B-LOC\n")
    with pytest.raises(LadaError, match=r"test\.conll line 1: has the type 'LOC'"):
        load_tagged(files[0], files[1], None, files[2])
