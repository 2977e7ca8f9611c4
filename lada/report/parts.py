"""The content of an artifact as a table and as a figure."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table

Part = dict[str, Any]
"""A matrix or tensor as plain values: the fields of `lada.artifact.inspect.Part`."""

SHORT = (("bert.", ""), ("encoder.layer.", "layer."), ("_embeddings", ""), (".weight", ""))
"""Parts of names that are shortened, so that a table fits a terminal of 80 columns."""


def parts_table(parts: Sequence[Part], stored_bytes: int) -> Table:
    """A row per matrix; biases, LayerNorm and other vectors share one row."""
    table = Table(box=box.SIMPLE_HEAVY)
    table.add_column("matrix", no_wrap=True)
    table.add_column("kind", no_wrap=True)
    for name in ("shape", "rank", "density", "bytes"):
        table.add_column(name, justify="right", no_wrap=True)
    measured = any(part["error"] is not None for part in parts)
    if measured:
        table.add_column("error", justify="right")
    vectors = [part for part in parts if len(part["shape"]) == 1]
    for part in parts:
        if part in vectors:
            continue
        cells = [
            _short(part["name"]),
            part["kind"],
            "x".join(map(str, part["shape"])),
            "" if part["rank"] is None else str(part["rank"]),
            f"{part['density']:.3f}",
            f"{part['stored_bytes']:,}",
        ]
        if measured:
            cells.append("" if part["error"] is None else f"{part['error']:.3f}")
        table.add_row(*cells)
    size = sum(part["stored_bytes"] for part in vectors)
    table.add_row(f"{len(vectors)} vectors", "dense", "", "", "1.000", f"{size:,}")
    total = sum(part["stored_bytes"] for part in parts)
    names = stored_bytes - total
    table.caption = f"{stored_bytes:,} bytes in all, {names:,} of them the file's own header"
    return table


def _short(name: str) -> str:
    for long, short in SHORT:
        name = name.replace(long, short)
    return name


def plot_parts(parts: Sequence[Part], file: Path) -> None:
    """Draw bytes, rank and density of each matrix to an image file.

    Raises:
        ImportError: matplotlib is not installed.
        OSError, ValueError: the file cannot be written, or its type is unknown.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    shown = [part for part in parts if len(part["shape"]) == 2]
    figure, (left, right) = pyplot.subplots(
        1, 2, figsize=(11, 0.21 * len(shown) + 1.6), sharey=True, constrained_layout=True
    )
    places = range(len(shown))
    left.barh(places, [part["stored_bytes"] / 1000 for part in shown], color="#4477aa")
    left.set_xscale("log")
    left.set_xlabel("bytes in the file, thousands (log scale)")
    left.set_yticks(places, [_short(part["name"]) for part in shown], fontsize=7)
    left.invert_yaxis()
    density = [part["density"] for part in shown]
    ranks = [(part["rank"] or min(part["shape"])) / min(part["shape"]) for part in shown]
    right.plot(density, places, "o", ms=4, color="#4477aa", label="density of its factors")
    right.plot(ranks, places, "s", ms=4, color="#ee6677", label="rank, relative to full rank")
    right.set_xlim(0, 1.02)
    right.set_xlabel("density, rank")
    right.grid(axis="x", alpha=0.3)
    right.legend(loc="upper center", bbox_to_anchor=(0.5, 1.0), ncols=2, fontsize=8)
    try:
        figure.savefig(file, dpi=150)
    finally:
        pyplot.close(figure)
