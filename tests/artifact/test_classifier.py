"""What a loaded artifact answers, and what it says to what is no text."""

from pathlib import Path

import numpy as np
import pytest

import lada
from lada.artifact.classifier import Classifier


@pytest.fixture
def classifier(student, tokenizer) -> Classifier:
    return Classifier(student, tokenizer, ("bad", "good"), {"max_length": 16})


def of(classifier: Classifier, pairs: bool) -> Classifier:
    about = {"max_length": 16, "pairs": pairs}
    return Classifier(classifier.model, classifier.tokenizer, classifier.labels, about)


def near(first: lada.Answer, second: lada.Answer) -> bool:
    """Equal but for rounding, which depends on the padding."""
    return first.label == second.label and first.probability == pytest.approx(
        second.probability, abs=1e-5
    )


def test_a_list_is_a_batch(classifier: Classifier) -> None:
    for texts in (["the soup"], ["a", "not bad at all"], ["", " ", "x" * 300, "a\tb\nc", "\u200b"]):
        found = classifier(texts)
        assert isinstance(found, list)
        assert len(found) == len(texts)
        for answer, text in zip(found, texts, strict=True):
            assert near(answer, classifier(text))
    for array, listed in zip(classifier(np.array(["a", "b"])), classifier(["a", "b"]), strict=True):
        assert near(array, listed)


def test_a_tuple_is_a_pair(classifier: Classifier) -> None:
    one = classifier(("the soup", "not bad"))
    assert one == classifier("the soup", "not bad")
    assert not near(one, classifier("the soup"))
    found = classifier([("the soup", "not bad"), ("", "a")])
    assert near(found[0], one)
    assert near(found[1], classifier("", "a"))
    assert [near(*both) for both in zip(classifier.classify(["the soup", ""], ["not bad", "a"]),
                                        found, strict=True)] == [True, True]  # fmt: skip


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (None, "None, not a list"),
        (5, "of type int"),
        (b"abc", "one string"),
        ({"text": "a"}, "of type dict"),
        ({"a", "b"}, "of type set"),
        ([], "empty list"),
        (["a", None], r"texts\[1\]: is None, not a string"),
        (["a", 1.5], r"texts\[1\]: is of type float"),
        ([b"a"], "of type bytes"),
        ([["a", "b"]], r"texts\[0\]: is of type list.*tuple"),
        (["a", ("b", "c")], r"texts\[1\]: is a pair of texts, but the first is not"),
        ([("b", "c"), "a"], r"texts\[1\]: is a single text"),
        (("a",), "tuple of 1"),
        (("a", "b", "c"), "tuple of 3"),
        ((), "tuple of 0"),
        (("a", None), "is None, not a string"),
        ([("a", "b"), (1, "b")], r"texts\[1\]: is of type int"),
        ("a\ud83d", "half of a character"),
        ([("a", "\udc00")], "half of a character"),
    ],
)
def test_what_is_no_text(classifier: Classifier, given: object, words: str) -> None:
    with pytest.raises(lada.LadaError, match=words) as error:
        classifier(given)
    assert isinstance(error.value, ValueError)
    assert "\n" not in str(error.value)


def test_what_is_no_batch(classifier: Classifier) -> None:
    for call, words in (
        (lambda: classifier.classify("abc"), "one string, not a list"),
        (lambda: classifier.classify(("a", "b")), "a tuple, which is one pair"),
        (lambda: classifier.classify(["a"], "b"), "pairs: is one string"),
        (lambda: classifier.classify(["a", "b"], ["c"]), "there are 1 for 2 texts"),
        (lambda: classifier.classify([("a", "b")], ["c"]), "is of type tuple"),
        (lambda: classifier.classify(["a"], batch_size=0), "batch_size=0"),
        (lambda: classifier(["a"], "b"), "text_pair"),
        (lambda: classifier("a", ["b"]), "text_pair"),
        (lambda: classifier("a", 3), "text_pair"),
    ):
        with pytest.raises(lada.LadaError, match=words):
            call()


def test_pairs_and_single_texts_are_told_apart(classifier: Classifier) -> None:
    single, paired = of(classifier, False), of(classifier, True)
    assert single("a") == classifier("a")
    assert paired("a", "b") == classifier("a", "b")
    for call in (lambda: single("a", "b"), lambda: single([("a", "b")]), lambda: single("a", "")):
        with pytest.raises(lada.LadaError, match=r"trained on single texts\. Give one text"):
            call()
    for call in (lambda: paired("a"), lambda: paired(["a", "b"]), lambda: paired("a\tb")):
        with pytest.raises(lada.LadaError, match=r"trained on pairs\. Give two texts"):
            call()


def test_an_artifact_knows_its_length_and_pairs(student, tokenizer, tmp_path: Path) -> None:
    before = tokenizer.model_max_length
    lada.save(student, tokenizer, tmp_path / "a", {"max_length": 9, "pairs": True})
    assert tokenizer.model_max_length == before
    loaded = lada.load(tmp_path / "a")
    assert loaded.pairs is True
    assert loaded.tokenizer.model_max_length == 9
    assert loaded.tokens(["a " * 50], ["b " * 50])["input_ids"].shape == (1, 9)
    lada.save(student, tokenizer, tmp_path / "b", {})
    assert lada.load(tmp_path / "b").pairs is None
    with pytest.raises(lada.LadaError, match="pairs"):
        lada.save(student, tokenizer, tmp_path / "c", {"pairs": "yes"})
