"""The cut of the validation split: by example, and by sentence with its phrases."""

import logging
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from helpers import Result, write_csv

from lada.data.source import load_task
from lada.data.split import Split
from lada.data.tasks import TASKS
from lada.data.validation import cut_validation
from lada.errors import LadaError


def _split(
    texts: list[str], pairs: list[str] | None = None, labels: list[int] | None = None
) -> Split:
    values = np.array([0] * len(texts) if labels is None else labels, dtype=np.int64)
    return Split("train", texts, pairs, values)


def _numbered(rows: int) -> Split:
    return _split([f"row {i}" for i in range(rows)], labels=[i % 2 for i in range(rows)])


def _treebank(sentences: int, seed: int = 0) -> Split:
    """Sentences and all of their phrases, whose lengths halve, labels by the first word."""
    draw = random.Random(seed)
    texts = []
    for i in range(sentences):
        words = [f"s{i}", *draw.choices(["the", "a", "film", "good", "bad", "of"], k=15)]
        draw.shuffle(words)
        while words:
            texts.append(" ".join(words))
            half = (len(words) + 1) // 2 if len(words) > 1 else 0
            words = words[:half] if draw.random() < 0.5 else words[len(words) - half :]
    texts = list(dict.fromkeys(texts))
    draw.shuffle(texts)
    return _split(texts, labels=[sum(map(ord, text)) % 2 for text in texts])


BOTH = pytest.mark.parametrize("split_by", ["example", "sentence"])


@BOTH
@pytest.mark.parametrize(
    ("total", "asked", "expected"),
    [(50, None, 5), (59, None, 5), (10, None, 1), (20100, None, 2000), (50, 7, 7), (50, 48, 48)],
)
def test_size(total: int, asked: int | None, expected: int, split_by: str) -> None:
    train, validation = cut_validation(_numbered(total), asked, split_by)
    assert (len(train), len(validation)) == (total - expected, expected)
    assert (train.name, validation.name) == ("train", "validation")


def test_where_no_text_contains_another_the_cuts_are_the_same() -> None:
    one, other = (cut_validation(_numbered(300), 40, way)[1] for way in ("example", "sentence"))
    assert one.digest == other.digest
    assert cut_validation(_numbered(300), 40, "auto")[1].digest == one.digest


def test_examples_stay_whole_and_in_order() -> None:
    texts = [f"row {i}" for i in range(40)]
    whole = _split(texts, [f"pair {i}" for i in range(40)], [i % 3 for i in range(40)])
    seen = []
    for part in cut_validation(whole, 10, "example"):
        numbers = [int(text.split()[1]) for text in part.texts]
        assert numbers == sorted(numbers)
        assert part.pairs == [f"pair {i}" for i in numbers]
        assert part.labels.tolist() == [i % 3 for i in numbers]
        seen += numbers
    assert sorted(seen) == list(range(40))


@BOTH
@pytest.mark.parametrize("whole", [_numbered(200), _treebank(40)], ids=["distinct", "phrases"])
def test_the_cut_does_not_depend_on_order(whole: Split, split_by: str) -> None:
    expected = set(cut_validation(whole, 50, split_by)[1].texts)
    order = np.random.default_rng(0).permutation(len(whole))
    shuffled = whole.take("train", order)
    assert set(cut_validation(shuffled, 50, split_by)[1].texts) == expected
    other = Split("train", whole.texts, None, 1 - whole.labels)
    assert set(cut_validation(other, 50, split_by)[1].texts) == expected
    assert expected != set(whole.texts[: len(expected)])


def test_second_texts_count_for_the_cut() -> None:
    texts = ["same"] * 100
    _, validation = cut_validation(_split(texts, [f"pair {i}" for i in range(100)]), 10, "example")
    assert len(validation) == 10


@BOTH
@pytest.mark.parametrize("whole", [_numbered(100), _treebank(40)], ids=["distinct", "phrases"])
def test_a_larger_cut_holds_the_smaller(whole: Split, split_by: str) -> None:
    small, large = (set(cut_validation(whole, n, split_by)[1].texts) for n in (10, 45))
    assert small < large


