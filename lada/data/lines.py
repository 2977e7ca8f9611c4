"""Texts to be answered, one a line: plain, or JSON objects."""

import json
from collections.abc import Iterable

from lada.errors import LadaError

KEYS = {"text", "text_pair"}


def read_lines(lines: Iterable[str], where: str) -> list[tuple[str, str | None]]:
    """Rows (text, pair or None) of lines; empty lines are passed over.

    A line that begins with ``{`` is a JSON object with ``text`` and, for a pair, ``text_pair``;
    other keys are passed over. Any other line is a text, or two with a tab between them.

    Args:
        where: what the lines come from, for messages.

    Raises:
        LadaError: with the line's number: it is no such object, or some rows only have a pair.
    """
    rows: list[tuple[str, str | None]] = []
    for number, line in enumerate(lines, 1):
        line = line.strip("\n\r")
        if line.strip():
            rows.append(_row(line, f"{where}, line {number}"))
        if len(rows) > 1 and (rows[0][1] is None) != (rows[-1][1] is None):
            raise LadaError(f"{where}, line {number}: some rows have a pair and some have none")
    return rows


def _row(line: str, where: str) -> tuple[str, str | None]:
    if not line.lstrip().startswith("{"):
        text, _, pair = line.partition("\t")
        return check_row(text, pair or None, where)
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise LadaError(f"{where}: begins with {{ and is no JSON ({error})") from None
    text, pair = row.get("text"), row.get("text_pair")
    if not isinstance(text, str) or not isinstance(pair, str | None):
        raise LadaError(f"{where}: needs 'text' (and 'text_pair' for a pair) as strings")
    return check_row(text, pair, where)


def check_row(text: str, pair: str | None, where: str) -> tuple[str, str | None]:
    """The row, if its texts can be written as UTF-8 at all.

    Raises:
        LadaError: one holds half of a character.
    """
    try:
        f"{text}{pair}".encode()
    except UnicodeEncodeError:
        raise LadaError(f"{where}: holds half of a character (a lone surrogate)") from None
    return text, pair
