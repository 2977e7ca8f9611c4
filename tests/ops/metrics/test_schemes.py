"""Schemes of tags: what is written in one is found as that one and read back from BIO."""

import random

import pytest
from seqeval.scheme import IOB2, IOBES, Entities

from lada.ops.metrics.entities import Entity, entities
from lada.ops.metrics.schemes import find_scheme, to_bio

RANDOM = random.Random(1)


def written(found: list[Entity], length: int, scheme: str) -> list[str]:
    """Tags of the entities, by the definition of each scheme."""
    tags = ["O"] * length
    for kind, start, end in found:
        for place in range(start, end):
            first, last = place == start, place == end - 1
            if scheme == "BIO":
                letter = "B" if first else "I"
            elif scheme == "IOB1":
                after = any(entity[0] == kind and entity[2] == start for entity in found)
                letter = "B" if first and after else "I"
            else:
                one, final = ("S", "E") if scheme == "BIOES" else ("U", "L")
                letter = one if first and last else "B" if first else final if last else "I"
            tags[place] = f"{letter}-{kind}"
    return tags


def drawn() -> tuple[list[Entity], int]:
    found: list[Entity] = []
    place = 0
    for _ in range(RANDOM.randrange(6)):
        start = place + RANDOM.choice([0, 0, 1])
        place = start + RANDOM.randrange(1, 4)
        found.append((RANDOM.choice(["PER", "LOC"]), start, place))
    return found, place + RANDOM.randrange(2)


@pytest.mark.parametrize("scheme", ["BIO", "IOB1", "BIOES", "BILOU"])
def test_every_scheme(scheme: str) -> None:
    texts = [drawn() for _ in range(300)]
    tags = [written(found, length, scheme) for found, length in texts]
    assert find_scheme(tags) == scheme
    for one, (found, length) in zip(tags, texts, strict=True):
        assert entities(one) == found
        assert to_bio(one) == written(found, length, "BIO")


def test_bio_as_seqeval_reads_it_strictly() -> None:
    for _ in range(300):
        found, length = drawn()
        tags = written(found, length, "BIOES")
        for scheme, sequence in ((IOBES, tags), (IOB2, to_bio(tags))):
            strict = [e.to_tuple()[1:] for e in Entities([sequence], scheme).entities[0]]
            assert strict == found


def test_invalid_tags_keep_their_entities() -> None:
    for _ in range(500):
        tags = [RANDOM.choice(["O", "B-A", "I-A", "E-A", "S-B", "I-B"]) for _ in range(7)]
        assert entities(to_bio(tags)) == entities(tags)
        assert to_bio(to_bio(tags)) == to_bio(tags)


@pytest.mark.parametrize(
    ("tags", "scheme"),
    [
        ([], "BIO"),
        (["O"], "BIO"),
        (["B-A", "B-A", "I-A"], "BIO"),
        (["I-A"], "IOB1"),
        (["B-A", "I-B"], "mixed"),
        (["S-A", "U-A"], "mixed"),
        (["NN", "O"], "none"),
        (["I"], "none"),
        (["B-"], "none"),
        (["O-A"], "none"),
    ],
)
def test_few_tags(tags: list[str], scheme: str) -> None:
    assert find_scheme([tags]) == scheme


def test_no_type() -> None:
    assert to_bio(["I", "E", "S"]) == ["B", "I", "B"]