@BOTH
@pytest.mark.parametrize("asked", range(1, 30))
def test_equal_texts_are_on_one_side(asked: int, split_by: str) -> None:
    # Texts of equal words, but for the spaces, are one only where words are compared.
    texts = [f"row {i % 13}" for i in range(40)]
    labels = [i % 2 for i in range(40)]  # of one text, too
    train, validation = cut_validation(_split(texts, labels=labels), asked, split_by)
    assert not set(train.texts) & set(validation.texts)
    # Whole groups of 3 or 4 rows: at most 3 more than asked for.
    assert asked <= len(validation) <= asked + 3


@pytest.mark.parametrize("asked", [1, 20, 60, 150])
def test_no_phrase_of_a_validation_sentence_is_trained_on(asked: int) -> None:
    whole = _treebank(60)
    train, validation = cut_validation(whole, asked, "sentence")

    def contains(outer: str, inner: str) -> bool:
        return f" {inner} " in f" {outer} "

    sentences = [t for t in validation.texts if sum(contains(o, t) for o in whole.texts) == 1]
    assert sentences
    for text in train.texts:
        held = any(contains(sentence, text) for sentence in sentences)
        assert not (held and len(text.split()) >= 3), text
    # All else in it are phrases of its sentences, and it ends with the sentence that reaches it.
    for text in validation.texts:
        assert any(contains(sentence, text) for sentence in sentences)
        assert text in sentences or len(text.split()) >= 3
    largest = max(sum(contains(s, t) for t in whole.texts) for s in sentences)
    assert asked <= len(validation) < asked + largest


def test_by_example_phrases_of_a_sentence_are_on_both_sides() -> None:
    train, validation = cut_validation(_treebank(60), 20, "example")
    assert any(f" {text} " in f" {other} " for text in validation.texts for other in train.texts)


def test_equal_phrases_go_together_whatever_their_labels_and_spaces() -> None:
    texts = [
        "one two three four",
        "two three four",
        "two  three four",
        " two three four",
        "two three",
    ]
    texts += ["other words here alone", "some more of them now"]
    whole = _split(texts, labels=[0, 0, 1, 2, 0, 1, 2])
    seen = set()
    for asked in range(1, 6):
        train, validation = cut_validation(whole, asked, "sentence")
        held = [t for t in texts[:4] if t in validation.texts]
        assert len(held) in (0, 4)
        assert "two three" in train.texts
        seen.add(len(held))
    assert 4 not in seen  # it is more than half of all: see the test of that
    whole = _split(
        [*texts, *(f"filler number {i}" for i in range(9))],
        labels=[0, 0, 1, 2, 0, 1, 2] + [0, 1, 2] * 3,
    )
    train, validation = cut_validation(whole, 11, "sentence")
    assert set(texts[:4]) <= set(validation.texts) or set(texts[:4]) <= set(train.texts)


@pytest.mark.parametrize("seed", range(5))
@BOTH
def test_no_class_vanishes_from_train(split_by: str, seed: int) -> None:
    draw = random.Random(seed)
    texts = [f"text {draw.random()}" for _ in range(60)]
    labels = [0] * 50 + [1] * 4 + [2] * 3 + [3, 4, 5]
    for asked in (1, 30, 50, 59):
        train, validation = cut_validation(_split(texts, labels=labels), asked, split_by)
        assert set(train.labels) == set(range(6))
        assert len(validation) == min(asked, 54)


def test_a_class_of_phrases_alone_is_kept() -> None:
    # The only examples of class 1 are phrases of one sentence.
    rows = [(f"this is the sentence number {i}", 0) for i in range(20)]
    rows += [("is the sentence number 7", 1), ("the sentence number 7", 1)]
    whole = _split([t for t, _ in rows], labels=[y for _, y in rows])
    train, validation = cut_validation(whole, 19, "sentence")
    assert "this is the sentence number 7" in train.texts
    assert set(train.labels) == {0, 1} and len(validation) == 19


def test_fewer_than_asked_for_is_said(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "lada"):
        cut_validation(_split(["a", "b", "c"], labels=[0, 1, 1]), 2, "example")
    assert "has 1 examples, not 2" in caplog.text


