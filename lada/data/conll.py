"""CoNLL files: a word and its tag per line, and a blank line between sentences."""

import logging
import re
from collections.abc import Iterator
from pathlib import Path

from lada.data.tagged import (
    FIELDS,
    Fields,
    Tagged,
    check_tag,
    from_words,
    read_json_tagged,
)
from lada.data.textfile import read_lines
from lada.errors import LadaError
from lada.ops.metrics.schemes import find_scheme

log = logging.getLogger("lada")

SUFFIXES = (".conll", ".txt", ".tsv")
_DOCUMENT = "-DOCSTART-"
_BLANKS = re.compile(" +")
_NUMBER = re.compile("-?[0-9]{1,4}")


def read_conll(
    path: Path, key: str, *, word: int = 0, tag: int = -1, encoding: str | None = None
) -> list[Tagged]:
    """Read the sentences of a CoNLL file, with tags in BIO.

    Columns are separated by a tab in lines that have one, else by spaces. The tags may be in BIO,
    IOB1, BIOES or BILOU. Lines that start with ``-DOCSTART-`` are skipped.

    Args:
        path: the file, plain or `.gz`.
        key: config key of the file, for the error messages.
        word: column of the word, from 0; negative from the end.
        tag: column of the tag, from 0; negative from the end.
        encoding: a name that Python knows; None for UTF-8.

    Raises:
        LadaError: the file cannot be read or has no sentences, a line lacks a column, or a tag
            belongs to no scheme.
    """
    found, raw = [], []
    for number, words, tags in _sentences(path, key, word, tag, encoding):
        raw.append(tags)
        found.append(from_words(f"{path} line {number}", words, tags))
    if not found:
        raise LadaError(f"{key}={path}: has no sentences. Give a file with a word and a tag per "
                        "line.")  # fmt: skip
    scheme = find_scheme(raw)
    if scheme == "mixed":
        log.warning("%s: its tags mix schemes; an I- after another type starts an entity", path)
    elif scheme not in ("BIO", "none"):
        log.info("%s: its tags are in %s and were converted to BIO", path, scheme)
    return found


def read_tagged(
    path: Path, key: str, encoding: str | None = None, fields: Fields = FIELDS
) -> list[Tagged]:
    """Read JSON lines with words and tags, or with spans, by the suffix; else a CoNLL file.

    Args:
        path: the file, plain or `.gz`.
        key: config key of the file, for the error messages.
        encoding: of CoNLL files, a name that Python knows; None for UTF-8.
        fields: the keys of the objects; of a CoNLL file the numbers of its columns, from 0.

    Raises:
        LadaError: the file cannot be read or is malformed.
    """
    if path.name.removesuffix(".gz").endswith((".json", ".jsonl")):
        return read_json_tagged(path, key, fields)
    return read_conll(
        path,
        key,
        word=0 if fields.text is None else _column("task.text", fields.text, path),
        tag=-1 if fields.label is None else _column("task.label", fields.label, path),
        encoding=encoding,
    )


def _column(key: str, given: str, path: Path) -> int:
    if not _NUMBER.fullmatch(given):
        raise LadaError(
            f"{key}={given}: the columns of a CoNLL file such as {path.name} have no names. Give "
            "the number of the column: 0 is the first, -1 the last."
        )
    return int(given)


def _sentences(
    path: Path, key: str, word: int, tag: int, encoding: str | None
) -> Iterator[tuple[int, list[str], list[str]]]:
    """Yield the line on which each sentence starts, its words and its tags."""
    begin, words, tags = 0, list[str](), list[str]()
    width: tuple[int, int] | None = None
    for number, line in enumerate(read_lines(path, key, encoding), start=1):
        where = f"{path} line {number}"
        line = line.rstrip(" \t\r\n")
        if not line or line.startswith(_DOCUMENT):
            if words:
                yield begin, words, tags
            words, tags = [], []
            continue
        fields = line.split("\t") if "\t" in line else _BLANKS.split(line.strip(" "))
        needed = max(2, *(n + 1 if n >= 0 else -n for n in (word, tag)))
        if len(fields) < needed:
            raise LadaError(
                f"{where}: has {_columns(len(fields))}, but {needed} are needed. Give a word and a "
                "tag, and a blank line between sentences."
            )
        width = width or (len(fields), number)
        if len(fields) != width[0]:
            raise LadaError(
                f"{where}: has {_columns(len(fields))}, but line {width[1]} has {width[0]}. Give "
                "every line the same columns."
            )
        found, name = fields[word].strip(), fields[tag].strip()
        if not found:
            raise LadaError(f"{where}: its word is empty. Fill it in or delete the line.")
        check_tag(where, name)
        if not words:
            begin = number
        words.append(found)
        tags.append(name)
    if words:
        yield begin, words, tags


def _columns(count: int) -> str:
    return "1 column" if count == 1 else f"{count} columns"
