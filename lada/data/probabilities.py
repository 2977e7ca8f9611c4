"""Probabilities and numbers that another model gave to examples: `task.probabilities`."""

import json
import logging
import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from lada.data.columns import PROBABILITIES, listed, several, shown
from lada.data.label_kinds import numbers
from lada.errors import LadaError

log = logging.getLogger("lada")

KINDS = ("single_label", "multi_label", "regression")
"""The kinds whose examples may have them."""
TOLERANCE = 1e-3
"""Probabilities may sum to this much less or more than 1: they are often rounded."""


def given_outputs(
    kind: str,
    fields: Sequence[Sequence[object]],
    wheres: Sequence[str],
    column: str,
    labels: Sequence[str],
) -> NDArray[np.float32]:
    """What another model says of examples, from the columns of ``task.probabilities``.

    Args:
        kind: of the task, one of `KINDS`.
        fields: per example the value of each column, or its text. All of them empty, null or NaN:
            the example has none.
        wheres: the name of each example in messages.
        column: the column, or a JSON list of columns, as the config names them. One column has
            lists in the order of ``labels``, or numbers for a regression; several are named for the
            labels, in any order.
        labels: names of the classes or labels, by id.

    Returns:
        NaN for examples that have none: (examples, labels), for a regression (examples, 1).

    Raises:
        LadaError: the kind has no such outputs, or see `probabilities`.

    Example:
        >>> found = given_outputs("single_label", [["[0.25, 0.75]"], [""]], ["1", "2"], "p", "ab")
        >>> found.tolist()
        [[0.25, 0.75], [nan, nan]]
    """
    if kind not in KINDS:
        raise LadaError(
            f"{PROBABILITIES}={column}: is not used by task.kind={kind}. Set {PROBABILITIES}=null."
        )
    names = several(column)
    has = [row for row, values in enumerate(fields) if not all(map(_is_empty, values))]
    there, full = [wheres[row] for row in has], [fields[row] for row in has]
    out = np.full((len(fields), 1 if kind == "regression" else len(labels)), np.nan, np.float32)
    if kind == "regression":
        if len(names) > 1:
            raise LadaError(
                f"{PROBABILITIES}={column}: names {len(names)} columns, but task.kind=regression "
                "has one number. Give one column."
            )
        out[has, 0] = numbers([value for (value,) in full], there, column)
    elif has:
        apart = kind == "multi_label"
        if len(names) > 1:
            columns = dict(zip(names, zip(*full, strict=True), strict=True))
            out[has] = column_probabilities(columns, there, labels, apart=apart)
        else:
            out[has] = probabilities([value for (value,) in full], there, labels, apart=apart)
    return out


def _is_empty(value: object) -> bool:
    missing = value is None or (isinstance(value, float) and math.isnan(value))
    return missing or (isinstance(value, str) and not value.strip())


def check_given(given: NDArray[np.float32], truth: NDArray[np.float32], column: str) -> None:
    """Log how many examples have outputs of another model, and how they go with the labels.

    A warning says that they do not: they may be in another order.

    Args:
        given: see `given_outputs`, (examples, width).
        truth: 0 or 1, or numbers, (examples, width).
        column: as the config names it.

    Raises:
        LadaError: no example has them.
    """
    has = ~np.isnan(given[:, 0])
    if not has.any():
        raise LadaError(
            f"{PROBABILITIES}={column}: is empty in every training example. Fill it in for some, "
            f"or set {PROBABILITIES}=null."
        )
    a, b = given[has].ravel().astype(np.float64), truth[has].ravel().astype(np.float64)
    varied = a.std() > 0 and b.std() > 0
    r = float(np.corrcoef(a, b)[0, 1]) if varied else 0.0
    line = (
        f"{PROBABILITIES}: {has.sum()} of {len(has)} training examples have column {column}; its "
        f"correlation with the labels is {r:.2f}"
    )
    if r > 0:
        log.info("%s", line)
    else:
        log.warning("%s. Are the classes in another order?", line)


