"""How values of the config are shown in a message."""

from typing import Any

MISSING = "???"
"""OmegaConf's mark of a key that has no value yet."""

LONGEST = 60
"""Characters of a value that a message shows."""


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
