"""Labels that are not one class per example: sets of labels and numbers; which kind a column is."""

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lada.data.columns import listed, shown
from lada.data.labels import class_names
from lada.errors import LadaError

_WHOLE = re.compile(r"[+-]?[0-9]+(\.0*)?")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_SEPARATORS = "|,;"
_YES, _NO = ("1", "true"), ("0", "false")
_LARGEST = float(np.finfo(np.float32).max)
_FEW = 20
"""So many different numbers may still be names of classes."""


class LikelyKind(NamedTuple):
    """What the values of a label column look like."""

    kind: str
    """``single_label``, ``multi_label`` or ``regression``."""
    sure: bool
    """Whether they can be nothing else; if not, the kind must be set."""
    found: str
    """What was found, for messages: ``has 26 different numbers``."""
    separator: str | None = None
    """What separates the labels of an example, if a character does."""


def label_sets(
    values: Sequence[object], wheres: Sequence[str], separator: str | None = None
) -> list[frozenset[str]]:
    """The labels of each example, from one column.

    Args:
        values: per example a list of strings or integers, the same as JSON text, or, if a
            separator is given, labels with it between them. An empty value: no label.
        wheres: the name of each example in messages.
        separator: what separates labels, such as ``|``.

    Raises:
        LadaError: a value is none of these, or has a label that is empty or occurs twice.

    Example:
        >>> [sorted(labels) for labels in label_sets(['["b", "a"]', [], "[3]"], ["1", "2", "3"])]
        [['a', 'b'], [], ['3']]
        >>> [sorted(labels) for labels in label_sets(["a|b", ""], ["line 2", "line 3"], "|")]
        [['a', 'b'], []]
    """
    return [_labels(value, where, separator) for value, where in zip(values, wheres, strict=True)]


def _labels(value: object, where: str, separator: str | None) -> frozenset[str]:
    items = value
    if isinstance(value, str) and separator is None:
        items = _json_list(value) if value.strip() else []
    elif isinstance(value, str) and separator is not None:
        items = value.split(separator) if value.strip() else []
    if isinstance(items, np.ndarray):
        items = items.tolist()
    if not isinstance(items, Sequence) or isinstance(items, str):
        said = shown(value) if isinstance(value, str) else repr(value)
        raise LadaError(
            f"{where}: {said} is not a list of labels. Give a list such as "
            '["a", "b"], or set task.separator to what separates the labels.'
        )
    names = []
    for item in items:
        whole = isinstance(item, int) and not isinstance(item, bool)
        name = str(item).strip() if whole or isinstance(item, str) else ""
        if not name:
            raise LadaError(f"{where}: the label {item!r} is not a name. Give strings or integers.")
        if name in names:
            raise LadaError(f"{where}: has the label {shown(name)} twice. Delete one.")
        names.append(name)
    return frozenset(names)


def _json_list(text: str) -> list[object] | None:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, list) else None


def indicator_sets(
    columns: Mapping[str, Sequence[object]], wheres: Sequence[str]
) -> list[frozenset[str]]:
    """The labels of each example, from one column of 0 and 1 per label.

    Args:
        columns: the values of each label's column.
        wheres: the name of each example in messages.

    Raises:
        LadaError: a value is not 0 or 1, or False or True.

    Example:
        >>> found = indicator_sets({"a": ["1", "0"], "b": ["1", "0"]}, ["line 2", "line 3"])
        >>> [sorted(labels) for labels in found]
        [['a', 'b'], []]
    """
    found: list[set[str]] = [set() for _ in wheres]
    for name, values in columns.items():
        for labels, value, where in zip(found, values, wheres, strict=True):
            text = str(value).strip().lower()
            if text in _YES:
                labels.add(name)
            elif text not in _NO:
                raise LadaError(
                    f"{where}: column {name!r} is {shown(str(value))}. Give 1 if the example has "
                    "this label, else 0."
                )
    return [frozenset(labels) for labels in found]


def label_names(sets: Sequence[frozenset[str]], where: str) -> tuple[str, ...]:
    """The names of all labels by id, in numeric order if all are integers, else sorted as text.

    Args:
        sets: the labels of each example to train on.
        where: the name of the examples in messages.

    Raises:
        LadaError: there are fewer than two labels, or two are the same number.
    """
    names = class_names([name for labels in sets for name in labels], where)
    if len(names) < 2:
        only = f"one label only, {shown(names[0])}" if names else "no labels"
        raise LadaError(
            f"{where}: has {only}. Set task.label to the column of the labels, or give examples of "
            "two labels or more."
        )
    return names


def multi_hot(
    sets: Sequence[frozenset[str]], names: tuple[str, ...], wheres: Sequence[str], source: str
) -> NDArray[np.float32]:
    """The labels of examples as numbers.

    Args:
        sets: the labels of each example.
        names: of all labels, by id.
        wheres: the name of each example in messages.
        source: the name of the examples that ``names`` are from.

    Returns:
        1 where an example has a label, else 0: (examples, labels).

    Raises:
        LadaError: a label is not one of ``names``.
    """
    ids = {name: place for place, name in enumerate(names)}
    found = np.zeros((len(sets), len(names)), dtype=np.float32)
    for row, (labels, where) in enumerate(zip(sets, wheres, strict=True)):
        if unknown := sorted(labels - ids.keys()):
            raise LadaError(
                f"{where}: label {shown(unknown[0])} does not occur in {source}. "
                f"Set it to one of {listed(names)}."
            )
        found[row, [ids[name] for name in labels]] = 1
    return found


