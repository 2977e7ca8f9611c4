"""Figures from the rows of the comparison: score against size, learning curves."""

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lada.heads.kinds import Metric
from lada.report.comparison import TEACHER, Line
from lada.report.paper import Printed

Curve = Sequence[Mapping[str, Any]]
"""See `lada.report.curve.read_curve`."""

COLORS = ("#4477aa", "#dd5566", "#228833", "#aa8800", "#2299bb", "#aa3377")
"""With `MARKERS` they are enough for 42 methods; no method is marked by its colour alone."""
MARKERS = "osD^vPX"
GREY = "#888888"


@contextmanager
def drawing(stem: Path, rows: int, columns: int, size: tuple[float, float]) -> Iterator[Any]:
    """A figure of panels (rows, columns), ``size`` in inches, saved as STEM.pdf and STEM.png.

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
        rows, columns, figsize=size, squeeze=False, constrained_layout=True
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


def style(*methods: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Colour and marker of each method or label, all different, by its position among all given."""
    return {
        method: {"color": COLORS[n % len(COLORS)], "marker": MARKERS[n % len(MARKERS)]}
        for n, method in enumerate(dict.fromkeys(itertools.chain(*methods)))
    }


def draw_sizes(
    figure: Any,
    axes: Sequence[Any],
    lines: Sequence[Line],
    paper: Sequence[Printed],
    order: Sequence[str] = (),
) -> None:
    """Score against nonzero parameters and against bytes of the file; the paper in grey.

    A dotted line is the majority baseline of accuracies, if classes are uneven or a method does not
    beat it.

    Args:
        axes: two, for parameters and for bytes.
        lines: of one dev split and metric, those of the teacher included.
        paper: its values for that split; it gives no bytes.
        order: methods or labels that have the same style in every such figure; others come after
            them.
    """
    methods = list(dict.fromkeys(line.label for line in lines if line.method != TEACHER))
    metric = lines[0].metric
    baselines: set[float] = set()
    if metric.name == "accuracy":
        baselines = {x.majority for x in lines if x.majority and (x.uneven or x.no_better)}
    looks = style(order, methods) | {TEACHER: {"color": "black", "marker": "*"}}
    panels: tuple[tuple[Any, Callable[[Line], float]], ...] = (
        (axes[0], lambda line: line.sizes[0] / 1e6),
        (axes[1], lambda line: line.sizes[2] / 1e6),
    )
    for axis, size in panels:
        labels = []
        axis.set_xscale("log")
        for method in (*methods, TEACHER):
            found = [line for line in lines if line.label == method]
            across = [size(line) for line in found]
            up = [metric.scale * line.mean for line in found]
            bounds = [  # a bound may be on the other side of the mean by a rounding error
                [metric.scale * max(0.0, line.mean - line.interval[0]) for line in found],
                [metric.scale * max(0.0, line.interval[1] - line.mean) for line in found],
            ]
            color, marker = looks[method]["color"], looks[method]["marker"]
            axis.errorbar(across, up, yerr=bounds, fmt="none", ecolor=color, alpha=0.45, lw=1)
            axis.plot(across, up, marker, ms=5, color=color)
            axis.plot(across, up, lw=0.7, alpha=0.35, color=color)
            labels += [(x, y, method, color) for x, y in zip(across, up, strict=True)]
        for baseline in baselines:  # one at most, of the split
            axis.axhline(100 * baseline, color=GREY, lw=0.8, ls=":")
            left = min(size(line) for line in lines)
            labels.append((left, 100 * baseline, "majority baseline", GREY))
        if axis is axes[0]:
            labels += _draw_paper(axis, paper)
        _plain_ticks(axis)
        axis.set_ylabel(metric.heading)
        place_labels(figure, axis, labels)
    axes[0].set_xlabel("nonzero parameters, millions (log scale)")
    axes[1].set_xlabel("file of the weights, MB (log scale)")


def _draw_paper(axis: Any, paper: Sequence[Printed]) -> list[tuple[float, float, str, str]]:
    labels = []
    for printed in paper:
        x, y = printed.parameters / 1e6, printed.accuracy
        axis.plot([x], [y], "x", ms=4, color=GREY)
        labels.append((x, y, printed.name, GREY))
    return labels


def _plain_ticks(axis: Any) -> None:
    """Plain numbers on a log axis: 2 5 10 20."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axis.xaxis.set_major_locator(LogLocator(10, subs=(1, 2, 3, 5)))
    axis.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    axis.xaxis.set_minor_formatter(NullFormatter())


def place_labels(
    figure: Any, axis: Any, labels: Sequence[tuple[float, float, str, str]], size: float = 6.5
) -> None:
    """Write labels near their points without overlaps, joined to them by a thin line.

    Each takes the nearest free place on a widening spiral; if none is free, the last one tried.

    Args:
        labels: (x, y, text, colour), x and y in data coordinates.
        size: of the letters, in points.
    """
    figure.canvas.draw()  # limits and panels must be final before anything is measured
    renderer = figure.canvas.get_renderer()
    inside = axis.get_window_extent(renderer)
    scale = figure.dpi / 72
    points = [axis.transData.transform((x, y)) for x, y, _, _ in labels]
    taken = [(px - 3 * scale, py - 3 * scale, px + 3 * scale, py + 3 * scale) for px, py in points]
    for (x, y, text, color), (px, py) in zip(labels, points, strict=True):
        note = axis.annotate(
            text,
            (x, y),
            xytext=(0, 0),
            textcoords="offset points",
            fontsize=size,
            color=color,
            ha="center",
            va="center",
            bbox={"boxstyle": "square,pad=0.05", "fc": "white", "ec": "none", "alpha": 0.7},
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


def draw_curves(axes: Sequence[Any], curves: Mapping[str, Sequence[Curve]], metric: Metric) -> None:
    """Validation score against steps and against seconds; dotted before the target size.

    Args:
        axes: two, for steps and for seconds.
        curves: by method or label, one for each seed.
        metric: of the validation checks.
    """
    looks = style(list(curves))
    for axis, key, unit in ((axes[0], "step", "steps"), (axes[1], "seconds", "seconds")):
        for method, seeds in curves.items():
            color = looks[method]["color"]
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
                        label=method if dots == "-" and number == 0 else None,
                    )
        axis.set_xlabel(f"{unit} of training")
        axis.set_xlim(left=0)
        axis.set_ylabel(f"validation {metric.heading}")
        axis.legend(loc="lower right")


def at_target(check: Mapping[str, Any], curve: Curve) -> bool:
    """Whether the student already had its final size at a validation check."""
    return bool(check["ratio"] >= 0.999 * curve[-1]["ratio"])


def first_to_reach(curve: Curve, score: float) -> Mapping[str, Any] | None:
    """The first check at which a student of its final size has this score."""
    reached = (x for x in curve if at_target(x, curve) and x["validation"] >= score)
    return next(reached, None)
