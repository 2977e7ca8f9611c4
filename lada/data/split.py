"""Labelled examples."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Split:
    """Labelled examples of one or two texts each."""

    name: str
    """"train", "validation" or the name of a dev split."""
    texts: Sequence[str]
    """The text, or first text, of each example."""
    pairs: Sequence[str] | None
    """The second text of each example; None for tasks of one text."""
    labels: Any
    """What is learned, by the kind of the task: class ids (examples,) int64; 0 or 1 for each label
    (examples, labels) float32; numbers (examples,) float32; or a list with, for each example, its
    words and tags ``([[start, end], ...], [tag, ...])`` or its answers ``[[start, text], ...]``. An
    example without a label has -100 or NaN, a word without a tag -1."""
    groups: NDArray[np.int64] | None = None
    """The number of the query that each example belongs to, for rerankers, (examples,)."""
    given: NDArray[np.float32] | None = None
    """What another model says of each example, (examples, width): see
    `lada.data.probabilities.given_outputs`. It is not a part of `digest`."""

    def __post_init__(self) -> None:
        counts = {len(self.texts), len(self.labels)}
        for column in (self.groups, self.given):
            if column is not None:
                counts.add(len(column))
        if self.pairs is not None:
            counts.add(len(self.pairs))
        if len(counts) > 1:
            raise ValueError(f"split {self.name!r}: columns of different lengths {sorted(counts)}")

    def __len__(self) -> int:
        return len(self.texts)

    @cached_property
    def digest(self) -> str:
        """SHA-256, in hex, of all texts, pairs and labels in order, without the split's name."""
        # The arity and each text's length come first, so no two contents give the same bytes.
        digest = hashlib.sha256(b"1" if self.pairs is None else b"2")
        for number in range(len(self)):
            digest.update(framed(self, number))
        if isinstance(self.labels, list):
            digest.update(json.dumps(self.labels).encode())
        elif self.labels.dtype == np.int64:
            digest.update(self.labels.astype("<i8").tobytes())
        else:
            # The type is part of it: 1 and 1.0 are labels of different kinds of tasks.
            digest.update(f"{self.labels.shape}f4".encode())
            digest.update(self.labels.astype("<f4").tobytes())
        if self.groups is not None:
            digest.update(self.groups.astype("<i8").tobytes())
        return digest.hexdigest()

    def one_by_one(self) -> "Split":
        """Return its texts without labels: all first texts of pairs, then all second ones."""
        texts = [*self.texts, *(self.pairs or ())]
        return Split(self.name, texts, None, np.full(len(texts), -100, dtype=np.int64))

    def take(self, name: str, examples: NDArray[np.int64]) -> "Split":
        """Return the split called `name` with the examples of these numbers, in the order given."""
        return Split(
            name=name,
            texts=[self.texts[number] for number in examples],
            pairs=None if self.pairs is None else [self.pairs[number] for number in examples],
            labels=[self.labels[number] for number in examples]
            if isinstance(self.labels, list)
            else self.labels[examples],
            groups=None if self.groups is None else self.groups[examples],
            given=None if self.given is None else self.given[examples],
        )


@dataclass(frozen=True, eq=False)
class TaskData:
    """All examples of one task."""

    task: str
    """Name of the task in `lada.data.tasks.TASKS`."""
    labels: tuple[str, ...]
    """Names of classes or tags, by id; empty where there are none."""
    metrics: tuple[str, ...]
    """The metrics of the task, the main one first."""
    train: Split
    """Examples trained on; none of them is in `validation`."""
    validation: Split
    """Examples cut from the training set, to choose between settings without using dev."""
    dev: dict[str, Split]
    """Examples that results are reported on, by dev split."""
    kind: str = "single_label"
    """The kind of the task, see `lada.heads.kinds.KINDS`."""
    unlabeled: Split | None = None
    """Texts without labels, which the student learns from its teacher; None: none."""


def given_digest(data: TaskData) -> str | None:
    """SHA-256, in hex, of what another model says of the examples; None: nothing."""
    digest = hashlib.sha256()
    given = [split.given for split in (data.train, data.unlabeled) if split is not None]
    for part in given:
        digest.update(b"-" if part is None else part.astype("<f4").tobytes())
    return None if all(part is None for part in given) else digest.hexdigest()


def framed(split: Split, number: int) -> bytes:
    """Return the texts of an example as bytes, each after its length in bytes."""
    texts = [split.texts[number]]
    if split.pairs is not None:
        texts.append(split.pairs[number])
    encoded = [text.encode() for text in texts]
    return b"".join(len(text).to_bytes(8, "little") + text for text in encoded)
