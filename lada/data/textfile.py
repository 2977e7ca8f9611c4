"""The lines of a data file: plain or gzip, in UTF-8 or a given encoding."""

import codecs
import gzip
import io
import zlib
from collections.abc import Iterator
from pathlib import Path

from lada.errors import LadaError
from lada.files import check_regular

_MARKS = {
    b"\x1f\x8b": "is gzip. Give it a name that ends in .gz.",
    b"PK\x03\x04": "is a zip file, such as a spreadsheet. Save it as CSV.",
    b"PAR1": "is a Parquet file. Save it as CSV or JSON lines.",
}
_BYTE_ORDER_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


def read_lines(path: Path, key: str, encoding: str | None = None) -> Iterator[str]:
    """Yield the lines of a file, plain or `.gz`, each with its line end.

    Only a newline ends a line: texts may hold other characters that Python counts as line ends.

    Args:
        path: the file.
        key: config key of the file, for the error messages.
        encoding: a name that Python knows; None for UTF-8.

    Raises:
        LadaError: the file is missing, empty, unreadable, not a regular file, truncated or not in
            this encoding.
    """
    if "\0" in str(path):
        raise LadaError(f"{key}={str(path)!r}: has a zero byte. Give the name of a file.")
    try:
        check_regular(path)
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            empty = True
            for line in _decoded(file, path, key, encoding):
                empty = False
                yield line
    except FileNotFoundError as error:
        raise LadaError(
            f"{_named(key, path)}: there is no such file. Give an existing one."
        ) from error
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise LadaError(f"{path}: is corrupt gzip ({error}). Compress or copy it again.") from error
    except OSError as error:
        raise LadaError(
            f"{_named(key, path)}: cannot be read ({error.strerror}). Give a readable file."
        ) from error
    if empty:
        raise LadaError(f"{_named(key, path)}: is empty. Give a file with examples.")


def _decoded(
    file: gzip.GzipFile | io.BufferedReader, path: Path, key: str, encoding: str | None
) -> Iterator[str]:
    name = _codec(encoding)
    if name not in ("utf-8", "utf-8-sig"):
        yield from _lines_of(file, path, name)
        return
    for number, line in enumerate(file, start=1):
        try:
            # Some editors start a file with a byte order mark.
            text = line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise LadaError(
                _other_kind(path, number, line, key)
                or f"{path} line {number}: byte {line[error.start]:#04x} is not UTF-8. "
                + _way_out(key, _guess(number, line))
            ) from error
        if number == 1 and "\0" in text:  # in UTF-16 without a mark every other byte is zero
            guess = "utf-16-be" if text.startswith("\0") else "utf-16-le"
            advice = _way_out(key, guess)
            raise LadaError(f"{path} line 1: has zero bytes and is not UTF-8 text. {advice}")
        yield text


def _codec(encoding: str | None) -> str:
    if encoding is None:
        return "utf-8"
    try:
        name = codecs.lookup(encoding).name
        io.TextIOWrapper(io.BytesIO(), encoding=name)  # rejects codecs that are not of text
    except (LookupError, ValueError) as error:
        raise LadaError(
            f"task.encoding={encoding}: Python has no such text encoding. "
            "Set it to latin-1, cp1252, utf-16, ..., or to null for UTF-8."
        ) from error
    return name


def _lines_of(file: gzip.GzipFile | io.BufferedReader, path: Path, encoding: str) -> Iterator[str]:
    number = 0
    try:
        with io.TextIOWrapper(file, encoding=encoding, newline="\n") as lines:
            for line in lines:
                number += 1
                yield line
    except UnicodeError as error:
        raise LadaError(
            f"{path}: is not {encoding} somewhere after line {number}. Set task.encoding to its "
            "encoding, or to null for UTF-8."
        ) from error


def _other_kind(path: Path, number: int, line: bytes, key: str) -> str | None:
    for mark, kind in _MARKS.items():
        if number == 1 and line.startswith(mark):
            return f"{_named(key, path)}: {kind}"
    return None


def _named(key: str, path: Path) -> str:
    """The file in a message, with its key unless that is the key of a folder."""
    return f"{key}={path}" if key.startswith("task.") else str(path)


def _guess(number: int, line: bytes) -> str:
    for mark, encoding in _BYTE_ORDER_MARKS.items():
        if number == 1 and line.startswith(mark):
            return encoding
    # The bytes that differ between the two are control characters in latin-1.
    return "cp1252" if any(0x80 <= byte < 0xA0 for byte in line) else "latin-1"


def _way_out(key: str, encoding: str) -> str:
    if not key.startswith("task."):
        return "Save the file as UTF-8."
    return f"Save the file as UTF-8, or set task.encoding={encoding} if that is its encoding."
