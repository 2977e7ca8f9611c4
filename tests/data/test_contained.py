"""Which texts are contained in others, compared with a search of every text in every other."""

import random

import numpy as np
import pytest

from lada.data import contained
from lada.data.contained import Containment


def _inside(inner: str, outer: str) -> bool:
    """By words joined with one space: no word holds a space."""
    a, b = (f" {' '.join(text.split())} " for text in (inner, outer))
    return a != b and bool(a.strip()) and a in b


def _texts(seed: int, vocabulary: int, longest: int, count: int) -> list[str]:
    draw = random.Random(seed)
    words = [f"w{i}" for i in range(vocabulary)]
    texts = [" ".join(draw.choices(words, k=draw.randint(0, longest))) for _ in range(count)]
    for _ in range(count // 2):  # parts of texts, also long ones
        part = draw.choice(texts).split()
        texts.append(" ".join(part[draw.randint(0, 3) : len(part) - draw.randint(0, 3)]))
    draw.shuffle(texts)
    return texts


CASES = [
    *(_texts(seed, *sizes, count=60)
      for seed, sizes in enumerate([(2, 6), (3, 12), (50, 30), (4, 25), (1, 40)])),
    ["a", "A", "a.", "a b", "ab", "a  b", "\ta\u3000b\n", "b a", "x a b y"],
    ["", " ", "a", "a a", "a a a"],
    ["éa ü", "éa ü 字", "字"],
]  # fmt: skip


@pytest.mark.parametrize("block", [7, 1 << 18])
@pytest.mark.parametrize("texts", CASES)
def test_as_found_by_search(texts: list[str], block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contained, "_BLOCK", block)
    found = Containment(texts)
    flags = found.contained()[found.sequence]
    assert flags.tolist() == [any(_inside(text, other) for other in texts) for text in texts]
    every = np.arange(len(found.words))
    within = found.within(every)
    for outer, sequence in zip(texts, found.sequence, strict=True):
        expected = {int(i) for t, i in zip(texts, found.sequence, strict=True) if _inside(t, outer)}
        assert within[sequence] == expected
    some = every[::3]
    assert found.within(some) == [within[i] for i in some]


def test_equal_words_are_one_sequence() -> None:
    found = Containment(["a b", "b a", " a\tb ", "", "a"])
    assert found.sequence[0] == found.sequence[2] != found.sequence[1]
    assert found.words[found.sequence].tolist() == [2, 2, 2, 0, 1]


def test_no_texts() -> None:
    found = Containment([])
    assert len(found.contained()) == 0 and found.within(np.arange(0)) == []
