"""Finding the columns that a config names."""

import difflib
import json
import sys
from collections.abc import Sequence
from typing import Any

from lada.errors import LadaError

PROBABILITIES = "task.probabilities"
"""The config key of columns with probabilities, which may be empty; also how keys of single ones of
them start."""
NOT_TEXTS = ("task.label", PROBABILITIES)
"""How the keys of columns start whose values may be numbers or lists."""


def several(given: str) -> tuple[str, ...]:
    """The columns, or files, that a value of the config names: itself, or those of a JSON list.

    Example:
        >>> several("label"), several('["joy", "anger"]')
        (('label',), ('joy', 'anger'))
    """
    if given.startswith("["):
        try:
            found = json.loads(given)
        except (ValueError, RecursionError):
            found = None
        if isinstance(found, list) and len(found) > 1 and all(isinstance(n, str) for n in found):
            return tuple(found)
    return (given,)


def by_key(key: str, given: str) -> dict[str, str]:
    """The columns that a value of the config names: by ``key``, or by ``key[0]`` and so on."""
    names = several(given)
    if len(names) == 1:
        return {key: given}
    return {f"{key}[{number}]": name for number, name in enumerate(names)}


def rows_of(given: Any) -> Any:
    """The rows of a pandas frame, as dicts; anything else as it is.

    A frame is an iterable of the names of its columns, which would be taken for rows.
    """
    pandas = sys.modules.get("pandas")  # not imported for this
    if pandas is not None and isinstance(given, pandas.DataFrame):
        return given.to_dict("records")
    return given


def needed(column: str) -> str:
    """What is to be corrected where a column is missing that a task has and no config key names.

    Example:
        >>> needed("sentence")
        "the file: it needs the column 'sentence'"
    """
    return f"the file: it needs the column {column!r}"


def find_column(header: Sequence[str], column: str, where: str, key: str) -> int:
    """Return the index of a column in a header.

    Args:
        header: all names.
        column: the name to find.
        where: the file, for the error messages.
        key: config key that names the column; `needed` where none does.

    Raises:
        LadaError: no column has that name, or more than one.
    """
    if column not in header:
        names = [name for name in header[:1000] if len(name) < 100]
        near = difflib.get_close_matches(column[:100], names, n=1, cutoff=0)
        hint = f", the nearest is {near[0]!r}" if near else ""
        raise LadaError(
            f"{where}: has no column {column!r}{hint}; its columns are {listed(header)}. "
            f"Correct {key}."
        )
    if header.count(column) > 1:
        raise LadaError(
            f"{where}: has {header.count(column)} columns {column!r}. Rename all but one."
        )
    return header.index(column)


def listed(values: Sequence[str]) -> str:
    """Return the first 20 values, quoted and with commas; long ones are shortened."""
    more = f" and {len(values) - 20} more" if len(values) > 20 else ""
    return ", ".join(map(shown, values[:20])) + more


def shown(value: str) -> str:
    """Return a value quoted, and shortened if it is long."""
    return repr(value) if len(value) <= 40 else f"{value[:40]!r}..."
