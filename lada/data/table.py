"""A user's own classification data, from CSV, TSV or JSON lines files."""

import json
import logging
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lada.data.columns import PROBABILITIES, by_key, listed, several, shown
from lada.data.delimited import parse_delimiter, read_delimited
from lada.data.jsonlines import read_json_lines
from lada.data.label_kinds import (
    check_kind,
    check_varied,
    group_ids,
    indicator_sets,
    label_names,
    label_sets,
    multi_hot,
    numbers,
)
from lada.data.labels import class_names
from lada.data.probabilities import check_given, given_outputs
from lada.data.split import Split
from lada.data.textfile import read_lines
from lada.errors import LadaError

log = logging.getLogger("lada")

_DELIMITERS = {".csv": ",", ".tsv": "\t"}
_JSON_SUFFIXES = (".jsonl", ".json")
_REPLACEMENT = "\ufffd"


@dataclass(frozen=True)
class Columns:
    """The columns of a table that are read.

    Raises:
        LadaError: two of them are the same column, or several columns of labels are of a kind that
            has one.
    """

    text: str
    """The text, or first text."""
    text_pair: str | None
    """The second text; None if examples have one text."""
    label: str
    """The label; or a JSON list of columns of 0 and 1, one for each label."""
    query: str | None = None
    """The query of a reranker; it may be one of the texts. None: examples have none."""
    kind: str | None = None
    """The kind of the task; None: found from the labels."""
    separator: str | None = None
    """What separates several labels in one column; None: they are lists."""
    probabilities: str | None = None
    """The probabilities that another model gave; or a JSON list of columns, one for each label."""

    def __post_init__(self) -> None:
        keys: dict[str, str] = {}
        for key, column in self.by_key().items():
            if column in keys:
                raise LadaError(
                    f"{key}={column}: {keys[column]} names the same column. Set each to a column "
                    "of its own" + (", or task.text_pair=null." if "pair" in key else ".")
                )
            keys[column] = key
        if self.indicators and (self.kind or "multi_label") != "multi_label":
            raise LadaError(
                f"task.kind={self.kind}: task.label names {len(self.indicators)} columns, which is "
                "for multi_label. Set task.kind=multi_label, or task.label to one column."
            )
        if self.indicators and self.separator is not None:
            raise LadaError(
                f"task.separator={self.separator}: task.label names a column for each label, so "
                "nothing is separated. Set task.separator=null."
            )

    @property
    def scored(self) -> "Columns":
        """The columns of examples that are not trained on."""
        return replace(self, probabilities=None)

    @property
    def indicators(self) -> tuple[str, ...]:
        """The columns of 0 and 1, one for each label; empty where labels are in one column."""
        names = several(self.label)
        return names if len(names) > 1 else ()

    def by_key(self) -> dict[str, str]:
        """Return the columns by the config key that names them, the labels last."""
        columns = {"task.text": self.text}
        if self.text_pair is not None:
            columns["task.text_pair"] = self.text_pair
        if self.query is not None and self.query not in columns.values():
            columns["task.query"] = self.query
        if self.probabilities is not None:
            columns |= by_key(PROBABILITIES, self.probabilities)
        return columns | by_key("task.label", self.label)


@dataclass(frozen=True)
class Layout:
    """The delimiter and encoding of the files, as far as the config gives them."""

    delimiter: str | None = None
    """A character or a name, see `parse_delimiter`; None: a comma in .csv, a tab in .tsv files."""
    encoding: str | None = None
    """A name that Python knows; None for UTF-8."""


BY_NAME = Layout()
"""The layout that the names of the files imply."""


@dataclass(frozen=True)
class Row:
    """One example as it was read."""

    where: str
    """Its name in messages, such as ``dev.csv line 3``."""
    texts: list[str]
    raw_label: str
    query: str | None = None
    probabilities: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """The label without the spaces around it."""
        return self.raw_label.strip()


class Source(NamedTuple):
    """The name of a table in messages."""

    name: str
    """The file, or the argument that holds it."""
    said: str
    """The same with its config key, if there is one: ``task.dev_file=dev.csv``."""


