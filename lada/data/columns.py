"""Finding the columns that a config names."""

import difflib
from collections.abc import Sequence

from lada.errors import LadaError


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
        names = [name for name in header[:1000] if len(name) < 100]
        near = difflib.get_close_matches(column[:100], names, n=1, cutoff=0)
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
    """Return the values quoted, with commas: the first 20 of them, long ones cut."""
    more = f" and {len(values) - 20} more" if len(values) > 20 else ""
    return ", ".join(map(shown, values[:20])) + more


def shown(value: str) -> str:
    """Return a value quoted, and cut where it is long."""
    return repr(value) if len(value) <= 40 else f"{value[:40]!r}..."
