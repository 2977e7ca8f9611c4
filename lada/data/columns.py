"""Finding the columns that a config names."""

import difflib
from collections.abc import Sequence

from lada.errors import LadaError


def find_column(header: Sequence[str], column: str, where: str, key: str) -> int:
    """Return the index of a column in a header.

    Args:
        header: all names.
        column: the name to find.
        where: the file, for the error messages.
        key: config key that names the column.

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
