"""JSON lines files: one object per line."""

import json
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import TypeGuard

from lada.data.columns import NOT_TEXTS, PROBABILITIES, find_column
from lada.errors import LadaError


class _Number(str):
    """A number as it is written: Python does not parse one of very many digits."""


_NOT_FINITE = ("NaN", "Infinity", "-Infinity")


class _Object(list[tuple[str, object]]):
    """An object as pairs, so that a duplicate key is noticed."""


def read_json_lines(
    lines: Iterable[str], path: Path, columns: dict[str, str]
) -> Iterator[tuple[int, list[str]]]:
    """Yield the line number and the wanted values of each object; blank lines are skipped.

    A label may be a number, a boolean, or a list of texts and numbers: it is its JSON text. So may
    a probability, which may also be missing: null is an empty text.

    Args:
        lines: of the file.
        path: the file, for the error messages.
        columns: the wanted keys by the config key that names them.

    Raises:
        LadaError: a line is not an object, or a key is missing, duplicate, or not a string.
    """
    for number, line in enumerate(lines, start=1):
        if line.strip():
            yield number, _values(line, f"{path} line {number}", columns)


def _values(line: str, where: str, columns: dict[str, str]) -> list[str]:
    try:
        found = json.loads(
            line, object_pairs_hook=_Object, parse_int=_Number, parse_float=_Number,
            parse_constant=_Number,
        )  # fmt: skip
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, _Object):
        raise LadaError(
            f"{where}: {line.strip()[:40]!r} is not a JSON object. Give one object per line."
        )
    values = []
    for key, column in columns.items():
        value = found[find_column([name for name, _ in found], column, where, key)][1]
        label = key.startswith(NOT_TEXTS)
        if value is None and key.startswith(PROBABILITIES):
            value = ""
        elif label and isinstance(value, bool):
            value = json.dumps(value)
        elif label and isinstance(value, _Number) and value not in _NOT_FINITE:
            value = str(value)
        elif label and _is_list(value):
            value = json.dumps([str(part) for part in value])
        if not isinstance(value, str) or isinstance(value, _Number):
            kind = _kind(value)
            raise LadaError(f"{where}: {column!r} is {kind}, not a text. Give a string.")
        values.append(value)
    return values


def _is_list(value: object) -> TypeGuard[list[object]]:
    """Whether it is an array of texts and integers."""
    return (
        isinstance(value, list)
        and not isinstance(value, _Object)
        and all(isinstance(part, str) for part in value)  # numbers are texts here, too
    )


def _kind(value: object) -> str:
    if isinstance(value, _Number):
        return f"the number {value[:40]}"
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    return "an object" if isinstance(value, _Object) else "an array"


def read_objects(
    lines: Iterable[str], path: Path, key: str
) -> Iterator[tuple[int, dict[str, object]]]:
    """Yield the line number and the object of each line; blank lines are skipped.

    Args:
        lines: of the file.
        path: the file, for the error messages.
        key: config key of the file, for the error messages.

    Raises:
        LadaError: a line is not an object or has a key twice, or there are no objects.
    """
    count = 0
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        where = f"{path} line {number}"
        try:
            found = json.loads(line, object_pairs_hook=partial(_distinct, where))
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            raise LadaError(
                f"{where}: {line.strip()[:40]!r} is not a JSON object. Give one object per line."
            )
        count += 1
        yield number, found
    if not count:
        raise LadaError(f"{key}={path}: has no examples. Give a file with examples.")


def _distinct(where: str, pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise LadaError(f"{where}: has {twice[:40]!r} twice in one object. Delete one.")
    return found
