"""Answers against examples worked out by hand."""

import random

import pytest

from lada.ops.metrics.squad import answer_scores, exact_match, normalize, token_f1


@pytest.mark.parametrize(
    ("answer", "normal"),
    [
        ("", ""),
        ("The", ""),
        ("  An  apple\n", "apple"),
        ("A.B.C.", "abc"),
        ("U.S.", "us"),
        ("theatre", "theatre"),
        ("another the-one", "another theone"),  # punctuation goes first, then articles
        ("$5,000", "5000"),
        ("THE End.", "end"),
        ("a", ""),
        ("l’été", "l’été"),  # only ASCII punctuation goes
    ],
)
def test_normalize(answer: str, normal: str) -> None:
    assert normalize(answer) == normal


@pytest.mark.parametrize(
    ("predicted", "gold", "f1"),
    [
        ("Denver Broncos", "The Denver Broncos!", 1.0),
        ("Broncos", "Denver Broncos", 2 / 3),  # precision 1, recall 1/2
        ("the Denver Broncos team of 2015", "Denver Broncos", 4 / 7),  # 2/5 and 1
        ("no no no", "no", 1 / 2),  # a word counts as often as both have it: 1/3 and 1
        ("no no", "no no maybe", 4 / 5),
        ("red", "blue", 0.0),
        ("", "blue", 0.0),
        ("blue", "", 0.0),
        ("", "", 1.0),
        ("the", "", 1.0),
    ],
)
def test_f1(predicted: str, gold: str, f1: float) -> None:
    assert token_f1(predicted, gold) == pytest.approx(f1)
    assert token_f1(gold, predicted) == pytest.approx(f1)
    assert exact_match(predicted, gold) == float(f1 == 1)


def test_order_of_words() -> None:
    assert token_f1("Broncos Denver", "Denver Broncos") == 1.0
    assert exact_match("Broncos Denver", "Denver Broncos") == 0.0


@pytest.mark.parametrize(
    ("predicted", "golds", "scores"),
    [
        ("Paris", ["London", "paris"], (1.0, 1.0)),
        ("in Paris", ["London", "Paris"], (0.0, 2 / 3)),
        ("", [], (1.0, 1.0)),
        ("Paris", [], (0.0, 0.0)),
        ("", ["Paris"], (0.0, 0.0)),
        ("", ["Paris", "the"], (0.0, 0.0)),  # "the" leaves nothing, so it is no gold answer
        ("", ["the"], (1.0, 1.0)),
    ],
)
def test_gold_answers(predicted: str, golds: list[str], scores: tuple[float, float]) -> None:
    assert answer_scores(predicted, golds) == pytest.approx(scores)


def test_more_gold_answers_are_never_worse() -> None:
    draw = random.Random(0)
    words = ["red", "blue", "the", "green."]
    for _ in range(300):
        texts = [" ".join(draw.choices(words, k=draw.randrange(1, 4))) + " x" for _ in range(4)]
        few, many = answer_scores(texts[0], texts[1:3]), answer_scores(texts[0], texts[1:])
        assert all(0 <= a <= b <= 1 for a, b in zip(few, many, strict=True))
        assert all(exact <= f1 for exact, f1 in (few, many))
