"""GLUE tasks from a folder of TSV files: the official download, or files with texts and label."""

import logging
import math
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

import numpy as np

from lada.data.columns import find_column, listed, needed
from lada.data.split import Split
from lada.data.tasks import TASKS, TaskSpec
from lada.data.textfile import read_lines
from lada.errors import LadaError

log = logging.getLogger("lada")

_KEY = "data.dir"
_LABEL_COLUMNS = ("gold_label", "is_duplicate", "Quality", "score", "label")
_NO_LABEL = "-"
"""Gold label of MNLI examples on which the annotators did not agree."""


def load_glue(spec: TaskSpec, data_dir: Path) -> tuple[Split, dict[str, Split]]:
    """Read the training split and the dev splits of a GLUE task.

    Columns are found by their names in the header row. Labels are the task's words or their ids, or
    numbers for a regression.

    Args:
        spec: the task.
        data_dir: folder that holds the task's folder, or the task's folder itself; its files are
            `train.tsv` and one per dev split, each plain or `.gz`. Other files are ignored.

    Returns:
        All training examples and the dev splits by name.

    Raises:
        LadaError: a file is missing, empty or malformed, a column is missing, a label is unknown,
            the training file has one class or number only, or a dev split equals the training file.
    """
    folder = data_dir / spec.folder
    if not folder.is_dir():
        folder = data_dir
    paths = {name: _find(folder, name, spec) for name in ("train", *spec.dev_splits)}
    train = _read_split(paths["train"], "train", spec)
    if len(np.unique(train.labels)) < 2:
        one = "number" if spec.kind == "regression" else "class"
        raise LadaError(
            f"{paths['train']}: has one {one} only, {_word(train.labels[0], spec)}. Set {_KEY} "
            "to a folder with all training examples."
        )
    dev = {name: _read_split(paths[name], name, spec) for name in spec.dev_splits}
    for name, split in dev.items():
        if split.digest == train.digest:
            raise LadaError(
                f"{paths[name]}: holds the same examples as {paths['train']}. Put the {name} split "
                "there."
            )
    return train, dev


def load_tests(spec: TaskSpec, data_dir: str | None) -> dict[str, tuple[list[str], Split]]:
    """Read the unlabelled test files of a GLUE task.

    Args:
        data_dir: as for `load_glue`; None is rejected.

    Returns:
        For each file, by its name on GLUE's server: the numbers of its examples, and the examples
        in its order, with 0 for every label.

    Raises:
        LadaError: the task has no such files, or one is missing, empty or malformed.
    """
    files = " and ".join(f"{spec.folder}/{stem}.tsv" for stem, _ in spec.tests)
    if not spec.tests:
        raise LadaError(
            f"submit=true: task {spec.name} has no GLUE test set. Set submit=false, or task to one "
            f"of {', '.join(other.name for other in TASKS.values() if other.tests)}."
        )
    if data_dir is None:
        raise LadaError(f"submit=true: data.dir is not set. Set it to a folder with {files}.")
    folder = Path(data_dir) / spec.folder
    if not folder.is_dir():
        folder = Path(data_dir)
    found = {}
    for stem, name in spec.tests:
        path = next((p for p in _places(folder, stem) if p.exists()), None)
        if path is None:
            raise LadaError(
                f"submit=true: there is no file {folder / stem}.tsv or .tsv.gz. Put GLUE's there, "
                "or set submit=false."
            )
        found[name] = _read_test(path, stem, spec)
    return found


def _read_test(path: Path, stem: str, spec: TaskSpec) -> tuple[list[str], Split]:
    lines = (line.rstrip("\r\n").split("\t") for line in read_lines(path, _KEY))
    header = next(lines)
    number, *texts = (
        find_column(header, column, str(path), needed(column))
        for column in (spec.test_id, *_text_columns(header, spec))
    )
    # No row is dropped: the server needs an answer for each.
    rows = [row for _, row in _whole_rows(enumerate(lines, 2), len(header), path, 0)]
    if not rows:
        raise LadaError(f"{path}: has no examples. Set {_KEY} to a folder with complete files.")
    columns = [[row[place] for row in rows] for place in texts]
    split = Split(
        name=stem,
        texts=columns[0],
        pairs=columns[1] if len(columns) > 1 else None,
        labels=np.zeros(len(rows), dtype=np.int64),
    )
    return [row[number] for row in rows], split


