"""CSV and TSV files: rows of fields, and with which line each row begins."""

import csv
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lada.data.columns import find_column
from lada.errors import LadaError

log = logging.getLogger("lada")

DELIMITERS = {"comma": ",", "tab": "\t", "semicolon": ";", "pipe": "|", "space": " "}
"""Names for delimiters that shells and Hydra take for something else."""

csv.field_size_limit(2**31 - 1)  # 128 KiB by default: some texts are longer


@dataclass(frozen=True)
class _Record:
    begin: int
    """The line it begins with, counted from 1."""
    end: int
    """The line it ends with."""
    fields: list[str]


class _BrokenError(Exception):
    """A file is not CSV: from which line on, and why."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(f"line {line}: {reason}")


def parse_delimiter(text: str) -> str:
    r"""The delimiter that ``task.delimiter`` means: a character, a name of one, or ``\t``.

    Raises:
        LadaError: it is none of these.
    """
    found = DELIMITERS.get(text, "\t" if text == "\\t" else text)
    if len(found) != 1 or found in '"\r\n\0' or found.isalnum():
        raise LadaError(
            f"task.delimiter={text!r}: no delimiter. Set it to {', '.join(DELIMITERS)} or to "
            "another character that is no letter, digit, quote or line end."
        )
    return found


def read_delimited(
    lines: Sequence[str], path: Path, columns: dict[str, str], delimiter: str
) -> Iterator[tuple[int, list[str]]]:
    """Yield the line that each row begins with, and its wanted fields.

    Fields are quoted as CSV does. Where tabs delimit, quotes are characters like any other if the
    lines are whole rows without quoting and are not, or are fewer, with it: many TSV files, GLUE's
    for one, have no quoting.

    Args:
        lines: of the file, with their line ends; the first is the header.
        path: the file, for the error messages.
        columns: the wanted columns by the config key that names them; the label's is the last.

    Raises:
        LadaError: a column is not there, a field or a row is broken, or a quoted field holds what
            are rows.
    """
    _check_header(lines, path, columns, delimiter)
    records = _tabbed(lines, path) if delimiter == "\t" else _quoted(lines, path, delimiter)
    if not records:
        return
    header = records[0].fields
    places = [find_column(header, column, str(path), key) for key, column in columns.items()]
    _check_widths(records, path, delimiter)
    _check_swallowed(records, lines, path, places[-1], delimiter)
    for record in records[1:]:
        yield record.begin, [record.fields[place] for place in places]


def _tabbed(lines: Sequence[str], path: Path) -> list[_Record]:
    plain = [
        _Record(number, number, line.rstrip("\r\n").split("\t"))
        for number, line in enumerate(lines, start=1)
        if line.rstrip("\r\n")
    ]
    if not any('"' in line for line in lines):
        return plain
    try:
        quoted = _records(lines, "\t")
    except _BrokenError:
        quoted = []
    if quoted and _even(quoted) and (not _even(plain) or len(quoted) == len(plain)):
        return quoted
    if _even(plain) or not quoted:
        log.info("%s: read without quoting: its quotes do not balance as those of CSV", path)
        return plain
    return quoted


def _even(records: Sequence[_Record]) -> bool:
    return len({len(record.fields) for record in records}) == 1


def _quoted(lines: Sequence[str], path: Path, delimiter: str) -> list[_Record]:
    try:
        return _records(lines, delimiter)
    except _BrokenError as error:
        raise LadaError(f"{path} {error}; quote it as CSV does") from None


def _records(lines: Sequence[str], delimiter: str) -> list[_Record]:
    """The records that are not blank lines.

    Raises:
        _BrokenError: a field is broken.
    """
    records = []
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    begin = 1
    try:
        for fields in reader:
            if fields:
                records.append(_Record(begin, reader.line_num, fields))
            begin = reader.line_num + 1
    except csv.Error as error:
        text = "".join(lines[begin - 1 : reader.line_num])
        place = _broken_field(text, delimiter)
        reasons = {
            "unexpected end": "a quoted field that does not end",
            "expected after": "text behind the closing quote of a field",
            "new-line": "a carriage return outside quotes",
        }
        reason = next((said for part, said in reasons.items() if part in str(error)), error)
        raise _BrokenError(begin + text.count("\n", 0, place), f"broken field: {reason}") from None
    return records


def _broken_field(text: str, delimiter: str) -> int:
    """Where the first field begins that has no closing quote, or something behind it."""
    ends = (delimiter, "\n", "\r")
    begin = 0
    while begin < len(text):
        place = begin
        if text[begin] == '"':
            place = text.find('"', begin + 1)
            while place >= 0 and text[place + 1 : place + 2] == '"':
                place = text.find('"', place + 2)
            if place < 0 or text[place + 1 : place + 2] not in ("", *ends):
                return begin
        found = [text.find(end, place) for end in ends]
        begin = min((at for at in found if at >= 0), default=len(text)) + 1
    return 0


def _check_header(
    lines: Sequence[str], path: Path, columns: dict[str, str], delimiter: str
) -> None:
    """Propose another delimiter where the header has the columns with that one."""

    def header(by: str) -> list[str]:
        try:
            return next(csv.reader(lines[:1], delimiter=by, strict=True), [])
        except csv.Error:
            return []

    wanted = set(columns.values())
    found = header(delimiter)
    if wanted <= set(found) or wanted <= set(lines[0].rstrip("\r\n").split(delimiter)):
        return
    others = {name: by for name, by in DELIMITERS.items() if by != delimiter}
    fits = [name for name, by in others.items() if wanted <= set(header(by))]
    if not fits and delimiter not in lines[0]:
        fits = sorted(
            (name for name, by in others.items() if name != "space" and by in lines[0]),
            key=lambda name: -lines[0].count(others[name]),
        )
    if fits:
        missing = next(column for column in columns.values() if column not in found)
        raise LadaError(
            f"{path}: has no column {missing!r} where {delimiter!r} delimits its header, "
            f"{lines[0].strip()[:60]!r}. Set task.delimiter={fits[0]} if that is what delimits it."
        )


def _check_widths(records: Sequence[_Record], path: Path, delimiter: str) -> None:
    width = len(records[0].fields)
    for record in records:
        if len(record.fields) != width:
            raise LadaError(
                f"{path} line {record.begin}: {len(record.fields)} fields, where the header has "
                f"{width}; quote fields that hold {delimiter!r} or a newline"
            )


def _check_swallowed(
    records: Sequence[_Record], lines: Sequence[str], path: Path, label: int, delimiter: str
) -> None:
    """Reject a row over several lines if each of them is a whole row with a label of other rows.

    Two stray quotes make one field of all that stands between them. Tabs are so rare in texts that
    the first and the last of the lines say enough.
    """
    width = len(records[0].fields)
    labels = {r.fields[label].strip() for r in records[1:] if r.begin == r.end}
    for record in records[1:]:
        if record.begin == record.end:
            continue
        rows = [
            line.rstrip("\r\n").split(delimiter) for line in lines[record.begin - 1 : record.end]
        ]
        if delimiter == "\t":
            rows = [rows[0], rows[-1]]
        if all(len(row) == width and row[label].strip('" ') in labels for row in rows):
            raise LadaError(
                f"{path} line {record.begin}: a quoted field ends in line {record.end}, and these "
                "lines are rows by themselves. Double quotes that are text, as CSV does."
            )
