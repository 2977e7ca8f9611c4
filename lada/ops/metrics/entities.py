"""Entities read from tags of words, and how well predicted entities agree with the true ones.

An entity is (type, first word, last word + 1). Tags are such as ``B-PER``, ``I-PER``, ``O``.
"""

from collections.abc import Sequence
from typing import NamedTuple

Entity = tuple[str, int, int]

STARTS = frozenset("BSU")  # U: the single-word letter of BILOU, S of BIOES
ENDS = frozenset("ESLU")


class Counts(NamedTuple):
    """Counts that precision, recall and F1 are ratios of; counts of several texts add up."""

    correct: int
    predicted: int
    true: int


def _parts(tag: str) -> tuple[str, str]:
    """Letter and type of a tag; ``O`` has no type."""
    letter, _, kind = tag.partition("-")
    return letter, kind


def entities(tags: Sequence[str]) -> list[Entity]:
    """The entities of one text, read as the conlleval script of CoNLL-2000 reads them.

    All of IOB1, BIO (IOB2), BIOES and BILOU are read, and any sequence has a reading: an ``I-`` or
    ``E-`` after ``O``, or after another type, starts an entity.

    Args:
        tags: one tag per word.

    Returns:
        Entities in the order of the text. They do not overlap.

    Example:
        >>> entities(["B-PER", "I-PER", "O", "I-LOC"])
        [('PER', 0, 2), ('LOC', 3, 4)]
    """
    found: list[Entity] = []
    start, kind, last = 0, "", "O"  # the entity that is open, and the letter before
    for place, tag in enumerate([*tags, "O"]):
        letter, new = _parts(tag)
        inside = last != "O"
        goes_on = (
            inside and letter != "O" and new == kind and letter not in STARTS and last not in ENDS
        )
        if inside and not goes_on:
            found.append((kind, start, place))
        if letter != "O" and not goes_on:
            start = place
        kind, last = new, letter
    return found


def count_entities(true: Sequence[str], predicted: Sequence[str]) -> dict[str, Counts]:
    """Counts of one text, per type of entity.

    A predicted entity is correct if type, first and last word all agree with a true one.

    Args:
        true: one tag per word.
        predicted: as many tags.

    Raises:
        ValueError: the lengths differ.

    Example:
        >>> count_entities(["B-PER", "O"], ["B-PER", "B-LOC"])["LOC"]
        Counts(correct=0, predicted=1, true=0)
    """
    if len(true) != len(predicted):
        raise ValueError(f"{len(true)} true tags, {len(predicted)} predicted ones")
    gold, guess = set(entities(true)), set(entities(predicted))
    return {
        kind: Counts(
            sum(entity[0] == kind for entity in gold & guess),
            sum(entity[0] == kind for entity in guess),
            sum(entity[0] == kind for entity in gold),
        )
        for kind in sorted({entity[0] for entity in gold | guess})
    }


def rates(counts: Counts) -> dict[str, float]:
    """Precision, recall and F1 in [0, 1]. A ratio with a denominator of 0 is 0, as in conlleval.

    Example:
        >>> rates(Counts(correct=1, predicted=2, true=4))["precision"]
        0.5
    """
    return {
        "precision": counts.correct / counts.predicted if counts.predicted else 0.0,
        "recall": counts.correct / counts.true if counts.true else 0.0,
        "f1": 2 * counts.correct / max(1, counts.predicted + counts.true),
    }


def entity_rates(
    true: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]]
) -> tuple[dict[str, float], dict[str, dict[str, float]]]:
    """Precision, recall and F1 of entities over all texts (Tjong Kim Sang & De Meulder 2003).

    Args:
        true: per text, one tag per word.
        predicted: of the same shape.

    Returns:
        The micro-averages (over entities of all types), and the same for each type that is in
        either.

    Raises:
        ValueError: the shapes differ.

    Example:
        >>> micro, per_type = entity_rates([["B-PER", "O"]], [["B-PER", "B-LOC"]])
        >>> micro["precision"], per_type["PER"]["f1"]
        (0.5, 1.0)
    """
    totals: dict[str, list[int]] = {}
    for one, other in zip(true, predicted, strict=True):
        for kind, counts in count_entities(one, other).items():
            total = totals.setdefault(kind, [0, 0, 0])
            for index, count in enumerate(counts):
                total[index] += count
    whole = Counts(*(sum(total[index] for total in totals.values()) for index in range(3)))
    return rates(whole), {kind: rates(Counts(*totals[kind])) for kind in sorted(totals)}


def token_accuracy(true: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]]) -> float:
    """Share of words, over all texts, whose tag is the true one; 0 if there are no words.

    Raises:
        ValueError: the shapes differ.

    Example:
        >>> token_accuracy([["O", "B-PER"]], [["O", "O"]])
        0.5
    """
    equal = [
        a == b
        for one, other in zip(true, predicted, strict=True)
        for a, b in zip(one, other, strict=True)
    ]
    return sum(equal) / max(1, len(equal))
