"""The built-in demonstration task: its rows, and that word counts alone do not solve it."""

import hashlib
import itertools
import re
from collections import Counter

import pytest
import torch

from lada.data import demo

# Marks of each phenomenon in the text, apart from plain statements.
PHENOMENA = {
    "negation": r"(wasn't|weren't|was not|were not) .* at all\.|anything but|there was nothing",
    "question": r"\? (Not in the slightest|Very much so|Quite the opposite)",
    "double negation": r"no denying|never anything but|lying if I said that the .* (not|n't)",
    "contrast": r", but the |^Although |, even if the |[Dd]espite the ",
    "concession word": r"(a bit|a little|slightly|fairly|reasonably) \w+",
    "intensifier": r"(truly|remarkably|exceptionally|extremely|particularly) \w+",
    "weighing": r"outweigh|mattered (more|less) to me|made? up for|otherwise|[Ww]hat stays with me",
    "counterfactual": r"would have (been|loved|enjoyed|liked|hated|disliked|detested)",
    "wish": r"I wish that|wished for",
    "comparison": r"(far|rarely known a) (more|less) \w+|nowhere near as|every bit as",
    "expectation": r"I expected to|prepared for|which turned out to be|I had hoped|I was afraid",
}


def rows(split: str) -> list[tuple[str, int]]:
    return list(zip(*demo.make_examples(split), strict=True))


def test_rows_are_the_same_everywhere() -> None:
    text = "".join(f"{label}\t{text}\n" for s in ("train", "dev") for text, label in rows(s))
    digest = hashlib.sha256(text.encode()).hexdigest()
    assert digest == "706d7f5eea0303a4f0d97b5456c5ee231bda6f675116a24bbad5ef78c40c7e0a"


def test_a_caller_cannot_spoil_the_rows_of_the_next() -> None:
    texts, labels = demo.make_examples("dev")
    expected = list(texts), list(labels)
    texts.clear()
    labels.reverse()
    assert demo.make_examples("dev") == expected


def test_sizes_and_labels() -> None:
    assert demo.LABELS == ("negative", "positive")
    for split, size in (("train", demo.TRAIN_ROWS), ("dev", demo.DEV_ROWS)):
        texts, labels = demo.make_examples(split)
        assert len(texts) == len(labels) == size
        assert set(labels) == {0, 1}
        assert abs(sum(labels) / size - 0.5) < 0.01
    assert (demo.TRAIN_ROWS, demo.DEV_ROWS) == (6000, 1000)


@pytest.mark.parametrize("split", ["test", "", "Train"])
def test_unknown_split(split: str) -> None:
    with pytest.raises(ValueError, match="unknown split"):
        demo.make_examples(split)


def test_rows_differ_within_and_between_the_splits() -> None:
    texts = [text.lower() for split in ("train", "dev") for text, _ in rows(split)]
    assert len(set(texts)) == demo.TRAIN_ROWS + demo.DEV_ROWS


def test_labels_do_not_follow_the_row_number() -> None:
    labels = demo.make_examples("train")[1]
    repeats = sum(a == b for a, b in itertools.pairwise(labels))
    # A pair of rows has both labels, and the next one begins with either.
    assert 0.2 < repeats / len(labels) < 0.3


def test_sentences_are_well_formed() -> None:
    for text, _ in rows("train") + rows("dev"):
        assert re.fullmatch(r"[A-Z][A-Za-z',;?-]*( [A-Za-z',;?-]+)*\.", text), text
        assert not re.search(r"\ba [aeiou]|\ban [^aeiou]|\b(\w+) \1\b", text), text


def test_sentences_are_short_and_varied() -> None:
    texts = demo.make_examples("train")[0]
    lengths = [len(text.split()) for text in texts]
    assert 10 <= sum(lengths) / len(lengths) <= 14
    assert max(lengths) <= 30
    words = Counter(word for text in texts for word in set(re.findall(r"[a-z-]+", text.lower())))
    assert sum(count >= 5 for count in words.values()) > 500


@pytest.mark.parametrize("split", ["train", "dev"])
@pytest.mark.parametrize("name", PHENOMENA)
def test_each_phenomenon_occurs_with_both_labels(name: str, split: str) -> None:
    found = Counter(label for text, label in rows(split) if re.search(PHENOMENA[name], text))
    assert min(found[0], found[1]) >= 0.004 * len(rows(split))


@pytest.mark.parametrize(
    ("pattern", "label"),
    [
        (r"cannot recommend .* highly enough\.", 1),
        (r"cannot recommend (?!.* highly enough)", 0),
        (r"would not hesitate to", 1),
        (r"would hesitate to", 0),
        (r"expected to (love|enjoy|like) .* and did not\.", 0),
        (r"expected to (love|enjoy|like) .*, and I did\.", 1),
        (r"expected to (hate|dislike|detest) .* and did not\.", 1),
        (r"expected to (hate|dislike|detest) .*, and I did\.", 0),
        (r", but I (hated|disliked|detested) .* all the same\.", 0),
        (r", but I (loved|enjoyed|liked) .* all the same\.", 1),
        (r"would have been (awful|terrible|dreadful|horrible|dismal|appalling)", 1),
        (r"would have been (wonderful|superb|excellent|fantastic|marvellous|brilliant)", 0),
        (r"pretending that I (loved|enjoyed|liked)", 0),
        (r"pretending that I (hated|disliked|detested)", 1),
        (r"(was|were) (really|truly|extremely) (rude|impatient|dull|dirty|bland|shabby)\.", 0),
        (r"(was|were) (really|truly|extremely) (kind|polite|witty|clean|tasty|soft)\.", 1),
    ],
)
def test_the_meaning_decides_the_label(pattern: str, label: int) -> None:
    labels = {row_label for text, row_label in rows("train") if re.search(pattern, text)}
    assert labels == {label}


def test_word_counts_do_not_solve_the_task() -> None:
    """Logistic regression on unigram counts stays far below a model that reads the sentence."""
    splits = {split: demo.make_examples(split) for split in ("train", "dev")}
    tokens = {split: [re.findall(r"[\w'-]+", text.lower()) for text in splits[split][0]]
              for split in splits}  # fmt: skip
    vocabulary = {word: i for i, word in enumerate(sorted({w for t in tokens["train"] for w in t}))}

    def counts(split: str) -> torch.Tensor:
        matrix = torch.zeros(len(tokens[split]), len(vocabulary))
        for row, words in zip(matrix, tokens[split], strict=True):
            for word in words:
                if word in vocabulary:
                    row[vocabulary[word]] += 1
        return matrix

    features, targets = counts("train"), torch.tensor(splits["train"][1], dtype=torch.float32)
    weight = torch.zeros(len(vocabulary), requires_grad=True)
    bias = torch.zeros(1, requires_grad=True)
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=60, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        logits = features @ weight + bias
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, targets)
        loss = loss + 0.5 / len(targets) * weight.square().sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    with torch.no_grad():
        guesses = (counts("dev") @ weight + bias > 0).long()
    accuracy = (guesses == torch.tensor(splits["dev"][1])).float().mean().item()
    # Chance would mean that the regression did not learn, or that nothing plain is left.
    assert 0.6 < accuracy < 0.85
