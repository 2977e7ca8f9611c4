"""The tables of README.md, made from the records in this folder.

python experiments/training_speed/tables.py
"""

import json
from pathlib import Path
from statistics import mean, median
from typing import Any

from lada.report.markdown import put, table

HERE = Path(__file__).parent


def loops(record: dict[str, Any]) -> str:
    """Examples per second of each loop, and the ratio to the plain loop's and TextBrewer's."""
    rows = record["steps"] * record["batch"]
    medians = {name: median(found) for name, found in record["seconds"].items()}
    # The time to write the stored outputs, as a share of each pass over the examples.
    once = {kind: median(found) / record["rows"] for kind, found in record["pass_seconds"].items()}
    share = {
        name: once[name.split(", ")[1]] * rows / record["epochs"] if "kept" in name else 0.0
        for name in medians
    }
    lines = []
    for name, seconds in sorted(medians.items(), key=lambda item: -item[1]):
        low, high = (rows / f(record["seconds"][name]) for f in (max, min))
        whole = seconds + share[name]
        lines.append(
            [
                name,
                f"{rows / seconds:.0f} ({low:.0f}-{high:.0f})",
                f"{rows / whole:.0f}",
                f"x{medians['plain loop'] / whole:.1f}",
                f"x{medians['TextBrewer'] / whole:.1f}",
            ]
        )
    header = ["", "examples/s", "with its share of writing", "to the plain loop", "to TextBrewer"]
    repeats = min(map(len, record["seconds"].values()))
    about = (
        f"Medians of {repeats} repeats of {record['steps']} steps each; lowest and highest in "
        "brackets.\n"
    )
    return f"{table(header, lines)}\n\n{about}"


def overhead(record: dict[str, Any]) -> str:
    """Milliseconds per step of both, and their difference with its interval."""
    lines = []
    for name, found in record["pairs"].items():
        cost = [f"{100 * (ratio - 1):+.1f}" for ratio in found["ratio"]]
        lines.append(
            [
                name,
                *(f"{1000 * mean(found[who]):.1f}" for who in ("bare", "ours")),
                f"{cost[0]} % ({cost[1]} to {cost[2]})",
            ]
        )
    header = ["", "bare loop, ms per step", "ours, ms per step", "cost (95 % interval)"]
    return table(header, lines) + "\n"


def memory(record: dict[str, Any]) -> str:
    """The memory that a step needs, and the peak of the process."""
    parts = record["bytes"]
    header = [*(name.replace("_", " ") for name in parts), "sum"]
    row = [f"{size / 1e9:.2f}" for size in (*parts.values(), record["sum"])]
    lines = [table(header, [row]), ""]
    found = [
        [
            what,
            f"{record[name]['peak'] / 1e9:.2f} GB",
            f"{100 * record[name]['over']:+.0f} %",
            f"{record[name]['seconds_a_step']:.1f} s",
        ]
        for name, what in (
            ("as_it_is", "as it is"),
            ("given_back_at_once", "`MALLOC_MMAP_THRESHOLD_=1000000`"),
        )
    ]
    lines.append(table(["", "peak of the process", "over the sum", "per step"], found))
    return "\n".join(lines) + "\n"


def growth(record: dict[str, Any]) -> str:
    """The slopes on logarithmic axes."""
    rows = [
        [
            name,
            f"{record['points'][name][0]['size']:,}-{record['points'][name][-1]['size']:,}",
            f"{slopes['seconds']:.2f}",
            f"{slopes['bytes']:.2f}",
        ]
        for name, slopes in record["slopes"].items()
    ]
    return table(["", "from - to", "seconds per step", "memory"], rows) + "\n"


def main() -> None:
    tables = {"compare": loops, "overhead": overhead, "memory": memory, "growth": growth}
    for name, make in tables.items():
        record = json.loads((HERE / f"{name}.json").read_text(encoding="utf-8"))
        marks = (f"<!-- {name}: made by tables.py -->", f"<!-- end of {name} -->")
        put(HERE / "README.md", marks, make(record))


if __name__ == "__main__":
    main()
