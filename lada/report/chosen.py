"""How a choice among runs is told: as a table, and as JSON."""

from typing import Any

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from lada.report.choose import LEVEL, Choice, Limits, Point, reason

NOTE = (
    "Scores and tests are on dev. The best of many is a little flattered by it; a file that took "
    "no part in the choice (task.test_file) is not."
)


def choice_table(choice: Choice, limits: Limits) -> Group:
    """The chosen run, the runner-up and why; then all runs, those that miss a limit last."""
    metric = choice.best.metric
    lines = [Text(f"take       {_told(choice.points[0])}", style="bold")]
    if len(choice.points) > 1:
        lines.append(Text(f"runner-up  {_told(choice.points[1])}"))
    lines.append(Text(f"why        {reason(choice, limits)}"))
    table = Table(box=box.SIMPLE_HEAVY, padding=(0, 1, 0, 0))
    table.add_column("")
    table.add_column("run", overflow="fold", min_width=18)
    for name in (metric.heading, "95 %", "% kept", "MB", "ms", "p"):
        table.add_column(name, justify="right")
    for point, p in zip(choice.points, choice.p_values, strict=True):
        against = "best" if point is choice.best else f"{p:.2g}"
        mark = "taken" if point is choice.points[0] else "=" if p > LEVEL else "worse"
        table.add_row(mark, *_cells(point), against)
    for point, _ in choice.missed:
        table.add_row("missed", *_cells(point), "", style="dim")
    paired = "McNemar's exact test" if metric.name == "accuracy" else "paired bootstrap"
    told = (
        f"p: compared with the best ({paired}, Holm); =: not significantly different; missed: a "
        f"limit. {NOTE}"
    )
    return Group(*lines, table, Text(told, style="dim"))


def _told(point: Point) -> str:
    """One run in a line."""
    metric = point.metric
    return (
        f"{point.name}: {metric.title} {metric.shown(point.score())}{metric.unit} "
        f"({metric.interval(point.interval)}), {point.retention:.1f} % of the teacher's "
        f"{metric.shown(point.score('teacher'))}; {point.mb:.2f} MB, {point.ms:.1f} ms"
    )


def _cells(point: Point) -> tuple[Text | str, ...]:
    metric = point.metric
    return (
        Text(point.name),  # brackets in a path are not markup
        metric.shown(point.score()),
        metric.interval(point.interval),
        f"{point.retention:.1f}",
        f"{point.mb:.2f}",
        f"{point.ms:.1f}",
    )


def choice_json(choice: Choice, limits: Limits) -> dict[str, Any]:
    """The same as plain values."""
    runs = [
        {**_fields(point), "p": p, "significantly_worse": p <= LEVEL, "misses": []}
        for point, p in zip(choice.points, choice.p_values, strict=True)
    ]
    runs += [{**_fields(point), "misses": list(words)} for point, words in choice.missed]
    return {
        "limits": vars(limits),
        "chosen": choice.points[0].name,
        "runner_up": choice.points[1].name if len(choice.points) > 1 else None,
        "best": choice.best.name,
        "why": reason(choice, limits),
        "note": NOTE,
        "runs": runs,
    }


def _fields(point: Point) -> dict[str, Any]:
    return {
        "run": point.name,
        "metric": point.metric.name,
        "score": point.score(),
        "interval_95": list(point.interval),
        "retention": point.retention,
        "mb": point.mb,
        "ms": point.ms,
    }
