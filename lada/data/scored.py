"""Texts without labels to train on, and pairs of texts with scores of their similarity."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from lada.data.batches import NO_LABEL
from lada.data.label_kinds import check_varied, numbers
from lada.data.split import Split
from lada.data.table import BY_NAME, Columns, Layout, Row, read_file
from lada.data.texts import read_texts
from lada.errors import LadaError

log = logging.getLogger("lada")

PAIRS = Columns("text", "text_pair", "label", kind="regression")
"""The columns of pairs, unless others are given."""


def load_texts(
    train_files: Sequence[Path],
    dev_file: Path,
    columns: Columns = PAIRS,
    layout: Layout = BY_NAME,
    test_file: Path | None = None,
) -> tuple[Split, dict[str, Split]]:
    """Read texts and pairs from files, see `split_scored`.

    Args:
        train_files: their texts are joined; of each see `lada.data.texts.read_texts`.
        dev_file: see `lada.data.table.read_file`; ``test_file`` too.
        columns: of the pairs; that of the first text is that of the texts, too.
        layout: of all files.

    Raises:
        LadaError: a file cannot be read or is malformed, pairs have no second text or a score that
            is not a number, or no text is left.
    """
    check_pairs(columns)
    texts = [
        text
        for file in train_files
        for text in read_texts(file, "task.train_file", columns.text, layout=layout).texts
    ]
    files = {"dev": dev_file} | ({} if test_file is None else {"test": test_file})
    rows = {
        name: read_file(file, f"task.{name}_file", columns, layout) for name, file in files.items()
    }
    train = ", ".join(map(str, train_files))
    names = {"train": f"task.train_file={train}", "dev": str(dev_file), "test": str(test_file)}
    splits = split_scored(texts, rows, names, columns.label)
    return splits.pop("train"), splits


def check_pairs(columns: Columns) -> None:
    """Raise `LadaError` if no column of the second text is named."""
    if columns.text_pair is None:
        raise LadaError(
            "task.text_pair=null: task texts is scored on pairs. Set task.text_pair=..."
        )


def split_scored(
    texts: Sequence[str], rows: Mapping[str, list[Row]], sources: Mapping[str, str], label: str
) -> dict[str, Split]:
    """The texts and the pairs as splits; each distinct text once, without those of the pairs.

    Args:
        texts: to train on.
        rows: pairs and their scores, by the name of the split.
        sources: the names of texts ("train") and pairs in messages.
        label: the column of the scores.

    Raises:
        LadaError: a score is not a number, all are the same, or no text is left.
    """
    splits = {name: _pairs(name, pairs, sources[name], label) for name, pairs in rows.items()}
    held = {text for split in splits.values() for text in split.one_by_one().texts}
    left = [text for text in dict.fromkeys(texts) if text not in held]
    if not left:
        raise LadaError(f"{sources['train']}: all its texts are among the pairs. Give others.")
    if len(left) < len(texts):
        log.info(
            "%s: %d of %d texts are distinct and not among the pairs",
            sources["train"],
            len(left),
            len(texts),
        )
    train = Split("train", left, None, np.full(len(left), NO_LABEL, np.int64))
    return {"train": train, **splits}


def _pairs(name: str, rows: list[Row], source: str, label: str) -> Split:
    scores = numbers([row.raw_label for row in rows], [row.where for row in rows], label)
    check_varied(scores, source, label)
    first, second = zip(*(row.texts for row in rows), strict=True)
    return Split(name, first, second, scores)
