"""Score against size and against milliseconds of several runs, with the Pareto front."""

import math
from collections.abc import Callable, Sequence

from lada.report.choose import Point
from lada.report.page.markup import Markup, tag
from lada.report.page.svg import beside, chart, frame, mark, path, rule_y, spread, steps


def tradeoff(points: Sequence[Point], names: Sequence[str], chosen: Point) -> Markup:
    """Two charts of runs on one task: score by megabytes, score by milliseconds.

    Args:
        names: of the points, as labels.
        chosen: the one to take, which has a ring.
    """
    drawn = (
        _chart(points, names, chosen, lambda point: point.mb, "file, MB (log scale)", "size"),
        _chart(points, names, chosen, lambda point: point.ms, "ms of one example (log scale)",
               "latency"),
    )  # fmt: skip
    note = (
        "● on the line: no other run is better in both; ▲: another one is. The ring is the run to "
        "take; the dashed line is the best teacher's score. Bars: 95 % intervals."
    )
    return tag("div", tag("div", drawn, class_="charts"), tag("p", note, class_="note"))


def front(costs: Sequence[float], scores: Sequence[float]) -> list[int]:
    """Places of the points that no other is as cheap as and better than, by rising cost.

    Example:
        >>> front([3.0, 1.0, 2.0, 2.0], [0.9, 0.7, 0.6, 0.8])
        [1, 3, 0]
    """
    out: list[int] = []
    for n in sorted(range(len(costs)), key=lambda n: (costs[n], -scores[n])):
        if not out or scores[n] > scores[out[-1]]:
            out.append(n)
    return out


def _chart(
    points: Sequence[Point],
    names: Sequence[str],
    chosen: Point,
    cost: Callable[[Point], float],
    title: str,
    short: str,
) -> Markup:
    metric = points[0].metric
    # A score of a model that answers alike for all may be NaN.
    shown = [n for n, point in enumerate(points) if math.isfinite(point.score())]
    if not shown:
        return Markup("")
    points, names = [points[n] for n in shown], [names[n] for n in shown]
    costs = [max(cost(point), 1e-6) for point in points]
    scores = [metric.scale * point.score() for point in points]
    bounds = [[metric.scale * bound for bound in point.interval] for point in points]
    teacher = metric.scale * max(point.score("teacher") for point in points)
    best = front(costs, scores)
    of = frame(
        f"{metric.title} against {short}",
        f"{len(points)} runs; {len(best)} of them are on the Pareto front.",
        spread(costs, log=True),
        spread([*scores, *(b for bound in bounds for b in bound), teacher]),
        title,
        metric.heading,
        log_x=True,
    )
    marks = [rule_y(of, teacher, "line c1 dash"), path(of, steps(
        [(costs[n], scores[n]) for n in best]), "front")]  # fmt: skip
    for n, point in enumerate(points):
        looks = 0 if n in best else 3
        marks.append(path(of, [(costs[n], bounds[n][0]), (costs[n], bounds[n][1])],
                          f"c{looks} thin faint"))  # fmt: skip
        marks.append(
            mark(
                of,
                (costs[n], scores[n]),
                looks,
                f"{names[n]}\n{metric.title} {metric.shown(point.score())}{metric.unit} "
                f"({metric.interval(point.interval)}), {point.mb:.2f} MB, {point.ms:.1f} ms",
            )
        )
        if point is chosen:
            marks.append(tag("circle", cx=of.x(costs[n]), cy=of.y(scores[n]), r=8.5, class_="ring"))
    # The chosen one first, then the front: there is not always place for all.
    order = sorted(range(len(points)), key=lambda n: (points[n] is not chosen, n not in best))
    labels = [((costs[n], scores[n]), names[n], "") for n in order]
    return chart(of, *marks, beside(of, labels))
