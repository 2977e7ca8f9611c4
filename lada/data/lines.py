"""Texts to be classified, from plain lines, JSON lines, a JSON array, CSV or TSV; also .gz.

Files other than a JSON array are streamed. Each line gets one line of output, so a bad line gives
an error in its place and does not end the reading.
"""

import csv
import gzip
import io
import json
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import IO, Any

from lada.data.columns import find_column
from lada.errors import LadaError

LINE_BYTES = 16 * 2**20
"""Largest size of a line in bytes (or of all lines of a row of CSV)."""
ARRAY_BYTES = 64 * 2**20
"""Largest size in bytes of a file that is one JSON array, which must be read as a whole."""

Row = tuple[str, str | None]
"""A text, and its pair or None."""


@dataclass(frozen=True)
class Bad:
    """A line without a valid text, and why."""

    reason: str


Item = Row | Bad


@dataclass(frozen=True)
class Keys:
    """Columns of a table, or keys of JSON objects, that hold the texts."""

    text: str | None = None
    """None: "text"."""
    text_pair: str | None = None
    """None: "text_pair", if that exists and ``text`` is not given."""

    def of(self, header: Iterable[str], where: str) -> tuple[str, str | None]:
        """The names of the text and its pair in a header, or among the keys of an object.

        Raises:
            LadaError: a name is missing.
        """
        names = list(header)
        text, pair = self.text or "text", self.text_pair
        find_column(names, text, where, "--text")
        if pair is not None:
            find_column(names, pair, where, "--text-pair")
        elif self.text is None and "text_pair" in names:
            pair = "text_pair"
        return text, pair


@contextmanager
def opened(file: Path) -> Iterator[IO[bytes]]:
    """A file, plain or .gz, for `read_items`.

    Raises:
        LadaError: it does not exist, cannot be read or is corrupt gzip; also while it is read.
    """
    try:
        with gzip.open(file) if file.suffix == ".gz" else file.open("rb") as source:
            yield source  # type: ignore[misc]
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise LadaError(f"{file}: is corrupt gzip ({error}). Compress or copy it again.") from None
    except ValueError as error:  # a zero byte in the name
        raise LadaError(f"{str(file)!r}: cannot be read ({error}). Give another file.") from None


def suffix_of(file: Path) -> str:
    """The suffix for the content of a file, such as ".csv" of "rows.csv.gz"."""
    return (file.with_suffix("") if file.suffix == ".gz" else file).suffix.lower()


def read_items(
    source: IO[bytes], where: str, suffix: str = "", keys: Keys = Keys(), pairs: bool | None = None
) -> Iterator[tuple[int, Item]]:
    """The texts of a file: one item for each line, element of an array or row of a table.

    Args:
        source: the opened file, standard input, ...
        where: its name in messages.
        suffix: ".csv" and ".tsv" are tables with a header, ".jsonl" and ".ndjson" JSON lines,
            ".json" a JSON array or JSON lines, ".txt" plain lines. Any other: JSON lines if the
            first line that is not blank is a JSON object, else plain lines.
        keys: columns of a table, keys of objects.
        pairs: whether pairs of texts are wanted: then a tab divides a plain line into two texts.
            If not, a tab is a character of the text. None: as in the first line that is not blank.

    Returns:
        Number of the line, or of the first line of a row, or of the element, from 1; and its
        content.

    Raises:
        LadaError: the file as a whole cannot be read in its format.
    """
    if suffix in (".csv", ".tsv"):
        yield from _table(source, where, keys, "\t" if suffix == ".tsv" else ",")
        return
    if suffix == ".json":
        whole = source.read(ARRAY_BYTES + 1)
        if whole.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"["):
            yield from _array(whole, where, keys)
            return
        source = _Joined(whole, source)  # type: ignore[assignment]
    lines = _lines(source)
    blank: list[str | Bad] = []
    first: str | Bad | None = None
    for line in lines:
        if isinstance(line, Bad) or line.strip():
            first = line
            break
        if len(blank) == 100_000:  # they are held until a line shows the format of the file
            first = line
            break
        blank.append(line)
    start = [*blank] if first is None else [*blank, first]
    as_json = suffix in (".json", ".jsonl", ".ndjson") or (
        suffix != ".txt" and isinstance(first, str) and _is_object(first)
    )
    if not as_json and (keys.text is not None or keys.text_pair is not None):
        raise LadaError(
            f"{where}: has plain lines, which have no columns. Remove --text and --text-pair, or "
            "give a .csv, .tsv, .json or .jsonl file."
        )
    if pairs is None and isinstance(first, str):
        pairs = _first_is_pair(first, keys) if as_json else "\t" in first
    for number, line in enumerate(chain(start, lines), 1):
        if isinstance(line, Bad):
            yield number, line
        elif not line.strip():
            yield number, ("", "" if pairs else None)
        elif as_json:
            yield number, _json_line(line, keys)
        else:
            yield number, _plain(line, bool(pairs))