def probabilities(
    values: Sequence[object],
    wheres: Sequence[str],
    labels: Sequence[str],
    *,
    apart: bool = False,
) -> NDArray[np.float32]:
    """The probabilities of the classes, from one column of lists.

    Args:
        values: per example a list of numbers in the order of ``labels``, or the same as JSON text.
        wheres: the name of each example in messages.
        labels: the names of the classes, by id.
        apart: whether an example may have several of the labels, so that each has a
            probability of its own.

    Returns:
        Probabilities (examples, classes) that sum to 1, unless ``apart``.

    Raises:
        LadaError: a value is not such a list, or a number in it is not finite or is negative, or
            they do not sum to 1 within `TOLERANCE` (``apart``: one is over 1).

    Example:
        >>> probabilities(["[0.25, 0.75]", [1, 0]], ["line 2", "line 3"], ("a", "b")).tolist()
        [[0.25, 0.75], [1.0, 0.0]]
    """
    found = np.empty((len(values), len(labels)), dtype=np.float32)
    for row, (value, where) in enumerate(zip(values, wheres, strict=True)):
        given = _numbers(value, where)
        if len(given) != len(labels):
            raise LadaError(
                f"{where}: has {len(given)} probabilities, but there are {len(labels)} classes. "
                f"Give one for each of {listed(labels)}."
            )
        found[row] = _each(given, where) if apart else _distribution(given, where)
    return found


def column_probabilities(
    columns: Mapping[str, Sequence[object]],
    wheres: Sequence[str],
    labels: Sequence[str],
    *,
    apart: bool = False,
) -> NDArray[np.float32]:
    """The same as `probabilities`, from one column of numbers per class.

    Args:
        columns: the values of each class's column, by the name of the class in any order.
        wheres: the name of each example in messages.
        labels: the names of the classes, by id.
        apart: as there.

    Raises:
        LadaError: the columns are not those of the classes, or see `probabilities`.
    """
    if set(columns) != set(labels):
        raise LadaError(
            f"{wheres[0] if wheres else 'probabilities'}: has probabilities of "
            f"{listed(sorted(columns))}, but the classes are {listed(labels)}. Give one column for "
            "each class."
        )
    rows = zip(*(columns[name] for name in labels), strict=True)
    parsed = [
        [_number(value, where) for value in row] for row, where in zip(rows, wheres, strict=True)
    ]
    return probabilities(parsed, wheres, labels, apart=apart)


def _numbers(value: object, where: str) -> list[float]:
    items = value
    if isinstance(value, str):
        try:
            items = json.loads(value)
        except (ValueError, RecursionError):
            items = None
    if isinstance(items, np.ndarray):
        items = items.tolist()
    if not isinstance(items, Sequence) or isinstance(items, str):
        raise LadaError(
            f"{where}: {shown(str(value))} is not a list of probabilities. Give a list such as "
            "[0.25, 0.75]."
        )
    return [_number(item, where) for item in items]


def _number(value: object, where: str) -> float:
    number = math.nan
    if isinstance(value, int | float | np.number | str) and not isinstance(value, bool):
        try:
            number = float(value)
        except (ValueError, OverflowError):
            number = math.nan
    if not (math.isfinite(number) and number >= 0):
        raise LadaError(
            f"{where}: {shown(str(value))} is not a probability. Give finite numbers of 0 or more."
        )
    return number


def _distribution(given: list[float], where: str) -> list[float]:
    total = math.fsum(given)
    if abs(total - 1) > TOLERANCE:
        raise LadaError(
            f"{where}: its probabilities sum to {total:.6g}, not 1. Divide them by their sum, or "
            "give probabilities instead of logits."
        )
    return [number / total for number in given]


def _each(given: list[float], where: str) -> list[float]:
    if max(given) > 1:
        raise LadaError(
            f"{where}: {max(given):.6g} is not a probability. Give numbers from 0 to 1."
        )
    return given