def _places(folder: Path, stem: str) -> tuple[Path, Path]:
    return folder / f"{stem}.tsv", folder / f"{stem}.tsv.gz"


def _find(folder: Path, name: str, spec: TaskSpec) -> Path:
    for path in _places(folder, name):
        if path.exists():
            return path
    needed = " and ".join(f"{spec.folder}/{stem}.tsv" for stem in ("train", *spec.dev_splits))
    raise LadaError(
        f"{folder / name}.tsv: there is no such file, nor .tsv.gz. Set {_KEY} to a folder with "
        f"{needed}."
    )


def _read_split(path: Path, name: str, spec: TaskSpec) -> Split:
    lines = (line.rstrip("\r\n").split("\t") for line in read_lines(path, _KEY))
    numbered: Iterator[tuple[int, list[str]]] = enumerate(lines, start=1)
    first = next(numbered)
    header, than = first[1], "the header"
    if spec.bare_columns and not {"sentence", "label"} <= set(header):
        # The official files have no header: the first line is an example.
        header, numbered = list(spec.bare_columns), chain([first], numbered)
        than = "the official file"
    texts = [
        find_column(header, column, str(path), needed(column))
        for column in _text_columns(header, spec)
    ]
    label = _label_column(header, path)
    # Labels may be words, as in the files of MNLI and QNLI, or ids, as in those of SST-2 and QQP.
    ids = {str(place): place for place in range(len(spec.labels))}
    ids |= {word: place for place, word in enumerate(spec.labels)}
    columns: list[list[str]] = [[] for _ in texts]
    labels: list[int | float] = []
    for number, row in _whole_rows(numbered, len(header), path, spec.malformed_lines, than):
        if spec.kind == "regression":
            labels.append(_score(row[label], f"{path} line {number}"))
        elif row[label] in ids:
            labels.append(ids[row[label]])
        else:
            if header[label] == "gold_label" and row[label] == _NO_LABEL:
                continue
            raise LadaError(
                f"{path} line {number}: has the unknown label {row[label]!r}. Set it to one of "
                f"{listed(tuple(ids))}."
            )
        for column, place in zip(columns, texts, strict=True):
            column.append(row[place])
    if not labels:
        raise LadaError(
            f"{path}: has no labelled examples. Set {_KEY} to a folder with complete files."
        )
    return Split(
        name=name,
        texts=columns[0],
        pairs=columns[1] if len(columns) > 1 else None,
        labels=np.array(labels, dtype=np.float32 if spec.kind == "regression" else np.int64),
    )


def _text_columns(header: list[str], spec: TaskSpec) -> tuple[str, ...]:
    """The text columns as this file calls them."""
    official = spec.official_columns
    return official if official and official[0] in header else spec.columns


def _score(text: str, where: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise LadaError(f"{where}: has the score {text!r}. Set it to a finite number.")
    return value


def _word(label: float, spec: TaskSpec) -> str:
    return f"{label:g}" if spec.kind == "regression" else repr(spec.labels[int(label)])


def _label_column(header: list[str], path: Path) -> int:
    for column in _LABEL_COLUMNS:
        if column in header:
            return header.index(column)
    return find_column(header, "label", str(path), needed("label"))


def _whole_rows(
    rows: Iterable[tuple[int, list[str]]],
    fields: int,
    path: Path,
    malformed: int,
    than: str = "the header",
) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows with their line numbers.

    Rows with another number of fields than the header are skipped, with a warning, if there are at
    most ``malformed`` of them.

    Raises:
        LadaError: at the end of the rows, if there were more such rows.
    """
    skipped: list[tuple[int, int]] = []
    for number, row in rows:
        if len(row) == fields:
            yield number, row
        else:
            skipped.append((number, len(row)))
    if 0 < len(skipped) <= malformed:
        log.warning(
            "%s: %d malformed lines skipped, the first is line %d",
            path,
            len(skipped),
            skipped[0][0],
        )
    elif skipped:
        number, found = skipped[0]
        more = f" (and {len(skipped) - 1} more such lines)" if len(skipped) > 1 else ""
        raise LadaError(
            f"{path} line {number}: has {found} fields, but {than} has {fields}{more}. "
            "Correct or delete these lines."
        )
