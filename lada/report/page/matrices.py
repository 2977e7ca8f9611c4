"""The matrices of the artifact as a map of the model: rank, density and bits."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lada.report.page.load import Run
from lada.report.page.markup import Markup, cut, join, tag
from lada.report.page.svg import figure
from lada.report.page.tables import Cell, sortable

Matrix = Mapping[str, Any]
"""See `lada.run.details`."""

LAYER = re.compile(r"(?:^|\.)(?:layers?|layer_groups|h|block)\.(\d+)\.(.*)$")
WORDS = (("attention.self.", ""), ("attention.output.dense", "attention out"),
         ("intermediate.dense", "feed-forward in"), ("output.dense", "feed-forward out"),
         ("_embeddings", ""))  # fmt: skip
NARROW = {"query": "q", "key": "k", "value": "v", "attention out": "att out",
          "feed-forward in": "ffn in", "feed-forward out": "ffn out"}  # fmt: skip
CELL, ROW, LEFT = 47, 19, 38
MOST = 16
"""Most columns of a map."""


def matrices_of(run: Run) -> list[Matrix]:
    """Those that the method compresses, in the model's order."""
    return [m for m in run.details.get("matrices", []) if m["kind"] != "dense"]


def place_of(name: str) -> tuple[str, str]:
    """Layer and role of a matrix; "" and its name where it is in no layer.

    Example:
        >>> place_of("bert.encoder.layer.3.attention.self.query")
        ('3', 'query')
        >>> place_of("bert.pooler.dense")
        ('', 'pooler.dense')
    """
    found = LAYER.search(name)
    layer, role = (found[1], found[2]) if found else ("", name)
    if not found:
        role = ".".join(role.split(".")[-2:])
    for long, short in WORDS:
        role = role.replace(long, short)
    return layer, role


def matrix_map(run: Run) -> Markup | None:
    """Three maps, layers by roles, and the table that they are drawn from."""
    found = matrices_of(run)
    if not found:
        return None
    maps = []
    if any(m["rank"] is not None for m in found):
        maps.append(_map("rank (share of full rank: shade)", found, _rank))
    maps.append(_map("density of what is stored", found, _density))
    maps.append(_map("bits per weight of the dense matrix", found, _bits))
    return join(
        tag("div", maps, class_="charts"),
        tag("details", tag("summary", "All matrices as a table"), _table(found)),
    )


def bits(m: Matrix) -> float:
    """Stored bits for each weight of the matrix that it replaces."""
    rows, columns = m["shape"]
    return float(8 * m["stored_bytes"] / (rows * columns))


def _rank(m: Matrix, most: float) -> tuple[str, float]:
    if m["rank"] is None:
        return "", 0.0
    return str(int(m["rank"])), m["rank"] / min(m["shape"])


def _density(m: Matrix, most: float) -> tuple[str, float]:
    return f"{m['density']:.2f}".removeprefix("0"), m["density"]


def _bits(m: Matrix, most: float) -> tuple[str, float]:
    return f"{bits(m):.2f}", bits(m) / most


def _map(
    title: str, found: Sequence[Matrix], of: Callable[[Matrix, float], tuple[str, float]]
) -> Markup:
    """A table of cells, darker for more; matrices in no layer are below it."""
    placed = {place_of(str(m["name"])): m for m in found}
    layers = sorted({layer for layer, _ in placed if layer}, key=int)
    roles = list(dict.fromkeys(role for layer, role in placed if layer))[:MOST]
    most = max(bits(m) for m in found)
    cells = [
        tag("text", NARROW.get(role, cut(role, 8)), x=LEFT + CELL * (n + 0.5), y=10.0,
            class_="tick small mid")
        for n, role in enumerate(roles)
    ]  # fmt: skip
    for number, layer in enumerate(layers):
        y = 16.0 + ROW * number
        cells.append(tag("text", layer, x=LEFT - 6, y=y + 13, class_="tick end"))
        for n, role in enumerate(roles):
            if (layer, role) in placed:
                cells.append(_cell(LEFT + CELL * n, y, placed[layer, role], of, most))
    outside = [(role, m) for (layer, role), m in placed.items() if not layer]
    top = 16.0 + ROW * len(layers) + (6 if layers else 0)
    for number, (role, m) in enumerate(outside):
        y = top + ROW * number
        cells.append(_cell(LEFT, y, m, of, most))
        cells.append(tag("text", cut(role, 40), x=LEFT + CELL + 6, y=y + 13, class_="tick"))
    told = f"{title} of {len(found)} matrices, by layer and role; the table below has the numbers."
    width = max(380, LEFT + CELL * len(roles) + 4)
    return figure(title, told, width, top + ROW * len(outside) + 4, *cells)


def _cell(
    x: float, y: float, m: Matrix, of: Callable[[Matrix, float], tuple[str, float]], most: float
) -> Markup:
    text, share = of(m, most)
    share = min(1.0, max(0.0, share))
    box = tag(
        "rect",
        tag("title", _told(m)),
        x=x + 1,
        y=y,
        width=CELL - 2,
        height=ROW - 2,
        rx=2,
        fill_opacity=0.06 + 0.94 * share,
        class_="heat m" if text else "empty m",
    )
    on = "mid small on" if share > 0.55 else "mid small"
    return join(box, tag("text", text, x=x + CELL / 2, y=y + 12, class_=on))


def _told(m: Matrix) -> str:
    rank = "" if m["rank"] is None else f"rank {m['rank']:,} of {min(m['shape']):,}, "
    rows, columns = m["shape"]
    return (
        f"{cut(m['name'], 80)}\n{rows:,} x {columns:,}, {m['kind']}; {rank}density "
        f"{m['density']:.3f}, {bits(m):.2f} bits per weight, {m['stored_bytes']:,} bytes"
    )


def _table(found: Sequence[Matrix]) -> Markup:
    header = ("matrix", "kind", "rows", "columns", "rank", "energy kept %", "density", "values",
              "bits", "bytes")  # fmt: skip
    rows = []
    for m in found:
        rank, kept = m["rank"], m.get("energy")
        rows.append(
            (
                Cell(cut(m["name"], 80)),
                Cell(cut(m["kind"], 20)),
                *(Cell(f"{n:,}", n) for n in m["shape"]),
                Cell("") if rank is None else Cell(f"{rank:,}", rank),
                Cell("") if kept is None else Cell(f"{100 * kept:.1f}", kept),
                Cell(f"{m['density']:.3f}", m["density"]),
                Cell(cut(m["values"], 20)),
                Cell(f"{bits(m):.2f}", bits(m)),
                Cell(f"{m['stored_bytes']:,}", m["stored_bytes"]),
            )
        )
    return sortable("matrices of the artifact", header, rows)
