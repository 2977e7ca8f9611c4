"""Entities against seqeval, which follows conlleval, on valid and invalid sequences."""

import random

import pytest
from seqeval.metrics import accuracy_score, f1_score, precision_score, recall_score
from seqeval.metrics.sequence_labeling import get_entities

from lada.ops.metrics.entities import count_entities, entities, entity_rates, token_accuracy

TAGS = ["O", *(f"{letter}-{kind}" for letter in "BIES" for kind in ("PER", "LOC-X"))]
RANDOM = random.Random(0)


def texts(number: int) -> tuple[list[list[str]], list[list[str]]]:
    """True tags, and predicted ones that agree with them in about two of three words."""
    true, predicted = [], []
    for _ in range(number):
        # Some texts have few letters: the sequences of BIO and IOB1 are among them.
        tags = RANDOM.choice([TAGS, TAGS[:5], ["O", "I-PER", "B-PER"], ["O"]])
        true.append([RANDOM.choice(tags) for _ in range(RANDOM.randrange(1, 9))])
        predicted.append([RANDOM.choice([tag, tag, RANDOM.choice(tags)]) for tag in true[-1]])
    return true, predicted


def test_entities_are_those_of_seqeval() -> None:
    for tags in texts(3000)[0]:
        assert entities(tags) == [(k, start, end + 1) for k, start, end in get_entities(tags)]


@pytest.mark.parametrize("number", [1, 2, 5, 100])
@pytest.mark.filterwarnings("ignore")  # seqeval warns of ratios without a denominator
def test_rates_are_those_of_seqeval(number: int) -> None:
    for _ in range(20):
        true, predicted = texts(number)
        micro, per_type = entity_rates(true, predicted)
        assert micro["precision"] == pytest.approx(precision_score(true, predicted))
        assert micro["recall"] == pytest.approx(recall_score(true, predicted))
        assert micro["f1"] == pytest.approx(f1_score(true, predicted))
        kinds = sorted({kind for tags in true + predicted for kind, *_ in entities(tags)})
        assert list(per_type) == kinds
        if kinds:
            each = f1_score(true, predicted, average=None)
            assert [rates["f1"] for rates in per_type.values()] == pytest.approx(list(each))
        assert token_accuracy(true, predicted) == pytest.approx(accuracy_score(true, predicted))


def test_bilou() -> None:
    tags = ["B-A", "I-A", "L-A", "I-A", "U-A", "U-A", "O"]
    assert entities(tags) == [("A", 0, 3), ("A", 3, 4), ("A", 4, 5), ("A", 5, 6)]


def test_tags_without_a_type() -> None:
    assert entities(["B", "I", "O", "I"]) == [("", 0, 2), ("", 3, 4)]


def test_no_words() -> None:
    assert entities([]) == []
    assert token_accuracy([], []) == 0.0
    assert entity_rates([[]], [[]]) == ({"precision": 0.0, "recall": 0.0, "f1": 0.0}, {})


def test_lengths_must_agree() -> None:
    with pytest.raises(ValueError, match="2 true tags, 1 predicted ones"):
        count_entities(["O", "O"], ["O"])
    with pytest.raises(ValueError, match="argument 2 is shorter"):
        entity_rates([["O"], ["O"]], [["O"]])
