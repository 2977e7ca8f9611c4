"""The tables of the comparison: python experiments/comparison/table.py [--readme]"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

sys.path.insert(0, str(Path(__file__).parents[2]))

from experiments.comparison.run import (
    EPOCH,
    HERE,
    RECORDS,
    SECONDS,
    Case,
    Settings,
    is_planned,
    read_records,
    read_settings,
)
from lada.report.comparison import LEVEL, TEACHER, Line, by_target, compare
from lada.report.differences import SAMPLES, is_exact
from lada.report.markdown import put, table
from lada.report.rows import Row

MARKS = ("<!-- tables: made by table.py --readme -->", "<!-- end of tables -->")
OURS = "†"
"""The mark of a row whose source has no such model at its size."""


def header(lines: Sequence[Line], reference: str) -> list[str]:
    """The header of a table."""
    return [
        "size", "entry", "split", "seeds", lines[0].metric.heading, "95 %", "kept %",
        f"to {reference}", "p (Holm)", "", "ratio", "file, MB", "seconds", "steps", "rate",
    ]  # fmt: skip


def cells(line: Line, settings: Settings) -> list[str]:
    """The cells of one line."""
    if line.method == TEACHER:
        name = f"teacher, {line.model}"
    else:
        name = _marked(line.label, line.target, settings)
    seeds = (min(line.scores), max(line.scores))
    spread = f" ({line.metric.interval(seeds)})" if len(line.scores) > 1 else ""
    some = f" ({line.paired} seeds)" if 0 < line.paired < len(line.seeds) else ""
    _, ratio, stored = line.sizes
    return [
        line.target,
        name,
        line.split,
        str(len(line.seeds)),
        f"{line.metric.shown(line.mean)}{spread}",
        line.metric.interval(line.interval),
        f"{100 * line.mean / fmean(line.teachers):.1f}" if line.teachers else "",
        "" if line.difference is None else f"{line.metric.change(0, line.difference)}{some}",
        "" if line.adjusted is None else _chance(line.adjusted),
        line.mark,
        f"x{ratio:.2f}",
        f"{stored / 1e6:.2f}",
        "" if line.seconds is None else f"{line.seconds:,.0f}",
        " or ".join(f"{steps:,}" for steps in line.steps),
        "" if line.rate is None else f"{line.rate:g}",
    ]


def task_table(rows: Sequence[Row], reasons: Sequence[dict[str, str]], settings: Settings) -> str:
    """The table of one task, with its notes.

    Args:
        rows: of the task.
        reasons: its records of sizes that cannot be reached.
    """
    entries, reference = list(settings["entries"]), settings["reference"]
    lines = compare(rows, entries, reference)
    columns = header(lines, reference)
    found: list[tuple[tuple[object, ...], list[str]]] = []
    for place, line in enumerate(lines):
        first = line.method != TEACHER
        found.append(((line.split, first, by_target(line.target), place), cells(line, settings)))
    splits = list(dict.fromkeys(line.split for line in lines))
    for reason in reasons:
        name = _marked(reason["label"], reason["target"], settings)
        own = [reason["target"], name, splits[0], "", "not reachable"]
        own += [""] * (len(columns) - len(own))
        found.append(((splits[0], True, by_target(reason["target"]), len(lines)), own))
    body = [row for _, row in sorted(found, key=lambda x: x[0])]
    return "\n\n".join([table(columns, body), *notes(rows, lines, reasons, settings)])


def notes(
    rows: Sequence[Row],
    lines: Sequence[Line],
    reasons: Sequence[dict[str, str]],
    settings: Settings,
) -> list[str]:
    """The notes below the table of one task."""
    reference, task = settings["reference"], rows[0]["task"]
    tests = sum(line.p_value is not None for line in lines)
    exact = is_exact(rows[0])
    test = (
        "McNemar's exact test on the answers to the same examples"
        if exact
        else f"a paired bootstrap of the same examples ({SAMPLES:,} samples)"
    )
    interval = "Wilson's interval" if exact else "bootstrap interval"
    machines = sorted({f"{r['machine']['device']} {r['precision']}" for r in rows})
    teachers = sorted({row["teacher"]["key"] for row in rows})
    said = [
        f"Scored once from the file; means over seeds; 95 %: {interval} of the mean as of one "
        f"model. Kept: of the teacher's score. To {reference}: the difference at the same size, "
        f"with the same seeds, teacher and examples. p: {test}, after Holm's correction over the "
        f"{tests} differences of this table; =: p above {LEVEL:g}. Seconds: of the compression, "
        f"without teacher, statistics and evaluation. Teachers: {', '.join(teachers)}; "
        f"{', '.join(machines)}."
    ]
    said += [
        f"Not reachable: {reason['label']} at {reason['target']} ({reason['not_reachable']})."
        for reason in reasons
    ]
    there = {(row["label"], row["target"]) for row in rows}
    there |= {(reason["label"], reason["target"]) for reason in reasons}
    lacking = {
        size: [
            entry
            for entry in settings["entries"]
            if is_planned(Case(task, entry, size), settings) and (entry, size) not in there
        ]
        for size in settings["sizes"]
    }
    texts = [f"{size}: {'; '.join(names)}" for size, names in lacking.items() if names]
    return [*said, *([f"Not run yet at {'. At '.join(texts)}."] if texts else [])]


def plain_table(rows: Sequence[Row], settings: Settings) -> str:
    """The table of one task without notes."""
    lines = compare(rows, list(settings["entries"]), settings["reference"])
    body = [cells(line, settings) for line in lines]
    return table(header(lines, settings["reference"]), body)


def seconds_rows(rows: Sequence[Row], longer: Sequence[Row], reference: str) -> list[Row]:
    """The rows at equal seconds: those with more steps, and the reference's at their sizes."""
    sizes = {(row["task"], row["target"]) for row in longer}
    beside = [r for r in rows if r["label"] == reference and (r["task"], r["target"]) in sizes]
    return [*beside, *longer]


