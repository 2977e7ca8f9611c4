"""Markup whose text is escaped: a plain string never becomes an element."""

from collections.abc import Iterable
from html import escape

LONGEST = 400
"""Most characters of a text that is not the project's own."""


class Markup(str):
    """Text that is markup already."""

    __slots__ = ()


Child = str | Markup | None | Iterable["str | Markup | None"]


def join(*children: Child) -> Markup:
    """Children as markup; plain strings are escaped, None is nothing.

    Example:
        >>> join("a < b", Markup("<br>"), None)
        'a &lt; b<br>'
    """
    return Markup("".join(_one(child) for child in children))


def _one(child: Child) -> str:
    if child is None:
        return ""
    if isinstance(child, Markup):
        return child
    if isinstance(child, str):
        return escape(child)
    return "".join(_one(each) for each in child)


def tag(name: str, *children: Child, **attributes: str | float | bool | None) -> Markup:
    """An element; `class_` is the attribute class, and underscores are hyphens.

    An attribute that is None or False is left out, one that is True has no value.

    Example:
        >>> tag("p", "<b>", class_="note", data_tip='a "b"')
        '<p class="note" data-tip="a &quot;b&quot;">&lt;b&gt;</p>'
    """
    words = [name]
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        key = key.rstrip("_").replace("_", "-") if key not in CASED else key
        words.append(key if value is True else f'{key}="{_value(value)}"')
    return Markup(f"<{' '.join(words)}>{join(*children)}</{name}>")


CASED = ("viewBox",)
"""Attributes of SVG that are written as they are."""


def _value(value: str | float) -> str:
    if isinstance(value, float):
        return f"{value:.2f}".rstrip("0").rstrip(".")
    return escape(str(value), quote=True)


def cut(text: object, longest: int = LONGEST) -> str:
    """A text of the user, not longer than this.

    Example:
        >>> cut("a long text", 6)
        'a lon…'
    """
    found = str(text)
    return found if len(found) <= longest else f"{found[: longest - 1]}…"
