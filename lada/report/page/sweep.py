"""The answer on the first screen of a sweep: which run to take, and all of them as a table."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from lada.report.choose import Choice, Limits, Point, choose, reason
from lada.report.chosen import NOTE
from lada.report.labels import labels
from lada.report.page.curves import overlaid
from lada.report.page.document import Section
from lada.report.page.markup import Markup, cut, join, tag
from lada.report.page.tables import Cell, sortable
from lada.report.page.tradeoff import tradeoff
from lada.report.rows import make_row, metric_of_curve


@dataclass(frozen=True)
class Group:
    """Runs that can be compared: of one task, with the same dev examples and metric.

    Attributes:
        points: the runs, whose names are their folders; in the order of the choice.
        names: their labels.
        choice: which of them to take.
    """

    points: tuple[Point, ...]
    names: tuple[str, ...]
    choice: Choice

    @property
    def title(self) -> str:
        """The task and the metric."""
        return f"{cut(self.points[0].row['task'], 60)} by {self.points[0].metric.title}"

    def name_of(self, point: Point) -> str:
        """The label of one of its points."""
        return self.names[self._place(point)]

    @property
    def short(self) -> list[str]:
        """A number and a method for each, which has place in a chart."""
        return [f"{n} {p.row['method']}" for n, p in enumerate(self.points, 1)]

    def number_of(self, point: Point) -> int:
        """The number of one of its points, from 1."""
        return self._place(point) + 1

    def _place(self, point: Point) -> int:
        return next(n for n, p in enumerate(self.points) if p is point)


def read_points(folders: Sequence[Path]) -> tuple[list[Point], list[str]]:
    """The runs in folders, and a line for each that cannot be read."""
    points, lines = [], []
    for folder in folders:
        try:
            row = make_row(folder, "")
            row["target"] = f"{row['reached']:.3g}x"
            points.append(Point(str(folder), row))
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            lines.append(f"{folder.name}: cannot be read ({type(error).__name__}: {error})")
    return points, lines


def grouped(points: Sequence[Point]) -> list[Group]:
    """The runs, by what can be compared; the largest group first."""
    found: dict[tuple[str, ...], list[Point]] = {}
    for point in points:
        digest = str(point.row["data"].get(point.split, {}).get("sha256"))
        key = (point.row["task"], point.row["model"], point.metric.name, digest)
        found.setdefault(key, []).append(point)
    choices = [choose(each, Limits()) for each in found.values()]
    groups = [Group(each.points, tuple(_names(each.points)), each) for each in choices]
    return sorted(groups, key=lambda group: -len(group.points))


def _names(points: Sequence[Point]) -> list[str]:
    """A label for each: its method with what differs: settings, rate, ratio, seed."""
    rows = [point.row for point in points]
    # The size has columns of its own.
    alike = labels(
        [
            row
            | {"target": ""}
            | {"settings": {k: v for k, v in row["settings"].items() if k[:7] != "target."}}
            for row in rows
        ]
    )
    targets = len({row["target"] for row in rows}) > 1
    rates = len({row["rate"] for row in rows}) > 1
    seeds = len({row["seed"] for row in rows}) > 1
    return [
        ", ".join(
            [
                name,
                *([f"lr={row['rate']:g}"] if rates else []),
                *([f"x{row['reached']:.3g}"] if targets else []),
                *([f"seed {row['seed']}"] if seeds else []),
            ]
        )
        for name, row in zip(alike, rows, strict=True)
    ]


def answer(group: Group) -> Markup:
    """Which run to take, and why."""
    choice = group.choice
    taken = choice.points[0]
    lines = [
        tag("p", f"Take run 1, {group.name_of(taken)}: {_told(taken)}.", class_="answer"),
        tag("p", f"Why: {_reason(group)}"),
    ]
    if len(choice.points) > 1:
        other = choice.points[1]
        lines.append(tag("p", f"Runner-up: run 2, {group.name_of(other)}: {_told(other)}."))
    return join(lines)


def _reason(group: Group) -> str:
    """As `lada choose` says it, with numbers in place of folders."""
    best = group.choice.best
    said = reason(group.choice, Limits())
    return said.replace(best.name, f"run {group.number_of(best)}")


def _told(point: Point) -> str:
    metric = point.metric
    return (
        f"{metric.shown(point.score())}{metric.unit} {metric.title} "
        f"({metric.interval(point.interval)}), {point.retention:.1f} % of its teacher's, "
        f"{point.mb:.2f} MB, {point.ms:.1f} ms"
    )


def table(group: Group, home: Path) -> Markup:
    """All runs of a group; each name leads to the run's own report.

    Args:
        home: the folder of the page, which links start from.
    """
    choice, metric = group.choice, group.points[0].metric
    rows = []
    for point, p in zip(choice.points, choice.p_values, strict=True):
        folder = Path(point.name)
        name = cut(group.name_of(point), 120)
        link = _link(folder, home)
        best = point is choice.best
        rows.append(
            (
                Cell(str(group.number_of(point)), group.number_of(point)),
                Cell(tag("a", name, href=link) if link else name),
                Cell("take" if point is choice.points[0] else ""),
                Cell(metric.shown(point.score()), point.score()),
                Cell(metric.interval(point.interval)),
                Cell(f"{point.retention:.1f}", point.retention),
                Cell(f"{point.row['reached']:.2f}", point.row["reached"]),
                Cell(f"{point.mb:.2f}", point.mb),
                Cell(f"{point.ms:.1f}", point.ms),
                Cell("best" if best else f"{p:.2g}", p),
            )
        )
    header = (
        "run",
        "method and settings",
        "",
        metric.heading,
        "95 %",
        "% kept",
        "ratio",
        "MB",
        "ms",
        "p",
    )
    return sortable(f"{len(rows)} runs on {group.title}", header, rows, "named")


def _link(folder: Path, home: Path) -> str | None:
    """The run's own report from here, as a relative URL."""
    if not (folder / "report.html").is_file():
        return None
    place = Path(os.path.relpath(folder.resolve(), home.resolve())) / "report.html"
    # Not as it is: a folder's name may look like a scheme.
    return "./" + quote(place.as_posix())


def sections(group: Group, home: Path, number: int) -> list[Section]:
    """What a group has below the answer."""
    found = [
        Section(f"runs-{number}", f"Runs: {group.title}", join(
            table(group, home), tag("p", f"p: compared with the best (paired, Holm). {NOTE}",
                                    class_="note"))),
        Section(f"tradeoff-{number}", "Score against size and time",
                tradeoff(group.points, group.short, group.choice.points[0])),
    ]  # fmt: skip
    of_metric = {metric_of_curve(point.row).name for point in group.points if point.row["curve"]}
    if len(of_metric) == 1:
        metric = next(metric_of_curve(p.row) for p in group.points if p.row["curve"])
        named = [
            (name, point.row["curve"])
            for name, point in zip(group.short, group.points, strict=True)
        ]
        drawn = [overlaid(named, metric.heading, metric.scale, key) for key in ("step", "seconds")]
        some = [each for each in drawn if each is not None]
        if some:
            found.append(
                Section(f"curves-{number}", "Learning curves", tag("div", some, class_="charts"))
            )
    return found
