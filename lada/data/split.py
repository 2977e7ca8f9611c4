"""Labelled rows."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Split:
    """Labelled rows of one or two texts each."""

    name: str
    """"train", "validation" or the name of a dev split."""
    texts: Sequence[str]
    """The text, or first text, of each row."""
    pairs: Sequence[str] | None
    """The second text of each row; None for tasks of one text."""
    labels: NDArray[np.int64]
    """Class ids, (rows,)."""

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
        """SHA-256, in hex, of every text, pair and label in order; the split's name is no part."""
        # The arity and each text's length come first, so no two contents give the same bytes.
        digest = hashlib.sha256(b"1" if self.pairs is None else b"2")
        for row in range(len(self)):
            digest.update(framed(self, row))
        digest.update(self.labels.astype("<i8").tobytes())
        return digest.hexdigest()

    def take(self, name: str, rows: NDArray[np.int64]) -> "Split":
        """Return the split called `name` of these rows, in the order given."""
        return Split(
            name=name,
            texts=[self.texts[row] for row in rows],
            pairs=None if self.pairs is None else [self.pairs[row] for row in rows],
            labels=self.labels[rows],
        )


@dataclass(frozen=True, eq=False)
class TaskData:
    """All rows of one task."""

    task: str
    """Name of the task in `lada.data.tasks.TASKS`."""
    labels: tuple[str, ...]
    """Label words by class id."""
    metrics: tuple[str, ...]
    """What the task is scored by, the first being the main one."""
    train: Split
    """Examples trained on; none of them is in `validation`."""
    validation: Split
    """Examples cut from the training set, to choose between settings without using dev."""
    dev: dict[str, Split]
    """Examples that results are reported on, by dev split."""


def framed(split: Split, row: int) -> bytes:
    """Return a row's texts as bytes, each after its length in bytes."""
    texts = [split.texts[row]] if split.pairs is None else [split.texts[row], split.pairs[row]]
    encoded = [text.encode() for text in texts]
    return b"".join(len(text).to_bytes(8, "little") + text for text in encoded)
