"""A user's own classification data, from CSV, TSV or JSON lines files."""

import csv
import difflib
import gzip
import json
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lada.data.split import Split
from lada.errors import LadaError

_DELIMITERS = {".csv": ",", ".tsv": "\t"}
_JSON_SUFFIXES = (".jsonl", ".json")


@dataclass(frozen=True)
class Columns:
    """Which columns of a table hold what."""

    text: str
    """The text, or first text."""
    text_pair: str | None
    """The second text; None if rows have one text."""
    label: str
    """The label."""

    def by_key(self) -> dict[str, str]:
        """Return the columns by the config key that names them, the label last."""
        columns = {"task.text": self.text}
        if self.text_pair is not None:
            columns["task.text_pair"] = self.text_pair
        return columns | {"task.label": self.label}


@dataclass(frozen=True)
class _Row:
    line: int
    texts: list[str]
    label: str


def load_table(
    train_file: Path, dev_file: Path, columns: Columns
) -> tuple[tuple[str, ...], Split, Split]:
    """Read a training and a dev file; the labels are those of the training file.

    Args:
        train_file: a `.csv`, `.tsv` or `.jsonl` file, or one of these with `.gz` after it.
        dev_file: another, with the same columns.
        columns: the columns to read; others are left aside.

    Returns:
        The labels by class id, in order of number if all are integers, else of text; all training
        rows; the dev rows.

    Raises:
        LadaError: a file is missing, empty or broken, a column is not there, a text or label is
            empty, the training file has one class only, or a dev label is none of its classes.
    """
    train = _read_rows(train_file, "task.train_file", columns)
    dev = _read_rows(dev_file, "task.dev_file", columns)
    labels = _in_order({row.label for row in train})
    if len(labels) < 2:
        raise LadaError(
            f"{train_file} has one class only, {labels[0]!r} in column {columns.label!r}; "
            "set task.label to the column of the labels, or give rows of two classes or more"
        )
    ids = {label: place for place, label in enumerate(labels)}
    for row in dev:
        if row.label not in ids:
            raise LadaError(
                f"{dev_file} line {row.line}: label {row.label!r} is not in {train_file}; "
                f"known labels are {listed(labels)}"
            )
    return labels, _split("train", train, ids), _split("dev", dev, ids)


def read_lines(path: Path, key: str) -> Iterator[str]:
    """Yield the lines of a UTF-8 file, plain or `.gz`, each with its line end.

    Only a newline ends a line: texts may hold other characters that Python counts as line ends.

    Args:
        path: the file.
        key: config key that leads to the file, for the error messages.

    Raises:
        LadaError: the file is missing, empty, unreadable, cut off or not UTF-8.
    """
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            number = 0
            for number, line in enumerate(file, start=1):
                try:
                    # Some editors start a file with a byte order mark.
                    yield line.decode("utf-8-sig" if number == 1 else "utf-8")
                except UnicodeDecodeError as error:
                    raise LadaError(
                        f"{path} line {number}: byte {line[error.start]:#04x} is not UTF-8; "
                        "save the file as UTF-8"
                    ) from error
    except FileNotFoundError as error:
        raise LadaError(f"no file {path}; set {key} to one that exists") from error
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise LadaError(f"{path} is broken gzip: {error}; compress or copy it again") from error
    except OSError as error:
        raise LadaError(
            f"cannot read {path}: {error.strerror}; set {key} to a readable file"
        ) from error
    if number == 0:
        raise LadaError(f"{path} is empty; set {key} to a file with rows")


def find_column(header: Sequence[str], column: str, where: str, key: str) -> int:
    """Return the place of a column in a header.

    Args:
        header: the names there are.
        column: the name wanted.
        where: the file, for the error messages.
        key: config key that would mend it.

    Raises:
        LadaError: the column is not there, or there is more than one of that name.
    """
    if column not in header:
        near = difflib.get_close_matches(column, header, n=1, cutoff=0)
        hint = f"; nearest is {near[0]!r}" if near else ""
        raise LadaError(
            f"{where} has no column {column!r}{hint}; columns are {listed(header)}; set {key}"
        )
    if header.count(column) > 1:
        raise LadaError(
            f"{where} has {header.count(column)} columns {column!r}; rename all but one"
        )
    return header.index(column)


