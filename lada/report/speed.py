"""Tables of the results of `lada.bench`."""

from typing import Any

from rich import box
from rich.table import Table


def speed_tables(result: dict[str, Any]) -> list[Table]:
    """One table per number of threads and batch size, and one of start-up costs.

    "faster" is the dense model's time divided by the artifact's in the same engine; "best" is the
    dense model's time in its fastest engine, divided by the artifact's in this one.
    """
    rows = result["rows"]
    settings = dict.fromkeys((row["threads"], row["batch"]) for row in rows)
    tables = [_table([r for r in rows if (r["threads"], r["batch"]) == s], *s) for s in settings]
    gone = [f"{count} {what}" for what, count in result["removed"].items() if count]
    if gone:
        tables[-1].caption = f"artifact without {', '.join(gone)} that pruning had emptied"
    if result["starts"]:
        tables.append(_starts(result["starts"]))
    return tables


def _table(rows: list[dict[str, Any]], threads: int, batch: int) -> Table:
    unit = "ms" if batch == 1 else "examples per second"
    table = Table(
        title=f"batch {batch}, {threads} thread{'s' * (threads > 1)} ({unit}; quartiles)",
        box=box.SIMPLE_HEAVY,
        title_style="bold",
    )
    table.add_column("tokens", justify="right")
    table.add_column("engine")
    for name in ("dense", "artifact", "faster", "best"):
        table.add_column(name, justify="right", style="bold" if name == "artifact" else "")
    for length in dict.fromkeys(row["length"] for row in rows):
        here = {(r["model"], r["engine"]): r for r in rows if r["length"] == length}
        engines = dict.fromkeys(engine for _, engine in here)
        best = min(here["dense", engine]["median"] for engine in engines)
        for number, engine in enumerate(engines):
            dense, ours = here["dense", engine], here["artifact", engine]
            table.add_row(
                "" if number else str(length),
                engine,
                _spread(dense, batch),
                _spread(ours, batch),
                f"{dense['median'] / ours['median']:.2f}x",
                f"{best / ours['median']:.2f}x",
                end_section=number == len(engines) - 1,
            )
    return table


def _spread(row: dict[str, Any], batch: int) -> str:
    """Latency of one example, or throughput in batches: the median and the quartiles."""
    low, median, high = (row[name] for name in ("low", "median", "high"))
    if batch > 1:
        low, median, high = (1000 * batch / ms for ms in (high, median, low))
    digits = 1 if median < 100 else 0
    return f"{median:,.{digits}f} ({low:,.{digits}f}-{high:,.{digits}f})"


def _starts(starts: list[dict[str, Any]]) -> Table:
    table = Table(
        title="in a fresh process: seconds to load, peak memory in MB",
        box=box.SIMPLE_HEAVY,
        title_style="bold",
    )
    table.add_column("engine")
    for name in ("dense, s", "artifact, s", "dense, MB", "artifact, MB"):
        table.add_column(name, justify="right")
    by = {(row["model"], row["engine"]): row for row in starts}
    for engine in dict.fromkeys(engine for _, engine in by):
        pair = [by["dense", engine], by["artifact", engine]]
        seconds = [f"{row['load_seconds']:.2f}" for row in pair]
        table.add_row(engine, *seconds, *(f"{row['peak_megabytes']:.0f}" for row in pair))
    return table
