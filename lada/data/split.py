"""Labelled rows, and the cut of the training rows into those trained on and those selected on."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from lada.errors import LadaError

_SELECT_ROWS = 2000
_SELECT_SHARE = 10
"""By default one row in this many, and at most `_SELECT_ROWS`, are kept for selection."""


@dataclass(frozen=True, eq=False)
class Split:
    """Labelled rows of one or two texts each."""

    name: str
    """"train", "select" or the name of a dev split."""
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
            digest.update(_framed(self, row))
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
    """Rows trained on; none of them is in `select`."""
    select: Split
    """Rows cut from the training set, to choose between settings without seeing dev rows."""
    dev: dict[str, Split]
    """Rows that results are reported on, by dev split."""


def cut_select(train: Split, rows: int | None) -> tuple[Split, Split]:
    """Cut selection rows off the training rows, by the content of their texts.

    The rows whose texts hash lowest go to selection. So the cut is the same whatever the order of
    the file, and rows of identical texts fall on the same side; where they straddle the cut all of
    them go to selection, which then has a few rows more than asked for.

    Args:
        train: all training rows.
        rows: how many rows to keep for selection; None for 10 % of them, 2000 at most.

    Returns:
        The rows left to train on and the selection rows, both in the order of the file.

    Raises:
        LadaError: there are too few rows to keep any for selection, or none is left to train on.
    """
    total = len(train)
    if rows is None:
        rows = min(_SELECT_ROWS, total // _SELECT_SHARE)
        if rows == 0:
            raise LadaError(
                f"train has {total} rows, too few to keep 10 % of them for selection; "
                f"give {_SELECT_SHARE} or more rows, or set data.select"
            )
    if rows < 1:
        raise LadaError(f"data.select={rows} keeps no row for selection; set 1 or more")
    if rows >= total:
        raise LadaError(
            f"data.select={rows} leaves nothing of {total} train rows to train on; set fewer"
        )
    hashes = np.array([_text_hash(train, row) for row in range(total)], dtype=np.uint64)
    chosen = hashes <= np.partition(hashes, rows - 1)[rows - 1]
    if chosen.all():
        raise LadaError(
            f"data.select={rows} leaves nothing of {total} train rows to train on, since rows "
            "of the same texts stay together; set fewer, or give more distinct rows"
        )
    return (
        train.take("train", np.flatnonzero(~chosen)),
        train.take("select", np.flatnonzero(chosen)),
    )


def _text_hash(split: Split, row: int) -> int:
    """Return a 64-bit hash of a row's texts, without its label."""
    return int.from_bytes(hashlib.blake2b(_framed(split, row), digest_size=8).digest(), "little")


def _framed(split: Split, row: int) -> bytes:
    """Return a row's texts as bytes, each after its length in bytes."""
    texts = [split.texts[row]] if split.pairs is None else [split.texts[row], split.pairs[row]]
    encoded = [text.encode() for text in texts]
    return b"".join(len(text).to_bytes(8, "little") + text for text in encoded)