def numbers(values: Sequence[object], wheres: Sequence[str], column: str) -> NDArray[np.float32]:
    """The labels of a regression: (examples,).

    Args:
        values: numbers, or their text.
        wheres: the name of each example in messages.
        column: their column, for the messages.

    Raises:
        LadaError: a value is not a finite number, or all are the same.
    """
    found = np.empty(len(values), dtype=np.float32)
    for place, (value, where) in enumerate(zip(values, wheres, strict=True)):
        number = _number(value)
        if number is None or not math.isfinite(number) or abs(number) > _LARGEST:
            raise LadaError(
                f"{where}: column {column!r} is {shown(str(value))}, not a finite number. "
                "Correct it, or set task.kind to another kind."
            )
        found[place] = number
    return found


def check_varied(labels: NDArray[np.float32], where: str, column: str) -> None:
    """Raise `LadaError` if all labels to train on are the same number."""
    if len(np.unique(labels)) < 2:
        raise LadaError(
            f"{where}: column {column!r} is {labels[0]:g} in every example. Set task.label to the "
            "column of the numbers."
        )


def _number(value: object) -> float | None:
    if isinstance(value, bool | np.bool_):
        return None
    if isinstance(value, int | float | np.number):
        return float(value)
    text = str(value).strip()
    return float(text) if isinstance(value, str) and _NUMBER.fullmatch(text) else None


def group_ids(queries: Sequence[str]) -> NDArray[np.int64]:
    """The query of each example as a number, from 0 in order of first occurrence: (examples,).

    Args:
        queries: the text or the id of each example's query.

    Example:
        >>> group_ids(["Q1", "Q1", "Q2", "Q1"]).tolist()
        [0, 0, 1, 0]
    """
    ids: dict[str, int] = {}
    return np.array([ids.setdefault(query, len(ids)) for query in queries], dtype=np.int64)


def likely_kind(values: Sequence[object]) -> LikelyKind:
    """What the values of a label column look like.

    Lists are several labels, and names or integers are classes. Numbers with a fraction and names
    with the same separator in many of them may be classes, too: the kind is then not sure.

    Args:
        values: of the column, as they were read.

    Example:
        >>> likely_kind(["good", "bad", "good"]).kind
        'single_label'
        >>> likely_kind([f"{n}.5" for n in range(26)]).found
        'has 26 different numbers'
    """
    if any(isinstance(value, list | tuple | np.ndarray) for value in values):
        return LikelyKind("multi_label", True, "has lists")
    texts = [str(value).strip() for value in values]
    full = [text for text in texts if text]
    if full and all(text.startswith("[") and _json_list(text) is not None for text in full):
        return LikelyKind("multi_label", True, "has JSON lists")
    different = set(full)
    if different and all(_NUMBER.fullmatch(text) for text in different):
        few, repeated = len(different) <= _FEW, _repeated(full, different)
        integers = all(_WHOLE.fullmatch(text) for text in different)
        if repeated or (few and integers):
            return LikelyKind("single_label", True, f"has {len(different)} classes")
        return LikelyKind("regression", False, f"has {len(different)} different numbers")
    for separator in _SEPARATORS:
        if _is_list_of_labels(different, separator):
            example = min((text for text in different if separator in text), key=len)
            return LikelyKind(
                "multi_label", False, f"has values such as {shown(example)}", separator
            )
    return LikelyKind("single_label", True, f"has {len(different)} classes")


def _repeated(values: Sequence[str], different: set[str]) -> bool:
    """Whether values occur often enough to be classes: twice each on average."""
    return len(values) >= 2 * len(different)


def _is_list_of_labels(different: set[str], separator: str) -> bool:
    """Whether the parts between separators occur in several of the values, as labels do."""
    parts = [{part.strip() for part in text.split(separator)} for text in different]
    lists = [names for text, names in zip(different, parts, strict=True) if separator in text]
    if not lists or any("" in names for names in lists):
        return False
    labels = set().union(*parts)
    return len(labels) < sum(map(len, parts))


def check_kind(values: Sequence[object], column: str) -> str:
    """The kind of a label column for which none is set.

    Args:
        values: of the column.
        column: its name.

    Raises:
        LadaError: the values may be of two kinds; it says which to set.
    """
    found = likely_kind(values)
    if found.sure:
        return found.kind
    if found.kind == "regression":
        advice = (
            "Set task.kind=regression, or task.kind=single_label if each number is the name of a "
            "class."
        )
    else:
        advice = (
            f"Set task.kind=multi_label and task.separator={found.separator!r}, or "
            "task.kind=single_label if each value is the name of one class."
        )
    raise LadaError(f"task.label={column}: {found.found}. {advice}")
