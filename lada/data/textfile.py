"""The lines of a data file: plain or gzip, UTF-8 or another encoding that is named."""

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
    b"PK\x03\x04": "is a zip file, as spreadsheets are. Save it as CSV.",
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
        key: config key that leads to the file, for the error messages.
        encoding: as Python names it; None for UTF-8.

    Raises:
        LadaError: the file is missing, empty, unreadable, no regular file, cut off or not of this
            encoding.
    """
    if "\0" in str(path):
        raise LadaError(f"{key}={str(path)!r}: no file has a zero byte in its name")
    try:
        check_regular(path)
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            empty = True
            for line in _decoded(file, path, key, encoding):
                empty = False
                yield line
    except FileNotFoundError as error:
        raise LadaError(f"no file {path}; set {key} to one that exists") from error
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise LadaError(f"{path} is broken gzip ({error}); get it anew") from error
    except OSError as error:
        raise LadaError(
            f"cannot read {path}: {error.strerror}; set {key} to a readable file"
        ) from error
    if empty:
        raise LadaError(f"{path} is empty; set {key} to a file with rows")


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
        if number == 1 and "\0" in text:  # of UTF-16 without a mark, every other byte is zero
            guess = "utf-16-be" if text.startswith("\0") else "utf-16-le"
            raise LadaError(f"{path} line 1: zero bytes, not text in UTF-8. {_way_out(key, guess)}")
        yield text


def _codec(encoding: str | None) -> str:
    if encoding is None:
        return "utf-8"
    try:
        name = codecs.lookup(encoding).name
        io.TextIOWrapper(io.BytesIO(), encoding=name)  # rejects what is no encoding of text
    except (LookupError, ValueError) as error:
        raise LadaError(
            f"task.encoding={encoding}: Python has no such encoding of text. "
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
            f"{path}: is not {encoding} somewhere after line {number}. Set task.encoding to the "
            "encoding that it has, or to null for UTF-8."
        ) from error


def _other_kind(path: Path, number: int, line: bytes, key: str) -> str | None:
    for mark, kind in _MARKS.items():
        if number == 1 and line.startswith(mark):
            return f"{key}={path}: {kind}"
    return None


def _guess(number: int, line: bytes) -> str:
    for mark, encoding in _BYTE_ORDER_MARKS.items():
        if number == 1 and line.startswith(mark):
            return encoding
    # The bytes that differ between the two are control characters in latin-1.
    return "cp1252" if any(0x80 <= byte < 0xA0 for byte in line) else "latin-1"


def _way_out(key: str, encoding: str) -> str:
    if not key.startswith("task."):
        return "Save the file as UTF-8."
    return f"Save the file as UTF-8, or set task.encoding={encoding} if it is that."