def _marked(entry: str, size: str, settings: Settings) -> str:
    published = size in settings["entries"].get(entry, {}).get("published", [])
    return entry if published else f"{entry} {OURS}"


def _chance(p: float) -> str:
    return "<0.0001" if p < 0.0001 else f"{p:.2g}"


def about_entries(settings: Settings) -> str:
    """A line on each entry: its settings, and what was published of it."""
    lines = []
    for name, entry in settings["entries"].items():
        words = " ".join(f"`{word}`" for word in entry["overrides"])
        if more := entry.get("in_bytes"):
            words += ", in bytes " + " ".join(f"`{word}`" for word in more)
        sizes = f" Published size: {', '.join(entry['published'])}." if entry["published"] else ""
        lines.append(
            f"- **{name}**: {words}. {entry['note'][0].upper()}{entry['note'][1:]}.{sizes}"
        )
    return "\n".join(lines)


def make(folder: Path, settings: Settings) -> str:
    """All tables of the records in a folder.

    Raises:
        ValueError: rows cannot be compared.
    """
    rows, reasons = read_records(folder)
    longer, _ = read_records(folder / SECONDS)
    epochs, _ = read_records(folder / EPOCH)
    parts = []
    for task in dict.fromkeys([*settings["tasks"], *(row["task"] for row in rows)]):
        own = [row for row in rows if row["task"] == task]
        if not own:
            continue
        cannot = [reason for reason in reasons if reason["task"] == task]
        parts += [f"### {task}", task_table(own, cannot, settings)]
        timed = [row for row in longer if row["task"] == task]
        if timed:
            beside = seconds_rows(own, timed, settings["reference"])
            parts += [
                f"### {task}, at equal seconds",
                f"Entries whose training is faster than that of {settings['reference']}, with as "
                "many steps as fit in its seconds.",
                plain_table(beside, settings),
            ]
        if whole := [row for row in epochs if row["task"] == task]:
            parts += [f"### {task}, one epoch", plain_table(whole, settings)]
    lacking = [t for t in settings["tasks"] if t not in {row["task"] for row in rows}]
    if lacking:
        parts.append(f"Not run yet: {', '.join(lacking)}.")
    known = f"{OURS} no such model of this size is published."
    return "\n\n".join([*parts, "### Entries", about_entries(settings), known]) + "\n"


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=Path, default=RECORDS)
    parser.add_argument("--readme", action="store_true", help="put them into README.md here")
    args = parser.parse_args(arguments)
    try:
        text = make(args.records, read_settings())
    except ValueError as error:
        sys.exit(f"error: {args.records}: {error}")
    if args.readme:
        put(HERE / "README.md", MARKS, text)
    else:
        print(text, end="")


if __name__ == "__main__":
    main(sys.argv[1:])
