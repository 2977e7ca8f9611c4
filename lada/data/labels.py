"""The classes of a data file: which labels are the same class, and their order."""

import logging
import re
import unicodedata
from collections.abc import Iterable
from decimal import Decimal

from lada.data.columns import listed, shown
from lada.errors import LadaError

log = logging.getLogger("lada")

_INTEGER = re.compile(r"[+-]?[0-9]+")
_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]*)?")


def class_names(labels: Iterable[str], where: str) -> tuple[str, ...]:
    """Return the classes of all labels, in numeric order if all are integers, else sorted as text.

    Spaces around a label are not part of it. Labels that differ only by case or spaces are
    different classes, with a warning.

    Args:
        labels: as they are in the file, in any order.
        where: the file, for the messages.

    Raises:
        LadaError: two labels are the same number, such as 1 and +1.
    """
    raw = set(labels)
    names = {label.strip() for label in raw}
    padded = sorted(raw & {label.strip() for label in raw if label != label.strip()})
    if padded:
        log.warning(
            "%s: labels %s occur with and without spaces around them; both are the same class",
            where,
            listed(padded),
        )
    numbers: dict[Decimal, str] = {}
    for name in sorted(names):
        if _NUMBER.fullmatch(name):
            other = numbers.setdefault(Decimal(name), name)
            if other != name:
                raise LadaError(
                    f"{where}: labels {shown(other)} and {shown(name)} are the same number. "
                    "Write it the same way everywhere."
                )
    _warn_of_alike(names, where)
    if all(_INTEGER.fullmatch(name) for name in names):
        return tuple(sorted(names, key=Decimal))  # int() takes 4,300 digits at most
    return tuple(sorted(names))


def _warn_of_alike(names: set[str], where: str) -> None:
    alike: dict[str, list[str]] = {}
    for name in sorted(names):
        folded = unicodedata.normalize("NFKC", name).casefold()
        visible = "".join(c for c in folded if unicodedata.category(c)[0] not in "CZ")
        alike.setdefault(visible, []).append(name)
    for group in alike.values():
        if len(group) > 1:
            log.warning(
                "%s: labels %s differ only by case, spaces or invisible characters and are "
                "different classes. If they are one class, write it the same way everywhere.",
                where,
                listed(group),
            )