def load_table(
    train_file: Path,
    dev_file: Path,
    columns: Columns,
    layout: Layout = BY_NAME,
    test_file: Path | None = None,
) -> tuple[str, tuple[str, ...], Split, dict[str, Split]]:
    """Read a training and a dev file; the labels are those of the training file.

    Args:
        train_file: a `.csv`, `.tsv` or `.jsonl` file, or one of these with `.gz` after it; with a
            delimiter given, one of any other name, too.
        dev_file: another, with the same columns.
        columns: the columns to read; others are ignored.
        layout: of all files.
        test_file: a third one; None: none.

    Returns:
        The kind of the task, which the labels decide where the columns do not; the labels by id, in
        numeric order if all are integers, else sorted as text; all training examples; the others:
        "dev" and, if there is one, "test".

    Raises:
        LadaError: a file is missing, empty or malformed, a column is missing, a text or label is
            empty, the training file has one class only, a dev or test label is not one of its
            classes, or one of these files holds the same examples as the training file.
    """
    files = {"train": train_file, "dev": dev_file}
    if test_file is not None:
        files["test"] = test_file
    keys = {name: f"task.{name}_file" for name in files}
    rows = {
        name: read_file(file, keys[name], columns if name == "train" else columns.scored, layout)
        for name, file in files.items()
    }
    sources = {name: Source(str(file), f"{keys[name]}={file}") for name, file in files.items()}
    kind, labels, splits = split_rows(rows, sources, columns)
    return kind, labels, splits.pop("train"), splits


def split_rows(
    rows: Mapping[str, list[Row]], sources: Mapping[str, Source], columns: Columns
) -> tuple[str, tuple[str, ...], dict[str, Split]]:
    """The kind and the labels of tables, and their examples, as `load_table` returns them.

    Args:
        rows: by the name of the split; "train" has the labels.
        sources: the names of the same in messages.

    Raises:
        LadaError: there is one class only, another label than in "train", two tables hold the same
            examples, or labels are not those of the kind.
    """
    train, source = rows["train"], sources["train"].name
    kind = columns.kind or check_kind([row.raw_label for row in train], columns.label)
    wheres = {name: [row.where for row in each] for name, each in rows.items()}
    raw = {name: [row.raw_label for row in each] for name, each in rows.items()}
    values: dict[str, NDArray[Any]]
    if kind == "multi_label":
        sets = {name: label_sets(raw[name], wheres[name], columns.separator) for name in rows}
        labels = _all_used(columns.indicators, sets["train"], source) or label_names(
            sets["train"], source
        )
        values = {
            name: multi_hot(found, labels, wheres[name], source) for name, found in sets.items()
        }
    elif kind == "regression":
        labels = ("score",)
        values = {name: numbers(raw[name], wheres[name], columns.label) for name in rows}
        check_varied(values["train"], source, columns.label)
    elif kind == "single_label":
        labels = _classes(train, source, columns.label)
        values = {name: _class_ids(each, labels, source) for name, each in rows.items()}
    else:
        raise LadaError(
            f"task.kind={kind}: is not read from a column of labels. Set single_label, multi_label "
            "or regression."
        )
    for name in rows:
        if name != "train":
            _check_apart(name, rows, sources)
    splits = {name: _split(name, each, values[name]) for name, each in rows.items()}
    if columns.probabilities is not None:
        given = given_outputs(
            kind,
            [row.probabilities for row in train],
            wheres["train"],
            columns.probabilities,
            labels,
        )
        truth = values["train"]
        if kind == "single_label":
            truth = np.eye(len(labels), dtype=np.float32)[truth]
        check_given(given, truth.reshape(given.shape), columns.probabilities)
        splits["train"] = replace(splits["train"], given=given)
    return kind, labels, splits


def _all_used(columns: tuple[str, ...], sets: list[frozenset[str]], source: str) -> tuple[str, ...]:
    """The labels that have columns; each must be one of a training example."""
    names = tuple(column.strip() for column in columns)
    for name in names:
        if not any(name in labels for labels in sets):
            raise LadaError(
                f"{source}: column {name!r} is 0 in every example. Leave it out of task.label."
            )
    return names


def _classes(train: list[Row], source: str, label: str) -> tuple[str, ...]:
    labels = class_names([row.raw_label for row in train], source)
    if len(labels) < 2:
        raise LadaError(
            f"{source}: has one class only, {shown(labels[0])} in column {label!r}. "
            "Set task.label to the column of the labels, or give examples of two classes or more."
        )
    return labels


def _class_ids(rows: list[Row], labels: tuple[str, ...], source: str) -> NDArray[np.int64]:
    ids = {name: place for place, name in enumerate(labels)}
    for row in rows:
        if row.label not in ids:
            raise LadaError(
                f"{row.where}: label {shown(row.label)} does not occur in {source}. "
                f"Set it to one of {listed(labels)}."
            )
    return np.array([ids[row.label] for row in rows], dtype=np.int64)