@pytest.mark.parametrize("share", [0, 5, 30])
def test_auto_measures_how_many_texts_are_contained(
    share: int, caplog: pytest.LogCaptureFixture
) -> None:
    texts = [f"a longer sentence of number {i}" for i in range(200)]
    texts += [f"sentence of number {i}" for i in range(share)]
    texts += ["sentence", "a longer"] * 40  # short texts do not count
    whole = _split(texts)
    with caplog.at_level(logging.INFO, "lada"):
        found = cut_validation(whole, 30, "auto")[1].digest
    way = "sentence" if share == 30 else "example"
    assert found == cut_validation(whole, 30, way)[1].digest
    assert ("data.split_by=auto: 13 % of the training texts" in caplog.text) == (share == 30)


def test_auto_of_pairs_is_by_example() -> None:
    whole = _split(["a b c", "a b c d"] * 20, [f"{i}" for i in range(40)])
    found = cut_validation(whole, 9, "auto")[1].digest
    assert found == cut_validation(whole, 9, "example")[1].digest


def test_the_row_of_the_task_says_how_it_is_cut() -> None:
    ways = {name: spec.split_by for name, spec in TASKS.items()}
    assert ways.pop("sst2") == "sentence" and ways.pop("csv") == "auto"
    assert set(ways.values()) == {"example"}
    auto, example = (
        load_task("demo", data_dir=None, validation_examples=300, split_by=way).validation
        for way in ("auto", "example")
    )
    assert auto.digest == example.digest


@pytest.mark.parametrize(
    ("texts", "asked", "split_by", "expected"),
    [
        (
            [f"{i}" for i in range(9)],
            None,
            "example",
            "data.validation=null: train has 9 examples, too few",
        ),
        ([], None, "sentence", "data.validation=null: train has 0 examples, too few"),
        (["a", "b"], 2, "auto", "data.validation=2: this leaves no training example of 2"),
        (["a", "b"], 5, "example", "data.validation=5: this leaves no training example of 2"),
        (["a", "b"], 0, "example", "data.validation=0: the split would be empty"),
        (
            ["a", "a", "a"],
            1,
            "example",
            "data.validation=1: no example can be held out for validation",
        ),
        # All are contained in one.
        (
            ["a b c d e", "a b c d", "b c d", "d e"],
            1,
            "sentence",
            "data.validation=1: no exam",
        ),
        (["a b c d e", "a b c d", "b c d", "a"], 1, "auto", "data.validation=1: no example can be"),
    ],
)
def test_impossible_cuts(texts: list[str], asked: int | None, split_by: str, expected: str) -> None:
    with pytest.raises(LadaError) as caught:
        cut_validation(_split(texts), asked, split_by)
    message = str(caught.value)
    assert message.startswith(expected)
    assert "\n" not in message
    assert ("set data.split_by=example" in message) == (texts[:1] == ["a b c d e"])


def test_pairs_have_no_sentences() -> None:
    with pytest.raises(LadaError, match=r"data\.split_by=sentence: the examples are pairs"):
        cut_validation(_split(["a"] * 20, ["b"] * 20), 2, "sentence")


@pytest.mark.parametrize(
    ("split_by", "digest"),
    [("example", "8ef02919a0318fe1"), ("sentence", "f5a7945e9259ea5a")],
)
def test_the_cut_is_the_same_in_every_version(split_by: str, digest: str) -> None:
    # Recorded results stand on it.
    texts = []
    for i in range(40):
        words = f"the {i}th film is a good one of {i * i % 7} that we saw".split()
        texts += [" ".join(words[:end]) for end in (12, 6, 4, 2)] + [" ".join(words[5:])]
    texts = list(dict.fromkeys(texts))
    whole = _split(texts, labels=[len(text) % 2 for text in texts])
    assert cut_validation(whole, 30, split_by)[1].digest[:16] == digest


def test_on_the_command_line(
    train_py: Callable[..., Result], tiny: list[str], tmp_path: Path
) -> None:
    words = "a film that nobody who has seen it will forget".split()
    rows = [(" ".join(words[i:]), "good" if i % 2 else "bad") for i in range(len(words) - 2)] * 2
    train = write_csv(tmp_path / "train.csv", rows, ("text", "label"))
    args = [*tiny, f"task.train_file={train}", "data.validation=1"]
    for way in ("sentence", "auto"):
        result = train_py(*args, f"data.split_by={way}")
        assert result.code == 2
        assert "error: data.validation=1: no example can be held out" in result.err
        assert "or set data.split_by=example" in result.err
    result = train_py(*args, "data.split_by=word")
    assert "data.split_by=word: choose one of auto, example, sentence" in result.err
