"""GLUE tasks from a folder of TSV files: the official download, or files of texts and label."""

import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from lada.data.columns import find_column, listed
from lada.data.split import Split
from lada.data.tasks import TASKS, TaskSpec
from lada.data.textfile import read_lines
from lada.errors import LadaError

log = logging.getLogger("lada")

_KEY = "data.dir"
_LABEL_COLUMNS = ("gold_label", "is_duplicate", "label")
_NO_LABEL = "-"
"""Gold label of MNLI rows that annotators did not agree on."""


def load_glue(spec: TaskSpec, data_dir: Path) -> tuple[Split, dict[str, Split]]:
    """Read the training rows and the dev splits of a GLUE task.

    Columns are found by their names in the header row. Labels are the task's words or their ids.

    Args:
        spec: the task.
        data_dir: folder that holds the task's folder, or the task's folder itself; its files are
            `train.tsv` and one per dev split, each plain or `.gz`. Other files are left aside.

    Returns:
        All training rows and the dev splits by name.

    Raises:
        LadaError: a file is missing, empty or broken, a column is not there, a label is unknown,
            the training file has one class only, or a dev split is the training file.
    """
    folder = data_dir / spec.folder
    if not folder.is_dir():
        folder = data_dir
    paths = {name: _find(folder, name, spec) for name in ("train", *spec.dev_splits)}
    train = _read_split(paths["train"], "train", spec)
    if len(np.unique(train.labels)) < 2:
        raise LadaError(
            f"{paths['train']} has one class only, {spec.labels[train.labels[0]]!r}; set {_KEY} to "
            "a folder with all of the training rows"
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
        data_dir: as for `load_glue`; None is refused.

    Returns:
        By the name that GLUE's server has for it: the numbers that a file gives its rows, and the
        rows in its order, with 0 for every label.

    Raises:
        LadaError: the task has no such files, or one is missing, empty or broken.
    """
    files = " and ".join(f"{spec.folder}/{stem}.tsv" for stem, _ in spec.tests)
    if not spec.tests:
        raise LadaError(
            f"submit=true: task {spec.name} has no GLUE test set; set submit=false, or task to one "
            f"of {', '.join(other.name for other in TASKS.values() if other.tests)}"
        )
    if data_dir is None:
        raise LadaError(f"submit=true: data.dir is not set; set it to a folder with {files}")
    folder = Path(data_dir) / spec.folder
    if not folder.is_dir():
        folder = Path(data_dir)
    found = {}
    for stem, name in spec.tests:
        path = next((p for p in _places(folder, stem) if p.exists()), None)
        if path is None:
            raise LadaError(
                f"submit=true: no file {folder / stem}.tsv or .tsv.gz; put GLUE's there, or set "
                "submit=false"
            )
        found[name] = _read_test(path, stem, spec)
    return found


def _read_test(path: Path, stem: str, spec: TaskSpec) -> tuple[list[str], Split]:
    lines = (line.rstrip("\r\n").split("\t") for line in read_lines(path, _KEY))
    header = next(lines)
    number, *texts = (
        find_column(header, column, str(path), _KEY) for column in (spec.test_id, *spec.columns)
    )
    # A torn row would be one that the server misses: none is left out.
    rows = [row for _, row in _whole_rows(lines, len(header), path, 0)]
    if not rows:
        raise LadaError(f"{path} holds no rows; set {_KEY} to a folder with whole files")
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
    raise LadaError(f"no file {folder / name}.tsv or .tsv.gz; set {_KEY} to a folder with {needed}")


def _read_split(path: Path, name: str, spec: TaskSpec) -> Split:
    lines = (line.rstrip("\r\n").split("\t") for line in read_lines(path, _KEY))
    header = next(lines)
    texts = [find_column(header, column, str(path), _KEY) for column in spec.columns]
    label = _label_column(header, path)
    # A user may have labels by word, as MNLI and QNLI files do, or by id, as SST-2 and QQP do.
    ids = {str(place): place for place in range(len(spec.labels))}
    ids |= {word: place for place, word in enumerate(spec.labels)}
    columns: list[list[str]] = [[] for _ in texts]
    labels: list[int] = []
    for number, row in _whole_rows(lines, len(header), path, spec.torn_lines):
        if row[label] not in ids:
            if header[label] == "gold_label" and row[label] == _NO_LABEL:
                continue
            raise LadaError(
                f"{path} line {number}: unknown label {row[label]!r}; "
                f"labels are {listed(tuple(ids))}"
            )
        labels.append(ids[row[label]])
        for column, place in zip(columns, texts, strict=True):
            column.append(row[place])
    if not labels:
        raise LadaError(f"{path} holds no labelled rows; set {_KEY} to a folder with whole files")
    return Split(
        name=name,
        texts=columns[0],
        pairs=columns[1] if len(columns) > 1 else None,
        labels=np.array(labels, dtype=np.int64),
    )


def _label_column(header: list[str], path: Path) -> int:
    for column in _LABEL_COLUMNS:
        if column in header:
            return header.index(column)
    return find_column(header, "label", str(path), _KEY)


def _whole_rows(
    rows: Iterator[list[str]], fields: int, path: Path, torn: int
) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows with their line numbers, counted from 2 after the header.

    Rows with another number of fields than the header are left out, with a warning, if they are
    ``torn`` at most.

    Raises:
        LadaError: at the end of the rows, if there were more such rows.
    """
    broken: list[tuple[int, int]] = []
    for number, row in enumerate(rows, start=2):
        if len(row) == fields:
            yield number, row
        else:
            broken.append((number, len(row)))
    if 0 < len(broken) <= torn:
        log.warning(
            "%s: %d torn lines left out, the first is line %d", path, len(broken), broken[0][0]
        )
    elif broken:
        number, found = broken[0]
        more = f" (and {len(broken) - 1} more such lines)" if len(broken) > 1 else ""
        raise LadaError(
            f"{path} line {number}: {found} fields, where the header has {fields}{more}; "
            "mend or delete the broken lines"
        )
