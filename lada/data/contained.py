"""Which texts of a set are contained in longer ones, word by word."""

import hashlib
from array import array
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

_BASE = np.uint64(0x9E3779B97F4A7C15)
"""Base of a polynomial hash modulo 2^64; odd, so that it has an inverse."""
_PREFIX = 8
"""Longer texts are searched for by this many of their first words."""
_BLOCK = 1 << 18
"""Words that are searched at a time; it bounds the memory."""

_Ints = NDArray[np.int64]


class Containment:
    """The word sequences of some texts, and which of them occur within longer ones.

    The words of a text are what `str.split` gives: the runs of characters between whitespace, with
    case and punctuation as they are. Texts of the same words are one sequence. A sequence is
    contained in another if the other has more words and, somewhere, all of its words one after
    another; nothing is contained in it if it has no words. Sequences are identified by their
    number of words and a 64-bit hash of them, the same on every machine.

    Attributes:
        sequence: the sequence of each text, (texts,).
        words: how many words each sequence has, (sequences,), in ascending order.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        values, counts = _hashed_words(texts)
        base = np.full(len(values), _BASE, dtype=np.uint64)
        inverse = np.full(len(values), pow(int(_BASE), -1, 2**64), dtype=np.uint64)
        # The hash of the words from a to b is the sum of value_i * base^(i - a): the difference of
        # two sums that begin with the first text, over base^a. Overflow is the modulo.
        sums = np.cumsum(values * np.multiply.accumulate(base) * inverse[:1], dtype=np.uint64)
        self._sums = np.concatenate([np.zeros(1, dtype=np.uint64), sums])
        self._inverse = np.multiply.accumulate(inverse) * base[:1]
        starts = np.cumsum(counts) - counts
        has = counts > 0
        hashes = np.zeros(len(counts), dtype=np.uint64)
        hashes[has] = self._hash(starts[has], counts[has])
        keys, first, self.sequence = np.unique(
            np.stack([counts.astype(np.uint64), hashes], axis=1),
            axis=0,
            return_index=True,
            return_inverse=True,
        )
        self.words: _Ints = keys[:, 0].astype(np.int64)
        self._hashes = keys[:, 1].copy()
        self._starts = starts[first]

    def contained(self) -> NDArray[np.bool_]:
        """Return of each sequence whether another contains it, (sequences,)."""
        found = np.zeros(len(self.words), dtype=np.bool_)
        for _, inner in self._occurrences(np.arange(len(self.words))):
            found[inner] = True
        return found

    def within(self, outer: _Ints) -> list[set[int]]:
        """Return, for each of the sequences ``outer``, those that it contains."""
        found: list[set[int]] = [set() for _ in outer]
        for places, inner in self._occurrences(outer):
            for place, sequence in zip(places.tolist(), inner.tolist(), strict=True):
                found[place].add(sequence)
        return found

    def _hash(self, starts: _Ints, words: _Ints | int) -> NDArray[np.uint64]:
        """The hashes of the runs of this many words that begin there."""
        difference = self._sums[starts + words] - self._sums[starts]
        hashes: NDArray[np.uint64] = difference * self._inverse[starts]
        return hashes

    def _occurrences(self, outer: _Ints) -> Iterator[tuple[_Ints, _Ints]]:
        """Yield places in ``outer`` and the sequences found there; a pair may come again."""
        longer = self._starts[self.words > _PREFIX]
        prefixes = np.unique(self._hash(longer, _PREFIX))
        ends = np.cumsum(self.words[outer])
        cuts = np.flatnonzero(np.diff(ends // _BLOCK)) + 1
        for places in np.split(np.arange(len(outer)), cuts):
            yield from self._search(places, outer[places], prefixes)

    def _search(
        self, places: _Ints, outer: _Ints, prefixes: NDArray[np.uint64]
    ) -> Iterator[tuple[_Ints, _Ints]]:
        # For each word: its text's index and number of words, the words left to its end, its place.
        whole = self.words[outer]
        owner = np.repeat(places, whole)
        left = np.repeat(np.cumsum(whole), whole) - np.arange(len(owner))
        whole = np.repeat(whole, whole)
        start = np.repeat(self._starts[outer], self.words[outer]) + whole - left
        narrow = True
        lengths, firsts = np.unique(self.words, return_index=True)
        ends = np.append(firsts, len(self.words))[1:]
        for length, low, high in zip(lengths, firsts, ends, strict=True):
            if length == 0:
                continue
            keep = (left >= length) & (whole > length)
            if length > _PREFIX and narrow:
                keep = np.flatnonzero(keep)
                keep = keep[_matches(self._hash(start[keep], _PREFIX), prefixes)[0]]
                narrow = False
            owner, left, whole, start = owner[keep], left[keep], whole[keep], start[keep]
            if len(owner) == 0:
                return
            hit, at = _matches(self._hash(start, length), self._hashes[low:high])
            yield owner[hit], low + at


def _matches(found: NDArray[np.uint64], known: NDArray[np.uint64]) -> tuple[_Ints, _Ints]:
    """The places of those found that are known, and their places in ``known``, which is sorted."""
    shift = np.uint64(60 - min(len(known).bit_length(), 24))
    seen = np.zeros(2 ** (64 - int(shift)), dtype=np.bool_)  # by first bits: most are ruled out
    seen[known >> shift] = True
    maybe = np.flatnonzero(seen[found >> shift])
    at = np.searchsorted(known, found[maybe])
    hit = np.flatnonzero(known[np.minimum(at, len(known) - 1)] == found[maybe])
    return maybe[hit], at[hit]


class _WordHashes(dict[str, int]):
    """64 bits for each word, computed once."""

    def __missing__(self, word: str) -> int:
        digest = hashlib.blake2b(word.encode(), digest_size=8).digest()
        self[word] = value = int.from_bytes(digest, "little")
        return value


def _hashed_words(texts: Sequence[str]) -> tuple[NDArray[np.uint64], _Ints]:
    """64 bits for each word of all texts, (all words,), and the number of words, (texts,)."""
    known = _WordHashes()
    values, counts = array("Q"), array("q")
    for text in texts:
        words = text.split()
        values.extend(map(known.__getitem__, words))
        counts.append(len(words))
    return np.frombuffer(values, dtype=np.uint64), np.frombuffer(counts, dtype=np.int64)