class _Joined:
    """Bytes that were already read, followed by the rest of their file."""

    def __init__(self, begin: bytes, rest: IO[bytes]):
        self._parts: list[Any] = [io.BytesIO(begin), rest]

    def readline(self, size: int) -> bytes:
        line: bytes = self._parts[0].readline(size)
        while not line.endswith(b"\n") and len(line) < size and len(self._parts) > 1:
            self._parts.pop(0)
            line += self._parts[0].readline(size - len(line))
        return line


def _lines(source: IO[bytes]) -> Iterator[str | Bad]:
    """Lines without their ends; only a newline ends one."""
    encoding = "utf-8-sig"  # some editors begin a file with a byte order mark
    while line := source.readline(LINE_BYTES + 1):
        if len(line) > LINE_BYTES and not line.endswith(b"\n"):
            while (rest := source.readline(LINE_BYTES)) and not rest.endswith(b"\n"):
                pass
            yield Bad(f"is longer than {LINE_BYTES / 2**20:.0f} MiB. Shorten it.")
            continue
        line = line.removesuffix(b"\n").removesuffix(b"\r")
        try:
            yield line.decode(encoding)
        except UnicodeDecodeError as error:
            byte = line[error.start]
            yield Bad(f"is not UTF-8 text (byte {byte:#04x}). Save it as UTF-8.")
        encoding = "utf-8"


def _is_object(line: str) -> bool:
    if not line.lstrip().startswith("{"):
        return False
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def _first_is_pair(line: str, keys: Keys) -> bool:
    item = _json_line(line, keys)
    return not isinstance(item, Bad) and item[1] is not None


def _plain(line: str, pairs: bool) -> Item:
    if not pairs:
        return line, None
    text, tab, pair = line.partition("\t")
    if not tab:
        return Bad("has no tab between the two texts of a pair. Put one there.")
    return text, pair


def _json_line(line: str, keys: Keys) -> Item:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        return Bad(f"is not JSON ({error}). Give an object with 'text', or a string.")
    return _value(value, keys)


def _value(value: Any, keys: Keys) -> Item:
    """The content of a JSON value: a text, a pair, or an object with the keys."""
    if isinstance(value, str):
        return _row(value, None)
    if isinstance(value, list):
        if len(value) != 2:
            return Bad(f"is an array of {len(value)}. Give [text, text_pair].")
        return _row(value[0], value[1], paired=True)
    if not isinstance(value, dict):
        return Bad(f"is {json.dumps(value)[:40]}. Give an object with 'text', or a string.")
    try:
        text, pair = keys.of(value, "the object")
    except LadaError as error:
        return Bad(str(error))
    # A key that was not asked for may be null where there is no second text.
    paired = pair is not None and (keys.text_pair is not None or value[pair] is not None)
    return _row(value[text], value[pair] if pair and paired else None, paired=paired)


