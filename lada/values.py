"""Values of the config: how they are shown in a message, and whether each is of its key's type."""

from dataclasses import fields, is_dataclass
from types import NoneType
from typing import Any, get_args, get_type_hints

from lada.errors import LadaError
from lada.overrides import quoted

MISSING = "???"
"""OmegaConf's mark of a key that has no value yet."""

LONGEST = 60
"""Characters of a value that a message shows."""

NUMBERS_TOO = ("schedule.every",)
"""Keys of text that take a number as well."""

MAY_BE_EMPTY = ("task.text", "task.text_pair", "task.label")
"""Keys of text that may be empty: a column may have no name."""


def shown(value: Any) -> str:
    """A value as a message shows it: short, in one line, numbers as they are given."""
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    text = printable(f"{value:g}" if isinstance(value, float) else str(value))
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."


def printable(text: str) -> str:
    """``text`` in one line that any terminal takes: line breaks and the like as escapes."""
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode()
        for c in text
    )


def is_unicode(text: str) -> bool:
    """Whether ``text`` can be written as UTF-8, which records and libraries in Rust need."""
    try:
        text.encode()
    except UnicodeEncodeError:  # bytes of a file name that are of no encoding
        return False
    return True


def check_types(schema: type, values: dict[str, Any], prefix: str = "") -> None:
    """Reject what is not of its key's type. Keys that are missing or unknown are left be.

    Nothing is converted: true is no number, 1 is not true, "1" is text and 1.0 is not whole.

    Args:
        schema: a dataclass, whose fields may be dataclasses.
        values: plain, by the names of its fields.
        prefix: of the keys in messages.

    Raises:
        LadaError: naming the first such key.
    """
    hints = get_type_hints(schema)
    for field in fields(schema):
        if field.name not in values:
            continue
        key, kind, value = prefix + field.name, hints[field.name], values[field.name]
        if is_dataclass(kind):
            assert isinstance(kind, type)
            if not isinstance(value, dict):
                raise LadaError(
                    f"{key}={shown(value)}: {key} is a group of keys. Give one of its choices, "
                    f"{key}=NAME, or one of its keys, {key}.KEY=VALUE."
                )
            check_types(kind, value, f"{key}.")
        elif value != MISSING:
            _check_leaf(key, kind, value)


def _check_leaf(key: str, kind: Any, value: Any) -> None:
    kinds = get_args(kind) or (kind,)
    null = " or null" if NoneType in kinds else ""
    (base,) = (k for k in kinds if k is not NoneType)
    if value is None:
        if null:
            return
        raise LadaError(f"{key}=null: must have a value. Give one, or leave {key} out.")
    if base is bool and not isinstance(value, bool):
        raise LadaError(f"{key}={shown(value)}: must be true or false.")
    if base in (int, float) and (
        isinstance(value, bool) or not isinstance(value, int if base is int else int | float)
    ):
        what = "a whole number" if base is int else "a number"
        raise LadaError(f"{key}={shown(value)}: must be {what}{null}.")
    if base is float and isinstance(value, int) and abs(value) > 10**300:
        raise LadaError(f"{key}={shown(value)}: is too large for any number of this kind.")
    if base is str:
        _check_text(key, value, null)


def _check_text(key: str, value: Any, null: str) -> None:
    if isinstance(value, int) and not isinstance(value, bool) and key in NUMBERS_TOO:
        return
    if not isinstance(value, str) and key in NUMBERS_TOO:
        raise LadaError(f"{key}={shown(value)}: must be text or a whole number.")
    if not isinstance(value, str):
        again = quoted(key, shown(value)) if isinstance(value, int) else f"'{key}=\"...\"'"
        advice = "" if isinstance(value, dict | list) else f" To give it as text, write {again}."
        raise LadaError(f"{key}={shown(value)}: must be text{null}.{advice}")
    if not is_unicode(value):
        raise LadaError(f"{key}={shown(value)}: is not valid UTF-8. Rename it, or give another.")
    if not value and key not in MAY_BE_EMPTY:
        raise LadaError(f"{key}=: is empty. Give a value{null}, or leave {key} out.")
