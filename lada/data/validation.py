"""The cut of the training examples into the training split and the validation split."""

import hashlib
import logging
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lada.data.contained import Containment
from lada.data.split import Split, framed
from lada.errors import LadaError

log = logging.getLogger("lada")

SPLIT_BY = ("example", "sentence")
"""The ways to cut."""

_EXAMPLES = 2000
_SHARE = 10
"""By default one example in this many, and at most `_EXAMPLES`, are held out for validation."""
PHRASE = 3
"""Contained texts of fewer words stay in training: words and pairs of words occur everywhere."""
_MANY = 0.1
"""From this share of texts contained in others on, "auto" takes the data to consist of phrases."""
_SENTENCES = 512
"""Sentences whose phrases are looked up at a time."""

_Ints = NDArray[np.int64]


def cut_validation(
    train: Split, examples: int | None, split_by: str, together: _Ints | None = None
) -> tuple[Split, Split]:
    """Cut the validation split off the training examples, by the content of their texts.

    ``example``: the examples whose texts hash lowest go to validation, those of identical texts
    together.

    ``sentence``: whole sentences go to validation, those whose texts hash lowest, each with all the
    phrases of three words or more that it contains, so that none of them is trained on. A whole
    sentence is a text that no other contains; `Containment` defines what a text contains. It is
    the same cut as ``example`` where no text contains another.

    Examples of the same query (``Split.groups``), or of the same number in ``together``, stay
    together, whichever is asked for.

    Neither cut depends on the order of the file. It ends with the text, or the sentence, that
    reaches the number asked for, so the validation split may be slightly larger. A text, or a
    sentence with its phrases, is skipped if a class would have no training example left without
    it, or if it makes up more than half of all examples.

    Args:
        train: all training examples.
        examples: how many to hold out for validation; None for 10 % of them, 2000 at most.
        split_by: "example"; "sentence"; or "auto", which is "sentence" if a tenth or more of the
            distinct texts of three words or more are contained in others, else "example".
        together: the number of what each example belongs to, such as its context, (examples,).

    Returns:
        The training split and the validation split, both in the order of the file.

    Raises:
        LadaError: there are too few examples to hold out any, or none is left for training, or
            "sentence" is given and examples are pairs of texts.
    """
    asked = _asked(len(train), examples)
    texts = None
    if split_by == "sentence" and train.pairs is not None:
        raise LadaError(
            "data.split_by=sentence: the examples are pairs of texts. Set data.split_by=example."
        )
    together = train.groups if together is None else together
    single = train.pairs is None and together is None
    if split_by == "sentence" or (split_by == "auto" and single):
        texts = _Phrases(train)
        if split_by == "auto":
            if texts.share < _MANY:
                texts = None
            else:
                log.info(
                    "data.split_by=auto: %.0f %% of the training texts are contained in others, so "
                    "the validation split takes whole sentences with their phrases",
                    100 * texts.share,
                )
    if together is not None:
        groups: Iterator[_Ints] = _queries(train, together)
    else:
        groups = _equal_texts(train) if texts is None else texts.sentences()
    chosen = _choose(groups, _classes(train.labels), asked)
    count = int(chosen.sum())
    if count == 0:
        raise LadaError(
            f"data.validation={asked}: no example can be held out for validation, since examples "
            "of the same texts stay together and each class keeps a training example. "
            "Give more examples" + ("." if texts is None else ", or set data.split_by=example.")
        )
    if count < asked:
        log.warning(
            "the validation split has %d examples, not %d: examples of the same texts stay "
            "together and each class keeps a training example",
            count,
            asked,
        )
    return (
        train.take("train", np.flatnonzero(~chosen)),
        train.take("validation", np.flatnonzero(chosen)),
    )


