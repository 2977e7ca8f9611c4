"""Figures from the rows of the comparison: score against size, learning curves."""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lada.heads.kinds import Metric
from lada.report.comparison import TEACHER, Line, by_target
from lada.report.paper import Printed

Curve = Sequence[Mapping[str, Any]]
"""See `lada.report.curve.read_curve`."""

COLORS = ("#4477aa", "#dd5566", "#228833", "#aa8800", "#2299bb", "#aa3377")
GREY = "#888888"


@contextmanager
def drawing(
    stem: Path,
    rows: int,
    columns: int,
    size: tuple[float, float],
    heights: Sequence[float] | None = None,
) -> Iterator[Any]:
    """A figure of panels (rows, columns), ``size`` in inches, saved as STEM.pdf and STEM.png.

    Args:
        heights: of the rows, in any unit.

    Yields:
        The figure and the array of its axes.

    Raises:
        ImportError: matplotlib is not installed.
        OSError: a file cannot be written.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(
        rows, columns, figsize=size, squeeze=False, constrained_layout=True, height_ratios=heights
    )
    for axis in axes.flat:
        axis.grid(alpha=0.25)
        axis.set_axisbelow(True)
    try:
        yield figure, axes
        # Without a date, the same rows give the same file.
        figure.savefig(f"{stem}.pdf", metadata={"CreationDate": None})
        figure.savefig(f"{stem}.png", dpi=150)
    finally:
        pyplot.close(figure)


def draw_front(figure: Any, axis: Any, lines: Sequence[Line]) -> None:
    """Score against bytes of the file: every line as a point, those of the front joined and named.

    The front: no other file is at most as large and scores at least as much (`front`).

    Args:
        lines: of one dev split and metric, those of the teacher included.
    """
    metric = lines[0].metric
    best = front(lines)
    students = [line for line in best if line.method != TEACHER]
    teachers = [line for line in lines if line.method == TEACHER]

    def places(found: Sequence[Line]) -> tuple[list[float], list[float]]:
        return [x.sizes[2] / 1e6 for x in found], [metric.scale * x.mean for x in found]

    axis.set_xscale("log")
    axis.plot(*places(lines), "o", ms=4, color=GREY)
    axis.step(*places(best), where="post", color=COLORS[0], lw=1)
    axis.plot(*places(students), "o", ms=6, color=COLORS[0])
    axis.plot(*places(teachers), "*", ms=10, color="black")
    axis.set_xlabel("file of the weights, MB (log scale)")
    axis.set_ylabel(metric.heading)
    axis.margins(x=0.08, y=0.12)
    _plain_ticks(axis)
    named = [*students, *teachers]
    labels = [(x, y, line.label, "black") for x, y, line in zip(*places(named), named, strict=True)]
    place_labels(figure, axis, labels, size=8)


def front(lines: Sequence[Line]) -> list[Line]:
    """The lines that no other beats in both bytes and mean score, from the smallest file up."""
    found: list[Line] = []
    for line in sorted(lines, key=lambda x: (x.sizes[2], -x.mean)):
        if not found or line.mean > found[-1].mean:
            found.append(line)
    return found


def panels(lines: Sequence[Line]) -> dict[str, list[Line]]:
    """The lines of each target, the best first; without the teacher's."""
    targets = sorted({line.target for line in lines if line.method != TEACHER}, key=by_target)
    return {
        target: sorted(
            (x for x in lines if x.target == target and x.method != TEACHER), key=lambda x: -x.mean
        )
        for target in targets
    }


def draw_panel(
    axis: Any, lines: Sequence[Line], teacher: Line | None, paper: Mapping[str, Printed]
) -> None:
    """The lines of one target, one under the other: score with its interval, bytes at the right.

    A line across is the teacher; a dotted one the majority baseline of accuracies, if classes are
    uneven or a method does not beat it; a cross the paper's value.

    Args:
        lines: in the order in which they are drawn, from the top.
        paper: by method; of another model and test set.
    """
    metric = lines[0].metric
    for place, line in enumerate(lines):
        score, (low, high) = metric.scale * line.mean, line.interval
        axis.plot([metric.scale * low, metric.scale * high], [place] * 2, color=COLORS[0], lw=1.2)
        axis.plot([score], [place], "o", ms=5, color=COLORS[0])
        text = f"{metric.shown(line.mean)}  {line.sizes[2] / 1e6:.1f} MB"
        axis.text(1.01, place, text, transform=axis.get_yaxis_transform(), va="center", fontsize=8)
        if line.method in paper:
            axis.plot([paper[line.method].accuracy], [place], "x", ms=4, color=GREY)
    if teacher is not None:
        axis.axvline(metric.scale * teacher.mean, color="black", lw=0.8)
    if metric.name == "accuracy":
        for baseline in {x.majority for x in lines if x.majority and (x.uneven or x.no_better)}:
            axis.axvline(100 * baseline, color=GREY, lw=0.8, ls=":")
    axis.set_yticks(range(len(lines)), [line.label for line in lines], fontsize=8)
    axis.set_ylim(len(lines) - 0.5, -0.5)
    axis.grid(visible=False, axis="y")


