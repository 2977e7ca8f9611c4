"""CSV and TSV files: rows of fields, and the line on which each row begins."""

import csv
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lada.data.columns import find_column, needed
from lada.errors import LadaError

log = logging.getLogger("lada")

DELIMITERS = {"comma": ",", "tab": "\t", "semicolon": ";", "pipe": "|", "space": " "}
"""Names for delimiters that have another meaning in shells or Hydra."""

csv.field_size_limit(2**31 - 1)  # 128 KiB by default: some texts are longer


@dataclass(frozen=True)
class _Record:
    begin: int
    """The line on which it begins, counted from 1."""
    end: int
    """The line on which it ends."""
    fields: list[str]


class _BrokenError(Exception):
    """A file is not CSV: from which line on, and why."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(f"line {line}: {reason}")


def parse_delimiter(text: str) -> str:
    r"""The delimiter for a value of ``task.delimiter``: a character, a name of one, or ``\t``.

    Raises:
        LadaError: it is none of these.
    """
    found = DELIMITERS.get(text, "\t" if text == "\\t" else text)
    if len(found) != 1 or found in '"\r\n\0' or found.isalnum():
        raise LadaError(
            f"task.delimiter={text!r}: this is not a delimiter. Set it to {', '.join(DELIMITERS)} "
            "or to another character that is not a letter, digit, quote or line end."
        )
    return found


def read_delimited(
    lines: Sequence[str], path: Path, columns: dict[str, str], delimiter: str
) -> Iterator[tuple[int, list[str]]]:
    """Yield the line on which each row begins, and its wanted fields.

    Fields are quoted as in CSV. In tab-separated files quotes are ordinary characters if the lines
    are complete rows without quoting and are not, or are fewer, with it: many TSV files, such as
    GLUE's, have no quoting.

    Args:
        lines: of the file, with their line ends; the first is the header.
        path: the file, for the error messages.
        columns: the wanted columns by the config key that names them, or by `needed` for a task
            that has them and no delimiter to set; the label's is the last.

    Raises:
        LadaError: a column is missing, a field or a row is malformed, or a quoted field contains
            whole rows.
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
        log.info("%s: read without quoting, since its quotes are not balanced", path)
        return plain
    return quoted


def _even(records: Sequence[_Record]) -> bool:
    return len({len(record.fields) for record in records}) == 1


def _quoted(lines: Sequence[str], path: Path, delimiter: str) -> list[_Record]:
    try:
        return _records(lines, delimiter)
    except _BrokenError as error:
        raise LadaError(f"{path} {error}. Quote it as in CSV.") from None


def _records(lines: Sequence[str], delimiter: str) -> list[_Record]:
    """The records that are not blank lines.

    Raises:
        _BrokenError: a field is malformed.
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
            "expected after": "text after the closing quote of a field",
            "new-line": "a carriage return outside quotes",
        }
        reason = next((said for part, said in reasons.items() if part in str(error)), error)
        raise _BrokenError(
            begin + text.count("\n", 0, place), f"malformed field: {reason}"
        ) from None
    return records


def _broken_field(text: str, delimiter: str) -> int:
    """The start of the first field without a closing quote, or with text after it."""
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
        key, missing = next((k, column) for k, column in columns.items() if column not in found)
        advice = f"Set task.delimiter={fits[0]} if that is its delimiter."
        if key == needed(missing):
            advice = f"Delimit its columns by {delimiter!r}."
        raise LadaError(
            f"{path}: has no column {missing!r} if its header, {lines[0].strip()[:60]!r}, is "
            f"delimited by {delimiter!r}. {advice}"
        )


def _check_widths(records: Sequence[_Record], path: Path, delimiter: str) -> None:
    width = len(records[0].fields)
    for record in records:
        if len(record.fields) != width:
            raise LadaError(
                f"{path} line {record.begin}: has {len(record.fields)} fields, but the header "
                f"has {width}. Quote fields that contain {delimiter!r} or a newline."
            )


def _check_swallowed(
    records: Sequence[_Record], lines: Sequence[str], path: Path, label: int, delimiter: str
) -> None:
    """Reject a row over several lines if each line is a complete row with a label of other rows.

    Two stray quotes make one field of everything between them. Tabs are so rare in texts that it
    is enough to check the first and the last line.
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
                f"{path} line {record.begin}: a quoted field ends in line {record.end}, but each "
                "of these lines is a row. Double the quotes that are part of a text, as in CSV."
            )
