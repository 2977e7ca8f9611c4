"""The table at the end of a run: teacher and artifact, from the record alone."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from lada.heads.kinds import METRICS, Metric
from lada.report.majority import chance_corrected, verdict


class RunRows(NamedTuple):
    """The content of the table of a run, for any form of output."""

    title: str
    rows: list[tuple[str, str, str, str]]
    """Name, teacher, artifact, change."""
    caption: str
    warnings: list[str]


def run_rows(record: dict[str, Any]) -> RunRows:
    """Teacher and artifact side by side, from a run's ``results.json`` record, and its warnings."""
    task, target = record["config"]["task"]["name"], record["target"]
    method = " ".join(filter(None, (record["config"]["method"]["name"], record["start"])))
    size = f", x{target:g}" if target else ""
    rows: list[tuple[str, str, str, str]] = []
    teacher, artifact = record["teacher"], record["artifact"]
    for split in teacher["scores"]:
        t, a = teacher["scores"][split], artifact["scores"][split]
        name = split.replace("_", " ")
        metrics = shown_metrics(record, t)
        for metric in metrics:
            before, after = t[metric.name], a[metric.name]
            rows.append(
                (
                    f"{name} {metric.heading}",
                    metric.shown(before),
                    metric.shown(after),
                    metric.change(before, after),
                )
            )
        for title, texts, compared in chance_corrected((t, a), metrics):
            # From the displayed values, so that they add up.
            places = len(texts[1].partition(".")[2])
            change = f"{float(texts[1]) - float(texts[0]):+.{places}f}" if compared else ""
            rows.append((f"{name} {title}", texts[0], texts[1], change))
    for key, name in (("nonzeros", "nonzero parameters"), ("stored_bytes", "file, bytes")):
        t, a = teacher[key], artifact[key]
        rows.append((name, f"{t:,}", f"{a:,}", _times(t / a, "smaller", "larger")))
    speed = record["speed"]
    rows.append(
        (
            f"ms for {speed['length']} tokens (torch)",
            f"{speed['teacher']:.1f}",
            f"{speed['artifact']:.1f}",
            _times(speed["teacher"] / speed["artifact"], "faster", "slower"),
        )
    )
    first = next(iter(artifact["scores"].values()))
    decides = deciding(record)
    interval = decides.interval(first[f"{decides.name}_95"])
    return RunRows(
        title=f"{record['config']['model']['name']} on {task}, {method}{size}",
        rows=rows,
        caption=f"artifact read back from its file; {first['rows']:,} dev examples"
        f"{_queries(first)}, 95 % interval of {decides.title} {interval}; one seed",
        warnings=list(record.get("warnings", ())),
    )


def run_table(record: dict[str, Any]) -> Group:
    """`run_rows` for a terminal."""
    shown = run_rows(record)
    table = Table(title=shown.title, box=box.SIMPLE_HEAVY, title_style="bold")
    table.add_column("")
    table.add_column("teacher", justify="right")
    table.add_column("artifact", justify="right", style="bold")
    table.add_column("change", justify="right")
    for row in shown.rows:
        table.add_row(*row)
    table.caption = shown.caption
    # Text, since brackets in a label are not markup.
    lines = (Text(f"warning: {line}", style="bold") for line in shown.warnings)
    return Group(table, *lines)


def _queries(score: Mapping[str, Any]) -> str:
    """How many queries the examples belong to, where they have some."""
    return f" of {score['queries']:,} queries" if "queries" in score else ""


def _times(ratio: float, more: str, less: str) -> str:
    return f"{ratio:.2f}x {more}" if ratio >= 1 else f"{1 / ratio:.2f}x {less}"


def shown_metrics(record: Mapping[str, Any], score: Mapping[str, Any]) -> list[Metric]:
    """The metrics of a run that are in a score, the deciding one first.

    Records up to version 0.2.0 name none: their tasks had accuracy, and some F1.
    """
    names = record.get("metrics", ("accuracy", "f1"))
    return [METRICS[name] for name in names if name in score]


def deciding(record: Mapping[str, Any]) -> Metric:
    """The deciding metric of a run."""
    return shown_metrics(record, next(iter(record["artifact"]["scores"].values())))[0]


def sweep_table(rows: list[dict[str, Any]]) -> Table:
    """One row per job: its overrides, its outcome, and the scores of its artifact."""
    table = Table(title="sweep", box=box.SIMPLE_HEAVY, title_style="bold")
    for name in ("job", "overrides", "outcome"):
        table.add_column(name)
    records = [row["record"] for row in rows if row.get("record")]
    metrics = {deciding(record).heading for record in records} or {"accuracy %"}
    heading = metrics.pop() if len(metrics) == 1 else "score"  # a sweep may go over tasks
    for name in (heading, "teacher", "ratio", "file, bytes"):
        table.add_column(name, justify="right")
    no_better = False
    for row in rows:
        record = row.get("record")
        cells = ["", "", "", ""]
        if record:
            split = next(iter(record["artifact"]["scores"]))
            score = record["artifact"]["scores"][split]
            mark = "*" if verdict(score, None) else ""
            no_better = no_better or bool(mark)
            decides = deciding(record)
            cells = [
                f"{decides.shown(score[decides.name])}{mark}",
                decides.shown(record["teacher"]["scores"][split][decides.name]),
                f"{record['reached']:.2f}x",
                f"{record['artifact']['stored_bytes']:,}",
            ]
        # Text, since brackets in a path are not markup.
        words = (Text(word) for word in (" ".join(row["overrides"]), row["outcome"]))
        table.add_row(str(row["job"]), *words, *cells)
    if no_better:
        table.caption = "* not significantly more accurate than always answering the largest class"
    return table
