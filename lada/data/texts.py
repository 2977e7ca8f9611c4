"""Texts without labels."""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from lada.data.columns import PROBABILITIES, find_column, needed, rows_of, shown
from lada.data.delimited import parse_delimiter, read_delimited
from lada.data.jsonlines import read_objects
from lada.data.table import BY_NAME, Layout, is_invisible
from lada.data.textfile import read_lines
from lada.errors import LadaError

_DELIMITERS = {".csv": ",", ".tsv": "\t"}


class Texts(NamedTuple):
    """Texts without labels."""

    texts: list[str]
    pairs: list[str] | None
    """The second text of each; None for a task of one text."""
    more: list[list[Any]]
    """The fields of each in the other columns."""
    wheres: list[str]
    """The name of each in messages."""


def read_texts(
    path: Path,
    key: str,
    text: str = "text",
    pair: str | None = None,
    layout: Layout = BY_NAME,
    more: Mapping[str, str] | None = None,
    chosen: bool = True,
) -> Texts:
    """Read texts without labels.

    Args:
        path: a ``.txt`` file of one text per line, whose blank lines are skipped, or a ``.csv``,
            ``.tsv`` or ``.jsonl`` file; each plain or with ``.gz`` after it.
        key: config key of the file, for the error messages.
        text: column of the text, or of the first text.
        pair: column of the second text; None for a task of one text.
        layout: delimiter and encoding of the file.
        more: other columns by the config key that names them; a ``.txt`` file has none.
        chosen: whether the config names the columns of the texts; else the task has them.

    Raises:
        LadaError: the file is missing, empty or malformed, a column is missing, a text is empty, or
            the task has two texts and the file is a ``.txt``.
    """
    lines = read_lines(path, key, layout.encoding)
    suffix = (path.with_suffix("") if path.suffix == ".gz" else path).suffix.lower()
    columns = {"task.text": text} | ({} if pair is None else {"task.text_pair": pair})
    if not chosen:
        columns = {needed(column): column for column in columns.values()}
    wanted = {**(more or {}), **columns}
    if suffix == ".txt":
        if pair is not None:
            raise LadaError(
                f"{key}={path}: has one text per line, but the task has two. Give a .csv, .tsv or "
                f".jsonl file with the columns {text!r} and {pair!r}."
            )
        rows: Iterator[tuple[int, list[Any]]] = _lines(lines)
    elif suffix in (".jsonl", ".json"):
        rows = _objects(lines, path, key, wanted)
    else:
        given = layout.delimiter
        delimiter = _DELIMITERS.get(suffix) if given is None else parse_delimiter(given)
        if delimiter is None:
            raise LadaError(
                f"{key}={path}: the name has no known suffix. Give a .txt, .csv, .tsv or .jsonl "
                "file, or one of these with .gz after it."
            )
        rows = read_delimited(list(lines), path, wanted, delimiter)
    found = _made(((f"{path} line {number}", fields) for number, fields in rows), columns)
    if not found.texts:
        raise LadaError(f"{key}={path}: has no texts. Give a file with texts.")
    return found


def read_text_objects(
    given: Any,
    name: str,
    text: str = "text",
    pair: str | None = None,
    more: Mapping[str, str] | None = None,
) -> Texts:
    """Read texts without labels from strings or dicts, a `datasets.Dataset` or a pandas frame.

    Args:
        given: an iterable of dicts; or of strings, for a task of one text.
        name: of the argument, for the error messages.
        text, pair, more: keys of the dicts, as the columns of `read_texts`. A string has no more.

    Raises:
        LadaError: it holds no texts, or one is empty or no text; it is named as in ``train[3]``.

    Example:
        >>> read_text_objects(["a text", {"text": "another"}], "train").texts
        ['a text', 'another']
    """
    if isinstance(given, str | bytes | Mapping) or not isinstance(given, Iterable):
        raise LadaError(f"{name}: is of type {type(given).__name__}. Give a list of texts.")
    columns = {"task.text": text} | ({} if pair is None else {"task.text_pair": pair})
    others = list((more or {}).values())

    def rows() -> Iterator[tuple[str, list[Any]]]:
        for number, item in enumerate(rows_of(given)):
            where = f"{name}[{number}]"
            row = item if isinstance(item, Mapping) else {text: item}
            for column in columns.values():
                if not isinstance(row.get(column), str):
                    example = dict.fromkeys(columns.values(), "a text")
                    strings = "" if pair else "strings, or "
                    raise LadaError(
                        f"{where}: has no text {column!r}. Give {strings}dicts such as "
                        f"{json.dumps(example)}."
                    )
            yield where, [row.get(column) for column in (*others, *columns.values())]

    found = _made(rows(), columns)
    if not found.texts:
        raise LadaError(f"{name}: has no texts. Give at least one.")
    return found


def _made(rows: Iterator[tuple[str, list[Any]]], columns: dict[str, str]) -> Texts:
    """Texts of rows: of each its name in messages and its fields, those of ``columns`` last."""
    found, others, wheres = [], [], []
    for where, fields in rows:
        wheres.append(where)
        found.append(checked(where, fields[-len(columns) :], columns))
        others.append(fields[: -len(columns)])
    pairs = [fields[1] for fields in found] if len(columns) > 1 else None
    return Texts([fields[0] for fields in found], pairs, others, wheres)


def _lines(lines: Iterator[str]) -> Iterator[tuple[int, list[str]]]:
    for number, line in enumerate(lines, start=1):
        if line.strip():
            yield number, [line.rstrip("\r\n")]


def _objects(
    lines: Iterator[str], path: Path, key: str, columns: dict[str, str]
) -> Iterator[tuple[int, list[Any]]]:
    for number, row in read_objects(lines, path, key):
        where, fields = f"{path} line {number}", []
        for name, column in columns.items():
            find_column(list(row), column, where, name)
            value = row[column]
            if not isinstance(value, str) and not name.startswith(PROBABILITIES):
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
