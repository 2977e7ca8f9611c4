"""What a dashboard shows besides curves, as plain values: tables, heat maps, a model.

`lada.report.watched` makes them; a backend (`lada.training.backends`) says how they are stored.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from html import escape
from pathlib import Path
from typing import Any

Cell = str | bool | int | float | None

CELL = 34
"""Width of a cell of a drawn heat map in pixels; its height is two thirds of that."""


@dataclass(frozen=True)
class Table:
    """A table; all values of a column are of one type, or None."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]


@dataclass(frozen=True)
class Grid:
    """A heat map.

    Attributes:
        rows, columns: labels.
        values: (rows, columns); None: there is nothing in this place.
        low, high: the values of the lightest and of the darkest colour.
    """

    title: str
    rows: Sequence[str]
    columns: Sequence[str]
    values: Sequence[Sequence[float | None]]
    low: float
    high: float


Entry = Table | Grid


@dataclass(frozen=True)
class Source:
    """What a model is made from, by its digest.

    Attributes:
        name: of letters, digits and ``._-``.
        kind: "teacher" or "dataset".
        about: plain values; its content.
    """

    name: str
    kind: str
    about: Mapping[str, Any]


@dataclass(frozen=True)
class Made:
    """A finished model.

    Attributes:
        name: of letters, digits and ``._-``; the same for all models of a task, method and target.
        aliases: names of this version.
        about: its figures, as plain values.
        folder: with its files.
        sources: what it is made from.
    """

    name: str
    aliases: Sequence[str]
    about: Mapping[str, Any]
    folder: Path
    sources: Sequence[Source]


def as_json(entry: Entry) -> dict[str, Any]:
    """An entry as plain JSON values."""
    return {"type": type(entry).__name__.lower()} | asdict(entry)


def from_json(value: Mapping[str, Any]) -> Entry:
    """The entry of `as_json`."""
    given = {name: part for name, part in value.items() if name != "type"}
    return Table(**given) if value["type"] == "table" else Grid(**given)


def drawn(grid: Grid) -> str:
    """A heat map as SVG, with the value in each cell; all text is escaped.

    Example:
        >>> drawn(Grid("left", ["a<b"], ["q"], [[0.25]], 0.0, 1.0)).count("a&lt;b")
        1
    """
    left = 12 + 7 * max((len(name) for name in grid.rows), default=0)
    top = 34 + 6 * max((len(name) for name in grid.columns), default=0)
    height = CELL * 2 // 3
    wide, high = left + CELL * len(grid.columns) + 10, top + height * len(grid.rows) + 10
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {high}" width="{wide}" '
        f'height="{high}" font-family="sans-serif" font-size="11" role="img">'
        f"<title>{escape(grid.title)}</title>"
        f'<rect width="{wide}" height="{high}" fill="#ffffff"/>'
        f'<text x="8" y="18" font-weight="bold">{escape(grid.title)}</text>'
    ]
    for place, name in enumerate(grid.columns):
        x = left + CELL * place + CELL // 2 + 4
        parts.append(
            f'<text transform="translate({x},{top - 6}) rotate(-60)">{escape(name)}</text>'
        )
    for line, (name, values) in enumerate(zip(grid.rows, grid.values, strict=True)):
        y = top + height * line
        parts.append(
            f'<text x="{left - 6}" y="{y + height - 8}" text-anchor="end">{escape(name)}</text>'
        )
        for place, value in enumerate(values):
            if value is not None:
                parts.append(_cell(left + CELL * place, y, height, value, grid))
    return "".join(parts) + "</svg>"


def _cell(x: int, y: int, height: int, value: float, grid: Grid) -> str:
    spread = grid.high - grid.low
    share = min(max((value - grid.low) / spread, 0.0), 1.0) if spread > 0 else 0.0
    # From near white to a dark blue: readable without colour, and by the colour-blind.
    red, green, blue = (round(a + share * (b - a)) for a, b in ((247, 8), (251, 48), (255, 107)))
    ink = "#ffffff" if share > 0.5 else "#000000"
    shown = f"{value:.2g}" if abs(value) < 1000 else f"{value:,.0f}"
    return (
        f'<rect x="{x}" y="{y}" width="{CELL - 1}" height="{height - 1}" '
        f'fill="rgb({red},{green},{blue})"/>'
        f'<text x="{x + CELL // 2}" y="{y + height - 8}" text-anchor="middle" font-size="9" '
        f'fill="{ink}">{shown}</text>'
    )
