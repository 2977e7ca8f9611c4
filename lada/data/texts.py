"""Texts without labels, and the probabilities that another model gave to examples."""

import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lada.data.columns import find_column, listed, shown
from lada.data.delimited import parse_delimiter, read_delimited
from lada.data.jsonlines import read_objects
from lada.data.table import BY_NAME, Layout, is_invisible
from lada.data.textfile import read_lines
from lada.errors import LadaError

_DELIMITERS = {".csv": ",", ".tsv": "\t"}
TOLERANCE = 1e-3
"""Probabilities may sum to this much less or more than 1: they are often rounded."""


class Texts(NamedTuple):
    """Texts without labels."""

    texts: list[str]
    pairs: list[str] | None
    """The second text of each; None for a task of one text."""


def read_texts(
    path: Path, key: str, text: str = "text", pair: str | None = None, layout: Layout = BY_NAME
) -> Texts:
    """Read texts without labels.

    Args:
        path: a ``.txt`` file of one text per line, whose blank lines are skipped, or a ``.csv``,
            ``.tsv`` or ``.jsonl`` file; each plain or with ``.gz`` after it.
        key: config key of the file, for the error messages.
        text: column of the text, or of the first text.
        pair: column of the second text; None for a task of one text.
        layout: delimiter and encoding of the file.

    Raises:
        LadaError: the file is missing, empty or malformed, a column is missing, a text is empty, or
            the task has two texts and the file is a ``.txt``.
    """
    lines = read_lines(path, key, layout.encoding)
    suffix = (path.with_suffix("") if path.suffix == ".gz" else path).suffix.lower()
    columns = {"task.text": text} | ({} if pair is None else {"task.text_pair": pair})
    if suffix == ".txt":
        if pair is not None:
            raise LadaError(
                f"{key}={path}: has one text per line, but the task has two. Give a .csv, .tsv or "
                f".jsonl file with the columns {text!r} and {pair!r}."
            )
        rows = _lines(lines)
    elif suffix in (".jsonl", ".json"):
        rows = _objects(lines, path, key, columns)
    else:
        given = layout.delimiter
        delimiter = _DELIMITERS.get(suffix) if given is None else parse_delimiter(given)
        if delimiter is None:
            raise LadaError(
                f"{key}={path}: the name has no known suffix. Give a .txt, .csv, .tsv or .jsonl "
                "file, or one of these with .gz after it."
            )
        rows = read_delimited(list(lines), path, columns, delimiter)
    found = [checked(f"{path} line {number}", fields, columns) for number, fields in rows]
    if not found:
        raise LadaError(f"{key}={path}: has no texts. Give a file with texts.")
    return Texts(
        [fields[0] for fields in found],
        None if pair is None else [fields[1] for fields in found],
    )


def _lines(lines: Iterator[str]) -> Iterator[tuple[int, list[str]]]:
    for number, line in enumerate(lines, start=1):
        if line.strip():
            yield number, [line.rstrip("\r\n")]


def _objects(
    lines: Iterator[str], path: Path, key: str, columns: dict[str, str]
) -> Iterator[tuple[int, list[str]]]:
    for number, row in read_objects(lines, path, key):
        where, fields = f"{path} line {number}", []
        for name, column in columns.items():
            find_column(list(row), column, where, name)
            value = row[column]
            if not isinstance(value, str):
                said = shown(json.dumps(value))
                raise LadaError(f"{where}: {column!r} is {said}, not a text. Give a string.")
            fields.append(value)
        yield number, fields


def checked(where: str, fields: list[str], columns: dict[str, str]) -> list[str]:
    """The texts of an example, if all are valid and none is empty.

    Args:
        where: the name of the example in messages.
        columns: of the texts, by config key.

    Raises:
        LadaError: one is not.
    """
    for column, field in zip(columns.values(), fields, strict=True):
        try:
            field.encode()
        except UnicodeEncodeError as error:
            raise LadaError(
                f"{where}: {column!r} has half a surrogate pair, which is not a character. "
                "Delete it."
            ) from error
        if not field.strip() or is_invisible(field):
            raise LadaError(f"{where}: {column!r} is empty. Fill it in or delete the line.")
    return fields


def probabilities(
    values: Sequence[object], wheres: Sequence[str], labels: Sequence[str]
) -> NDArray[np.float32]:
    """The probabilities of the classes, from one column of lists.

    Args:
        values: per example a list of numbers in the order of ``labels``, or the same as JSON text.
        wheres: the name of each example in messages.
        labels: the names of the classes, by id.

    Returns:
        Probabilities that sum to 1 up to rounding: (examples, classes).

    Raises:
        LadaError: a value is not such a list, or a number in it is not finite or is negative, or
            they do not sum to 1 within `TOLERANCE`.

    Example:
        >>> probabilities(["[0.25, 0.75]", [1, 0]], ["line 2", "line 3"], ("a", "b")).tolist()
        [[0.25, 0.75], [1.0, 0.0]]
    """
    found = np.empty((len(values), len(labels)), dtype=np.float32)
    for row, (value, where) in enumerate(zip(values, wheres, strict=True)):
        numbers = _numbers(value, where)
        if len(numbers) != len(labels):
            raise LadaError(
                f"{where}: has {len(numbers)} probabilities, but there are {len(labels)} classes. "
                f"Give one for each of {listed(labels)}."
            )
        found[row] = _distribution(numbers, where)
    return found


def column_probabilities(
    columns: dict[str, Sequence[object]], wheres: Sequence[str], labels: Sequence[str]
) -> NDArray[np.float32]:
    """The same as `probabilities`, from one column of numbers per class.

    Args:
        columns: the values of each class's column, by the name of the class in any order.
        wheres: the name of each example in messages.
        labels: the names of the classes, by id.

    Raises:
        LadaError: the columns are not those of the classes, or see `probabilities`.
    """
    if set(columns) != set(labels):
        raise LadaError(
            f"{wheres[0] if wheres else 'probabilities'}: has probabilities of "
            f"{listed(sorted(columns))}, but the classes are {listed(labels)}. Give one column for "
            "each class."
        )
    rows = zip(*(columns[name] for name in labels), strict=True)
    parsed = [
        [_number(value, where) for value in row] for row, where in zip(rows, wheres, strict=True)
    ]
    return probabilities(parsed, wheres, labels)


def _numbers(value: object, where: str) -> list[float]:
    items = value
    if isinstance(value, str):
        try:
            items = json.loads(value)
        except (ValueError, RecursionError):
            items = None
    if isinstance(items, np.ndarray):
        items = items.tolist()
    if not isinstance(items, Sequence) or isinstance(items, str):
        raise LadaError(
            f"{where}: {shown(str(value))} is not a list of probabilities. Give a list such as "
            "[0.25, 0.75]."
        )
    return [_number(item, where) for item in items]


def _number(value: object, where: str) -> float:
    number = math.nan
    if isinstance(value, int | float | np.number | str) and not isinstance(value, bool):
        try:
            number = float(value)
        except (ValueError, OverflowError):
            number = math.nan
    if not (math.isfinite(number) and number >= 0):
        raise LadaError(
            f"{where}: {shown(str(value))} is not a probability. Give finite numbers of 0 or more."
        )
    return number


def _distribution(numbers: list[float], where: str) -> list[float]:
    total = math.fsum(numbers)
    if abs(total - 1) > TOLERANCE:
        raise LadaError(
            f"{where}: its probabilities sum to {total:.6g}, not 1. Divide them by their sum, or "
            "give probabilities instead of logits."
        )
    return [number / total for number in numbers]