def _asked(total: int, examples: int | None) -> int:
    if examples is None:
        examples = min(_EXAMPLES, total // _SHARE)
        if examples == 0:
            raise LadaError(
                f"data.validation=null: train has {total} examples, too few to hold out 10 % of "
                f"them for validation. Give {_SHARE} or more, or set data.validation."
            )
    if examples < 1:
        raise LadaError(f"data.validation={examples}: the split would be empty. Set 1 or more.")
    if examples >= total:
        raise LadaError(
            f"data.validation={examples}: this leaves no training example of {total}. Set fewer."
        )
    return examples


def _classes(labels: Any) -> Any:
    """What must not be missing among the training examples: (examples,) or (examples, labels)."""
    if isinstance(labels, list) or (labels.ndim == 1 and labels.dtype != np.int64):
        return np.zeros(len(labels), dtype=np.int64)  # numbers, tags and answers are no classes
    return labels if labels.ndim == 1 else labels > 0


def _counts(labels: NDArray[Any], classes: int) -> _Ints:
    if labels.ndim == 2:
        return np.asarray(labels.sum(0), dtype=np.int64)
    return np.bincount(labels[labels >= 0], minlength=classes)


def _choose(groups: Iterator[_Ints], labels: NDArray[Any], asked: int) -> NDArray[np.bool_]:
    """Take groups of examples until there are as many as asked for; returns a mask, (examples,)."""
    chosen = np.zeros(len(labels), dtype=np.bool_)
    left = _counts(labels, 0)
    taken = 0
    for group in groups:
        new = group[~chosen[group]]
        counts = _counts(labels[new], len(left))
        if 2 * len(new) > len(labels) or ((counts > 0) & (counts == left)).any():
            continue
        chosen[new] = True
        left -= counts
        taken += len(new)
        if taken >= asked:
            break
    return chosen


def _equal_texts(split: Split) -> Iterator[_Ints]:
    """Yield the examples of each distinct text, or pair of texts, in the order of its hash."""
    yield from _alike(_hashes(split))


def _queries(split: Split, queries: _Ints) -> Iterator[_Ints]:
    """Yield the examples of each query, in the order of the lowest hash among its examples."""
    hashes, found = _hashes(split), _alike(queries)
    yield from sorted(found, key=lambda examples: int(hashes[examples].min()))


def _alike(keys: NDArray[np.generic]) -> list[_Ints]:
    """The indices of each value, in the order of the values."""
    order = np.argsort(keys, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(keys[order])) + 1)


def _hashes(split: Split) -> NDArray[np.uint64]:
    """A 64-bit hash of each example's texts, without its label, (examples,)."""

    def of(number: int) -> int:
        digest = hashlib.blake2b(framed(split, number), digest_size=8).digest()
        return int.from_bytes(digest, "little")

    return np.array([of(number) for number in range(len(split))], dtype=np.uint64)


class _Phrases:
    """The examples grouped by whole sentences and the phrases in them."""

    def __init__(self, train: Split) -> None:
        self._train = train
        self._texts = Containment(train.texts)
        self._contained = self._texts.contained()

    @property
    def share(self) -> float:
        """The share of the distinct texts of three words or more that others contain."""
        phrases = self._texts.words >= PHRASE
        return float(self._contained[phrases].mean()) if phrases.any() else 0.0

    def sentences(self) -> Iterator[_Ints]:
        """Yield the examples of each whole sentence and its phrases, in the order of its hash."""
        examples = _alike(self._texts.sequence)  # every sequence occurs
        hashes = _hashes(self._train)
        whole = np.flatnonzero(~self._contained)
        lowest = np.array([hashes[examples[i]].min() for i in whole])
        whole = whole[np.argsort(lowest, kind="stable")]
        for start in range(0, len(whole), _SENTENCES):
            some = whole[start : start + _SENTENCES]
            for sentence, inner in zip(some, self._texts.within(some), strict=True):
                phrases = [i for i in inner if self._texts.words[i] >= PHRASE]
                yield np.concatenate([examples[i] for i in (sentence, *phrases)])
