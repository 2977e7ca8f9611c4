"""The table at the end of a search."""

from collections.abc import Sequence
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text


def search_table(rows: Sequence[dict[str, Any]], best: int | None) -> Table:
    """One row per trial, the best scores first; then those that were stopped, and that failed.

    Args:
        rows: see `lada.search.found.row_of`.
        best: number of the best trial.
    """
    table = Table(title="search", box=box.SIMPLE_HEAVY, title_style="bold")
    table.add_column("")
    table.add_column("trial", justify="right")
    table.add_column("values", overflow="fold")
    for name in ("validation", "MB", "ms"):
        table.add_column(name, justify="right")
    order = {"done": 0, "stopped": 1, "failed": 2, "running": 3}

    def place(row: dict[str, Any]) -> tuple[int, float, int]:
        score = row["measured"]["score"] if row["state"] == "done" else 0.0
        return order[row["state"]], -score, row["trial"]

    for row in sorted(rows, key=place):
        mark = "best" if row["trial"] == best else "front" if row["front"] else ""
        values = " ".join(f"{key}={_short(value)}" for key, value in row["params"].items())
        cells = [row["state"], "", ""]
        if row["state"] == "done":
            found = row["measured"]
            cells[0] = f"{found['score']:.4f}"
            if "bytes" in found:  # else it is a proxy
                cells[1:] = [f"{found['bytes'] / 1e6:.2f}", f"{found['ms']:.1f}"]
        # Text, since brackets in a value are not markup.
        table.add_row(mark, str(row["trial"]), Text(values), *cells)
    table.caption = "front: no other trial is better in every objective. Scores are of validation."
    return table


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