def _plain_ticks(axis: Any) -> None:
    """Plain numbers on a log axis: 2 5 10 20."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axis.xaxis.set_major_locator(LogLocator(10, subs=(1, 2, 3, 5)))
    axis.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    axis.xaxis.set_minor_formatter(NullFormatter())


def place_labels(
    figure: Any,
    axis: Any,
    labels: Sequence[tuple[float, float, str, str]],
    size: float = 6.5,
    points: Sequence[tuple[float, float]] = (),
) -> None:
    """Write labels near their points without overlaps, joined to them by a thin line.

    Each takes the nearest free place on a widening spiral; if none is free, the last one tried.

    Args:
        labels: (x, y, text, colour), x and y in data coordinates.
        size: of the letters, in points.
        points: (x, y) of other points that no label may cover.
    """
    figure.canvas.draw()  # limits and panels must be final before anything is measured
    renderer = figure.canvas.get_renderer()
    inside = axis.get_window_extent(renderer)
    scale = figure.dpi / 72
    own = [axis.transData.transform((x, y)) for x, y, _, _ in labels]
    others = [axis.transData.transform(point) for point in points]
    taken = [
        (px - 3 * scale, py - 3 * scale, px + 3 * scale, py + 3 * scale)
        for px, py in [*own, *others]
    ]
    for (x, y, text, color), (px, py) in zip(labels, own, strict=True):
        note = axis.annotate(
            text,
            (x, y),
            xytext=(0, 0),
            textcoords="offset points",
            fontsize=size,
            color=color,
            ha="center",
            va="center",
            bbox={"boxstyle": "square,pad=0.05", "fc": "white", "ec": "none", "alpha": 0.9},
            arrowprops={"arrowstyle": "-", "color": color, "lw": 0.4, "alpha": 0.6, "shrinkB": 2},
        )
        extent = note.get_window_extent(renderer)
        width, height = extent.width / 2 + scale, extent.height / 2 + 0.5 * scale
        for across, up in _spiral(width / scale, height / scale):
            middle_x, middle_y = px + across * scale, py + up * scale
            box = (middle_x - width, middle_y - height, middle_x + width, middle_y + height)
            free = inside.x0 < box[0] and box[2] < inside.x1
            free = free and inside.y0 < box[1] and box[3] < inside.y1
            if free and not any(_overlap(box, other) for other in taken):
                break
        taken.append(box)
        note.set_position((across, up))
    figure.canvas.draw()


def _spiral(width: float, height: float) -> Iterator[tuple[float, float]]:
    """Positions of a label's centre around its point, in points, nearest first."""
    for ring, turn in itertools.product(range(40), range(16)):
        angle = 2 * math.pi * turn / 16
        yield (
            math.cos(angle) * (width + 4 + 4 * ring),
            math.sin(angle) * (height + 3 + 4 * ring),
        )


def _overlap(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def draw_curves(
    figure: Any, axes: Sequence[Any], curves: Mapping[str, Sequence[Curve]], metric: Metric
) -> None:
    """Validation score against steps and against seconds; dotted before the target size.

    Each label stands at the end of its curve.

    Args:
        axes: two, for steps and for seconds.
        curves: by method or label, one for each seed.
        metric: of the validation checks.
    """
    looks = dict(zip(curves, itertools.cycle(COLORS), strict=False))
    for axis, key, unit in ((axes[0], "step", "steps"), (axes[1], "seconds", "seconds")):
        ends = []
        for method, seeds in curves.items():
            color = looks[method]
            for number, curve in enumerate(seeds):
                timed = [check for check in curve if check[key] is not None]
                small = [check for check in timed if at_target(check, curve)]
                for part, dots in ((timed[: len(timed) - len(small) + 1], ":"), (small, "-")):
                    axis.plot(
                        [check[key] for check in part],
                        [metric.scale * check["validation"] for check in part],
                        dots,
                        color=color,
                        lw=1.4,
                    )
                if timed and number == 0:
                    last = timed[-1]
                    ends.append((last[key], metric.scale * last["validation"], method, color))
        axis.set_xlabel(f"{unit} of training")
        axis.set_xlim(0, 1.2 * max(across for across, *_ in ends))  # room for the labels
        axis.set_ylabel(f"validation {metric.heading}")
        axis.margins(y=0.1)
        place_labels(figure, axis, ends, size=9)


def at_target(check: Mapping[str, Any], curve: Curve) -> bool:
    """Whether the student already had its final size at a validation check."""
    return bool(check["ratio"] >= 0.999 * curve[-1]["ratio"])


def first_to_reach(curve: Curve, score: float) -> Mapping[str, Any] | None:
    """The first check at which a student of its final size has this score."""
    reached = (x for x in curve if at_target(x, curve) and x["validation"] >= score)
    return next(reached, None)
