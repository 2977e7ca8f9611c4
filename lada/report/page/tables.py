"""Tables whose columns can be sorted."""

from collections.abc import Sequence
from typing import NamedTuple

from lada.report.page.markup import Child, Markup, cut, join, tag


class Cell(NamedTuple):
    """What a cell shows, and the number it is sorted by (None: the text)."""

    shown: Child
    value: float | None = None


def sortable(
    caption: str, header: Sequence[str], rows: Sequence[Sequence[Cell]], looks: str = ""
) -> Markup:
    """A table with a button in each header; the first column names the row.

    Args:
        caption: what it lists.
        looks: more classes.
    """
    head = [
        tag("th", tag("button", name, type="button") if name else "", scope="col")
        for name in header
    ]
    return _table(caption, head, [_row(row) for row in rows], f"sort {looks}")


def plain(caption: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> Markup:
    """A table of texts."""
    head = [tag("th", name, scope="col") for name in header]
    return _table(caption, head, [_row([Cell(cut(text)) for text in row]) for row in rows], "")


def _table(caption: str, head: Sequence[Markup], rows: Sequence[Markup], looks: str) -> Markup:
    table = tag(
        "table",
        tag("caption", caption) if caption else None,
        tag("thead", tag("tr", head)),
        tag("tbody", rows),
        class_=looks.strip() or None,
    )
    # A wide table scrolls in its own box: a keyboard has to reach it.
    return tag(
        "div", table, class_="scroll", tabindex="0", role="region", aria_label=caption or "table"
    )


def _row(cells: Sequence[Cell]) -> Markup:
    first, *others = cells
    return tag(
        "tr",
        tag("th", first.shown, scope="row", data_v=_sorted_by(first)),
        join(tag("td", cell.shown, data_v=_sorted_by(cell)) for cell in others),
    )


def _sorted_by(cell: Cell) -> str | None:
    return None if cell.value is None else repr(float(cell.value))
