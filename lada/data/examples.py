"""Examples given as Python objects: lists of dicts, `datasets.Dataset`, pandas frames."""

import json
import numbers
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lada.data.columns import NOT_TEXTS, PROBABILITIES, find_column, listed
from lada.data.split import Split
from lada.data.table import BY_NAME, Columns, Layout, Row, Source, check_row, read_file, split_rows
from lada.errors import LadaError

_KINDS = (
    "a list of dicts, a datasets.Dataset, a pandas DataFrame, or the path of a CSV, TSV or JSON "
    "lines file"
)


class Examples(NamedTuple):
    """Labelled examples, before the validation split is cut from the training examples."""

    labels: tuple[str, ...]
    """By class id."""
    train: Split
    dev: Split
    kind: str = "single_label"
    test: Split | None = None


def is_file(given: Any) -> bool:
    """Whether examples are given as the path of a file."""
    return isinstance(given, str | Path)


def read_examples(
    train: Any, dev: Any, columns: Columns, layout: Layout = BY_NAME, test: Any = None
) -> Examples:
    """Read examples from Python objects or files; the labels are those of ``train``.

    A label is a string, a number, a boolean, or a list of labels; each is the same as its JSON
    text, so that a file and a list with the same content give the same examples. Labels of a
    `datasets.ClassLabel` column are the names of its classes.

    Args:
        train: a list (or another iterable) of dicts, a `datasets.Dataset`, a pandas frame, or the
            path of a file (see `lada.data.table.load_table`).
        dev: the same, with the same columns.
        columns: the columns to read; others are ignored.
        layout: of files.
        test: the same as ``dev``, or None.

    Raises:
        LadaError: as `load_table`; it names the example, such as ``train[3]``.

    Example:
        >>> rows = [{"text": "good soup", "label": 1}, {"text": "bad soup", "label": 0}]
        >>> columns = Columns(text="text", text_pair=None, label="label")
        >>> found = read_examples(rows, [{"text": "fine", "label": 1}], columns)
        >>> found.labels, found.train.labels.tolist()
        (('0', '1'), [1, 0])
    """
    given = {"train": train, "dev": dev} | ({} if test is None else {"test": test})
    sources = {name: source_of(each, name) for name, each in given.items()}
    rows = {
        name: read_rows(each, sources[name], columns if name == "train" else columns.scored, layout)
        for name, each in given.items()
    }
    kind, labels, splits = split_rows(rows, sources, columns)
    return Examples(labels, splits["train"], splits["dev"], kind, splits.get("test"))


def source_of(given: Any, name: str) -> Source:
    """The name of examples in messages: the file, or the argument."""
    if is_file(given):
        return Source(str(given), f"task.{name}_file={given}")
    return Source(name, name)


def read_rows(given: Any, source: Source, columns: Columns, layout: Layout) -> list[Row]:
    """The examples of an object or a file as they were read, see `read_examples`."""
    if is_file(given):
        return read_file(Path(given), source.said.partition("=")[0], columns, layout)
    rows = [
        check_row(where, _fields(values, where, columns), columns)
        for where, values in _values(given, source.name, columns)
    ]
    if not rows:
        raise LadaError(f"{source.name}: has no examples. Give at least one.")
    return rows


def _values(given: Any, name: str, columns: Columns) -> Iterator[tuple[str, list[Any]]]:
    """Yield the name of an example for messages, and its values, the label last."""
    wanted = columns.by_key()
    if _is(given, "pandas", "DataFrame"):
        header = [str(column) for column in given.columns]
        places = [find_column(header, column, name, key) for key, column in wanted.items()]
        found = [given.iloc[:, place].tolist() for place in places]
        # Before all else: one missing value makes floats of all integers in its column.
        for (key, column), values in zip(wanted.items(), found, strict=True):
            for number, value in enumerate(values):
                _check_given(f"{name}.iloc[{number}]", key, column, value)
        yield from _numbered(zip(*found, strict=True), f"{name}.iloc")
    elif _is(given, "datasets", "Dataset"):
        for key, column in wanted.items():
            find_column(list(given.column_names), column, name, key)
        found = [list(given[column]) for column in wanted.values()]
        names = _class_names(given.features.get(columns.label))
        if names is not None:
            found[-1] = [names(label) for label in found[-1]]
        yield from _numbered(zip(*found, strict=True), name)
    elif isinstance(given, Mapping):
        parts = f"; give one of its parts, {listed(list(map(str, given)))}" if given else ""
        raise LadaError(f"{name}: is a {type(given).__name__}, not examples. Give {_KINDS}{parts}.")
    elif isinstance(given, Iterable) and not isinstance(given, bytes):
        for number, item in enumerate(given):
            where = f"{name}[{number}]"
            if not isinstance(item, Mapping):
                raise LadaError(
                    f"{where}: is {_kind(item)}, not a dict. Give dicts such as "
                    f'{{"{columns.text}": "...", "{columns.label}": "..."}}.'
                )
            header, found = [str(column) for column in item], list(item.values())
            places = [find_column(header, column, where, key) for key, column in wanted.items()]
            yield where, [found[place] for place in places]
    else:
        raise LadaError(f"{name}: is {_kind(given)}, not examples. Give {_KINDS}.")


def _numbered(rows: Iterable[tuple[Any, ...]], name: str) -> Iterator[tuple[str, list[Any]]]:
    for number, values in enumerate(rows):
        yield f"{name}[{number}]", list(values)


def _is(given: Any, module: str, name: str) -> bool:
    """Whether it is of a library's class; the library is not imported for this."""
    loaded = sys.modules.get(module)
    return loaded is not None and isinstance(given, getattr(loaded, name))


def _class_names(feature: Any) -> Callable[[Any], Any] | None:
    """The names of a `datasets.ClassLabel` by id; None for another feature."""
    if not _is(feature, "datasets", "ClassLabel"):
        return None
    names: list[str] = feature.names

    def name_of(label: Any) -> Any:
        if label is None or not 0 <= label < len(names):
            return None  # data sets mark an example without a label so
        return names[label]

    return name_of


def _fields(values: list[Any], where: str, columns: Columns) -> list[str]:
    out = []
    for (key, column), value in zip(columns.by_key().items(), values, strict=True):
        _check_given(where, key, column, value)
        label = key.startswith(NOT_TEXTS)
        if key.startswith(PROBABILITIES) and _is_missing(value):
            value = ""
        elif label and isinstance(value, bool | np.bool_):
            value = json.dumps(bool(value))
        elif label and isinstance(value, numbers.Integral):
            value = str(int(value))
        elif label and isinstance(value, numbers.Real):
            value = repr(float(value))
        elif label and isinstance(value, list | tuple | np.ndarray):
            value = json.dumps([str(part) for part in value])
        if not isinstance(value, str):
            wanted = "a string, a number or a list" if label else "a string"
            raise LadaError(f"{where}: column {column!r} is {_kind(value)}. Give {wanted}.")
        out.append(str(value))
    return out


def _is_missing(value: Any) -> bool:
    # pandas.NA does not compare; NaN is not equal to itself.
    missing = value is None or type(value).__name__ in ("NAType", "NaTType")
    return missing or (isinstance(value, float) and value != value)


def _check_given(where: str, key: str, column: str, value: Any) -> None:
    if _is_missing(value) and not key.startswith(PROBABILITIES):
        raise LadaError(
            f"{where}: column {column!r} has no value ({value}). Fill it in or delete the example."
        )


def _kind(value: Any) -> str:
    if value is None:
        return "None"
    if isinstance(value, float):
        return f"the number {value}"
    return f"of type {type(value).__name__}"
