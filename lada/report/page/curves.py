"""Learning curves, with the rounds of compression marked."""

import math
from collections.abc import Sequence

from lada.report.page.load import Run
from lada.report.page.markup import Markup, cut, join, tag
from lada.report.page.svg import (
    Frame,
    beside,
    chart,
    ends,
    frame,
    mark,
    path,
    rule_x,
    rule_y,
    spread,
    write,
)

LOOKS = 5
"""Colours and shapes of marks; lines past them are faint."""


def curves(run: Run) -> Markup | None:
    """Validation score and training losses against steps; None for a run without checks."""
    found = [_validation(run) if run.curve else None, _losses(run) if run.losses else None]
    drawn = [each for each in found if each is not None]
    if not drawn:
        return None
    rounds = run.record.get("plan", {}).get("rounds", [])
    said = (
        f"Dotted lines: the {len(rounds)} rounds of compression, which end at "
        f"x{float(rounds[-1]['ratio']):.2f} at step {int(rounds[-1]['step']):,}."
        if rounds
        else ""
    )
    return join(tag("div", drawn, class_="charts"), tag("p", said, class_="note"))


def _validation(run: Run) -> Markup:
    metric = run.checked or run.metric
    points = [(float(x["step"]), metric.scale * x["validation"]) for x in run.curve]
    theirs = run.record["teacher"].get("validation", {}).get(metric.name)
    values = [y for _, y in points]
    if theirs is not None:
        theirs *= metric.scale
        values.append(theirs)
    of = frame(
        f"validation {metric.heading}",
        f"{metric.title} on the validation split, from {values[0]:.3g} at the first check to "
        f"{points[-1][1]:.3g} at the last.",
        _steps(run, [x for x, _ in points]),
        spread(values),
        "optimizer steps",
        metric.heading,
        right=60,
    )
    marks = [
        mark(
            of,
            point,
            0,
            f"step {check['step']:,}: {metric.shown(check['validation'])}{metric.unit}\n"
            f"the student was {check['ratio']:.2f} times smaller",
        )
        for point, check in zip(points, run.curve, strict=True)
    ]
    labels = [(points[-1][1], "artifact", "c0")]
    if theirs is not None:
        labels.append((theirs, "teacher", "c1"))
    return chart(
        of,
        *_rounds(run, of),
        rule_y(of, theirs, "line c1 dash") if theirs is not None else Markup(""),
        path(of, points, "c0"),
        *marks,
        ends(of, labels, 9),
    )


def _losses(run: Run) -> Markup | None:
    terms = {
        name: [(float(step), value) for step, value in points if value > 0 and math.isfinite(value)]
        for name, points in run.losses.items()
    }
    terms = {name: points for name, points in terms.items() if points}
    if not terms:
        return None
    of = frame(
        "training loss and its terms",
        f"The losses {', '.join(cut(name, 20) for name in terms)} during training.",
        _steps(run, [x for points in terms.values() for x, _ in points]),
        spread([y for points in terms.values() for _, y in points], log=True),
        "optimizer steps",
        "loss (log scale)",
        log_y=True,
        right=74,
    )
    looks = {name: n % LOOKS for n, name in enumerate(sorted(terms, key=lambda n: n != "loss"))}
    return chart(
        of,
        *_rounds(run, of),
        *(path(of, points, f"c{looks[name]}") for name, points in terms.items()),
        *(
            mark(of, point, looks[name], f"{name}, step {point[0]:,.0f}: {point[1]:.4g}", 2.5)
            for name, points in terms.items()
            for point in _some(points)
        ),
        ends(of, [(p[-1][1], name, f"c{looks[name]}") for name, p in terms.items()], 12),
    )


def _some(points: Sequence[tuple[float, float]], most: int = 30) -> list[tuple[float, float]]:
    """Points that are evenly spaced, the last among them."""
    return [*points[: -1 : -(-len(points) // most)], points[-1]]


def _steps(run: Run, found: Sequence[float]) -> tuple[float, float]:
    return 0.0, max([float(run.record["steps"]), 1.0, *found])


def _rounds(run: Run, of: Frame) -> list[Markup]:
    """A line at each round; the ratio is written at the first, and the last that has place."""
    rounds = run.record.get("plan", {}).get("rounds", [])
    out, last = [], -math.inf
    for number, each in enumerate(rounds):
        step, ratio = float(each["step"]), float(each["ratio"])
        if not of.x.low <= step <= of.x.high:
            continue
        if len(rounds) <= 60 or number == len(rounds) - 1:
            out.append(rule_x(of, step))
        place = of.x(step)
        if number == len(rounds) - 1 or (number == 0 and len(rounds) > 1):
            if place - last > 34:
                out.append(write(place + 3, of.y.end + 8, f"x{ratio:.3g}", "tick small"))
            last = place
    return out


def overlaid(named: Sequence[tuple[str, Sequence[dict[str, float]]]], heading: str, scale: int,
             key: str) -> Markup | None:  # fmt: skip
    """The curves of several runs.

    Args:
        named: label and curve (`lada.report.curve.read_curve`) of each.
        heading: of the metric.
        scale: what values are multiplied by.
        key: "step" or "seconds".
    """
    lines = []
    for name, curve in named:
        points = [
            (float(check[key]), scale * check["validation"])
            for check in curve
            if check[key] is not None and math.isfinite(check["validation"])
        ]
        if points:
            lines.append((name, points))
    if not lines:
        return None
    what = "optimizer steps" if key == "step" else "seconds of training"
    flat = [point for _, points in lines for point in points]
    of = frame(
        f"validation {heading} by {key if key == 'seconds' else 'steps'}",
        f"The validation scores of {len(lines)} runs during training.",
        (0.0, max(x for x, _ in flat) or 1.0),
        spread([y for _, y in flat]),
        what,
        heading,
        right=96 if key == "step" else 16,
    )
    best = sorted(lines, key=lambda line: -line[1][-1][1])[:LOOKS]
    looks = {id(points): n for n, (_, points) in enumerate(best)}
    marks = []
    for name, points in lines:
        n = looks.get(id(points))
        marks.append(path(of, points, f"c{n}" if n is not None else "front thin faint"))
        if n is not None:
            marks += [
                mark(of, p, n, f"{name}\n{p[0]:,.0f} {what}: {p[1]:.4g}", 3) for p in _some(points)
            ]
    if key == "step":  # most runs end at the same
        labels = [(points[-1][1], name, f"c{looks[id(points)]}") for name, points in best]
        return chart(of, *marks, ends(of, labels, 16))
    last = [(points[-1], name, f"c{looks[id(points)]}") for name, points in best]
    return chart(of, *marks, beside(of, last))