def listed(values: Sequence[str]) -> str:
    """Return the values quoted, with commas, and only the first 20 of them."""
    more = f" and {len(values) - 20} more" if len(values) > 20 else ""
    return ", ".join(repr(value) for value in values[:20]) + more


def _in_order(labels: set[str]) -> tuple[str, ...]:
    if all(re.fullmatch(r"[+-]?[0-9]+", label) for label in labels):
        return tuple(sorted(labels, key=lambda label: (int(label), label)))
    return tuple(sorted(labels))


def _split(name: str, rows: list[_Row], ids: dict[str, int]) -> Split:
    return Split(
        name=name,
        texts=[row.texts[0] for row in rows],
        pairs=[row.texts[1] for row in rows] if len(rows[0].texts) > 1 else None,
        labels=np.array([ids[row.label] for row in rows], dtype=np.int64),
    )


def _read_rows(path: Path, key: str, columns: Columns) -> list[_Row]:
    suffix = path.with_suffix("").suffix if path.suffix == ".gz" else path.suffix
    if suffix in _DELIMITERS:
        values = _delimited(path, key, columns.by_key(), _DELIMITERS[suffix])
    elif suffix in _JSON_SUFFIXES:
        values = _json_lines(path, key, columns.by_key())
    else:
        raise LadaError(
            f"{key}={path} is of no known kind; give a .csv, .tsv or .jsonl file, or one of these "
            "with .gz after it"
        )
    rows = [_row(f"{path} line {line}", line, fields, columns) for line, fields in values]
    if not rows:
        raise LadaError(f"{path} holds no rows; set {key} to a file with rows")
    return rows


def _row(where: str, line: int, fields: list[str], columns: Columns) -> _Row:
    for field, column in zip(fields, columns.by_key().values(), strict=True):
        if not field.strip():
            raise LadaError(f"{where}: column {column!r} is empty; fill it in or delete the row")
        try:
            field.encode()
        except UnicodeEncodeError as error:
            raise LadaError(
                f"{where}: column {column!r} has half a surrogate pair, which is no character; "
                "delete it"
            ) from error
    return _Row(line=line, texts=fields[:-1], label=fields[-1].strip())


def _delimited(
    path: Path, key: str, columns: dict[str, str], delimiter: str
) -> Iterator[tuple[int, list[str]]]:
    """Yield the line number and the wanted fields of each row of a CSV or TSV file."""
    reader = csv.reader(read_lines(path, key), delimiter=delimiter, strict=True)
    try:
        header = next(reader)
        places = [find_column(header, column, str(path), k) for k, column in columns.items()]
        for fields in reader:
            if not fields:  # a blank line
                continue
            if len(fields) != len(header):
                raise LadaError(
                    f"{path} line {reader.line_num}: {len(fields)} fields, where the header has "
                    f"{len(header)}; quote fields that hold {delimiter!r} or a newline"
                )
            yield reader.line_num, [fields[place] for place in places]
    except csv.Error as error:
        raise LadaError(
            f"{path} line {reader.line_num}: broken row: {error}; quote it as CSV does"
        ) from error


def _json_lines(path: Path, key: str, columns: dict[str, str]) -> Iterator[tuple[int, list[str]]]:
    """Yield the line number and the wanted fields of each row of a JSON lines file."""
    for number, line in enumerate(read_lines(path, key), start=1):
        where = f"{path} line {number}"
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            row = None
        if not isinstance(row, dict):
            raise LadaError(f"{where}: {line.strip()[:40]!r} is no JSON object; give one a line")
        fields = []
        for column_key, column in columns.items():
            find_column(list(row), column, where, column_key)
            value = row[column]
            if column_key == "task.label" and isinstance(value, int):
                value = json.dumps(value)  # 1 and true are labels as good as "1" and "true"
            if not isinstance(value, str):
                raise LadaError(
                    f"{where}: {column!r} is {repr(value)[:40]}, no text; give a string"
                )
            fields.append(value)
        yield number, fields