def _check_apart(name: str, rows: Mapping[str, list[Row]], sources: Mapping[str, Source]) -> None:
    known = {(*row.texts, row.label) for row in rows["train"]}
    examples = {(*row.texts, row.label) for row in rows[name]}
    if known == examples:
        raise LadaError(
            f"{sources[name].said}: holds the same examples as {sources['train'].said}. "
            "Give examples that are not used for training."
        )
    if common := len(known & examples):
        log.warning(
            "%d of %d %s examples are also in %s: scores on %s are too high",
            common,
            len(examples),
            name,
            sources["train"].name,
            name,
        )


def _split(name: str, rows: list[Row], labels: NDArray[Any]) -> Split:
    queries = [row.query for row in rows if row.query is not None]
    return Split(
        name=name,
        texts=[row.texts[0] for row in rows],
        pairs=[row.texts[1] for row in rows] if len(rows[0].texts) > 1 else None,
        labels=labels,
        groups=group_ids(queries) if queries else None,
    )


def read_file(path: Path, key: str, columns: Columns, layout: Layout = BY_NAME) -> list[Row]:
    """Read the examples of one file, with those checks of `load_table` that concern one example.

    Args:
        key: of the config, for messages.
    """
    lines = read_lines(path, key, layout.encoding)
    values = _values(path, key, lines, columns.by_key(), layout.delimiter)
    rows = [check_row(f"{path} line {line}", fields, columns) for line, fields in values]
    if not rows:
        raise LadaError(f"{key}={path}: has no examples. Give a file with examples.")
    return rows


def _values(
    path: Path, key: str, lines: Iterator[str], columns: dict[str, str], given: str | None
) -> Iterator[tuple[int, list[str]]]:
    suffix = (path.with_suffix("") if path.suffix == ".gz" else path).suffix.lower()
    if suffix in _JSON_SUFFIXES:
        if given is not None:
            raise LadaError(
                f"task.delimiter={given!r}: {key}={path} is JSON, which has no delimiter. "
                "Set task.delimiter=null."
            )
        return read_json_lines(lines, path, columns)
    delimiter = _DELIMITERS.get(suffix) if given is None else parse_delimiter(given)
    if delimiter is None:
        raise LadaError(
            f"{key}={path}: the name has no known suffix. Give a .csv, .tsv or .jsonl file, or one "
            "of these with .gz after it, or set task.delimiter."
        )
    return read_delimited(list(lines), path, columns, delimiter)


def check_row(where: str, fields: list[str], columns: Columns) -> Row:
    """Make an example of its fields, the labels last.

    Raises:
        LadaError: a field is empty or not a valid text.
    """
    keys = columns.by_key()
    named = dict(zip(keys.values(), fields, strict=True))
    more = [column for key, column in keys.items() if key.startswith(PROBABILITIES)]
    for column, field in named.items():
        if column in more:
            continue
        if not field.strip():
            if columns.kind == "multi_label" and column == columns.label:
                continue  # an example without any of the labels
            raise LadaError(f"{where}: column {column!r} is empty. Fill it in or delete the row.")
        try:
            field.encode()
        except UnicodeEncodeError as error:
            raise LadaError(
                f"{where}: column {column!r} has half a surrogate pair, which is not a character. "
                "Delete it."
            ) from error
        if is_invisible(field):
            raise LadaError(
                f"{where}: column {column!r} has only invisible characters, {shown(field)}. "
                "Fill it in or delete the row."
            )
    return Row(
        where=where,
        texts=fields[: 1 if columns.text_pair is None else 2],
        raw_label=_given_labels(where, named, columns.indicators) or fields[-1],
        query=None if columns.query is None else named[columns.query],
        probabilities=tuple(named[column] for column in more),
    )


def _given_labels(where: str, named: Mapping[str, str], columns: tuple[str, ...]) -> str:
    """The labels whose columns are 1, as a JSON list; empty if there are no such columns."""
    if not columns:
        return ""
    (found,) = indicator_sets({name: [named[name]] for name in columns}, [where])
    return json.dumps(sorted(found))


def is_invisible(text: str) -> bool:
    """Whether all is spaces, control and format characters, which BERT's tokenizer drops."""
    return all(unicodedata.category(c)[0] in "CZ" or c == _REPLACEMENT for c in text)
