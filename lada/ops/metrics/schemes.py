"""Schemes of entity tags (IOB1, BIO, BIOES, BILOU): which one it is, and the same tags in BIO."""

from collections.abc import Iterable, Sequence

from lada.ops.metrics.entities import entities

LETTERS = frozenset("BIOESLU")


def to_bio(tags: Sequence[str]) -> list[str]:
    """The same entities in BIO (IOB2): the first word of each is ``B-``, the others are ``I-``.

    Args:
        tags: tags of one text in any scheme that `entities` reads.

    Returns:
        As many tags. ``entities`` of them are the entities of ``tags``.

    Example:
        >>> to_bio(["I-PER", "I-PER", "B-PER", "O", "S-LOC"])
        ['B-PER', 'I-PER', 'B-PER', 'O', 'B-LOC']
    """
    bio = ["O"] * len(tags)
    for kind, start, end in entities(tags):
        for place in range(start, end):
            bio[place] = ("B" if place == start else "I") + (f"-{kind}" if kind else "")
    return bio


def find_scheme(sequences: Iterable[Sequence[str]]) -> str:
    """The scheme of the tags of all texts.

    Args:
        sequences: per text, one tag per word.

    Returns:
        ``BIOES`` or ``BILOU`` if a letter is there that only these have; else ``BIO`` if every
        entity starts with ``B-`` (also if there are none); else ``IOB1`` if every ``B-`` follows an
        entity of its own type, the only place where IOB1 has one; else ``mixed``. ``none`` if a tag
        belongs to no scheme, such as a part of speech.

    Example:
        >>> find_scheme([["I-PER", "B-PER", "O"]])
        'IOB1'
    """
    letters: set[str] = set()
    bare_start = needless = False
    for tags in sequences:
        before = "O"
        for tag in tags:
            letter, dash, kind = tag.partition("-")
            if letter not in LETTERS or bool(dash) != bool(kind) or (letter == "O") == bool(kind):
                return "none"
            letters.add(letter)
            same = before != "O" and before.partition("-")[2] == kind
            bare_start |= letter == "I" and not same
            needless |= letter == "B" and not same
            before = tag
    if letters & {*"LU"}:
        return "mixed" if letters & {*"ES"} else "BILOU"
    if letters & {*"ES"}:
        return "BIOES"
    if not bare_start:
        return "BIO"
    return "mixed" if needless else "IOB1"