def _row(text: Any, pair: Any, *, paired: bool = False) -> Item:
    for part in (text, pair) if paired else (text,):
        if not isinstance(part, str):
            return Bad(f"its text is {json.dumps(part)[:40]}. Give a string.")
    return text, pair if paired else None


def _array(whole: bytes, where: str, keys: Keys) -> Iterator[tuple[int, Item]]:
    if len(whole) > ARRAY_BYTES:
        raise LadaError(
            f"{where}: is a JSON array of more than {ARRAY_BYTES / 2**20:.0f} MiB. Give JSON lines."
        )
    try:
        values = json.loads(whole.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise LadaError(f"{where}: is not JSON ({error}). Give an array or JSON lines.") from None
    for number, value in enumerate(values, 1):
        yield number, _value(value, keys)


class _Counted:
    """The lines of a table for the csv module; tracks the first line and the bytes of a row."""

    def __init__(self, source: IO[bytes], where: str):
        self._lines, self._where = _lines(source), where
        self.number = 0
        self.begin = 1
        self._size = 0

    def new_row(self) -> None:
        self.begin, self._size = self.number + 1, 0

    def __iter__(self) -> "_Counted":
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self.number += 1
        if isinstance(line, Bad):
            raise LadaError(f"{self._where}, line {self.number}: {line.reason}")
        self._size += len(line)
        if self._size > LINE_BYTES:
            raise LadaError(
                f"{self._where}, line {self.begin}: a quoted field does not end. Double the quotes "
                "that are part of a text, as in CSV."
            )
        return line + "\n"


def _records(
    source: IO[bytes], where: str, delimiter: str, *, quoted: bool
) -> Iterator[tuple[int, list[str]]]:
    """The first line of each row of a table, and its fields; none for a blank line."""
    lines = _Counted(source, where)
    if not quoted:
        for line in lines:
            lines.new_row()
            text = line.removesuffix("\n")
            yield lines.number, text.split(delimiter) if text else []
        return
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    try:
        for fields in reader:
            yield lines.begin, fields
            lines.new_row()
    except csv.Error as error:
        raise LadaError(
            f"{where}, line {lines.begin}: malformed row ({error}). Quote it as in CSV."
        ) from None


def _table(source: IO[bytes], where: str, keys: Keys, delimiter: str) -> Iterator[tuple[int, Item]]:
    records = _records(
        source, where, delimiter, quoted=delimiter != "\t" or _is_quoted(source, where, delimiter)
    )
    header = next((fields for _, fields in records if fields), None)
    if header is None:
        return
    names = keys.of(header, where)
    places = [header.index(name) for name in names if name is not None]
    for number, fields in records:
        if not fields:
            yield number, ("", None if names[1] is None else "")
        elif len(fields) != len(header):
            reason = f"has {len(fields)} fields, but the header has {len(header)}. Quote fields "
            yield number, Bad(f"{reason}that contain {delimiter!r} or a newline.")
        else:
            found = [fields[place] for place in places]
            yield number, (found[0], found[1] if len(found) > 1 else None)


def _is_quoted(source: IO[bytes], where: str, delimiter: str) -> bool:
    """Whether a TSV file has quoting: all rows are as wide as the header only with quoting.

    In files without quoting, quotes are ordinary characters. Reads the file twice.
    """
    if not source.seekable():
        return False

    def even(quoted: bool) -> tuple[bool, int]:
        source.seek(0)
        widths, count = set(), 0
        for _, fields in _records(source, where, delimiter, quoted=quoted):
            count += bool(fields)
            widths.add(len(fields) if fields else None)
        return len(widths - {None}) <= 1, count

    try:
        quoted, rows = even(True)
    except LadaError:
        quoted, rows = False, 0
    plain, lines = even(False)
    source.seek(0)
    return quoted and (not plain or rows == lines)
