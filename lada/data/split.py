"""Labelled examples."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

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
    labels: NDArray[np.int64]
    """Class ids, (examples,)."""

    def __post_init__(self) -> None:
        counts = {len(self.texts), len(self.labels)}
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
        digest.update(self.labels.astype("<i8").tobytes())
        return digest.hexdigest()

    def take(self, name: str, examples: NDArray[np.int64]) -> "Split":
        """Return the split called `name` with the examples of these numbers, in the order given."""
        return Split(
            name=name,
            texts=[self.texts[number] for number in examples],
            pairs=None if self.pairs is None else [self.pairs[number] for number in examples],
            labels=self.labels[examples],
        )


@dataclass(frozen=True, eq=False)
class TaskData:
    """All examples of one task."""

    task: str
    """Name of the task in `lada.data.tasks.TASKS`."""
    labels: tuple[str, ...]
    """Label words by class id."""
    metrics: tuple[str, ...]
    """The metrics of the task, the main one first."""
    train: Split
    """Examples trained on; none of them is in `validation`."""
    validation: Split
    """Examples cut from the training set, to choose between settings without using dev."""
    dev: dict[str, Split]
    """Examples that results are reported on, by dev split."""


def framed(split: Split, number: int) -> bytes:
    """Return the texts of an example as bytes, each after its length in bytes."""
    texts = [split.texts[number]]
    if split.pairs is not None:
        texts.append(split.pairs[number])
    encoded = [text.encode() for text in texts]
    return b"".join(len(text).to_bytes(8, "little") + text for text in encoded)
