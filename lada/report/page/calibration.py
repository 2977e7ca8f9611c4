"""Whether probabilities can be believed: reliability diagrams of teacher and artifact."""

from collections.abc import Mapping
from typing import Any

from lada.report.page.load import Run
from lada.report.page.markup import Markup, join, tag
from lada.report.page.svg import chart, frame, mark, path
from lada.report.page.tables import plain

WHO = (("teacher", 1), ("artifact", 0))


def calibration(run: Run, split: str) -> Markup | None:
    """Of one dev split; None where there are no probabilities, or an old record has no bins."""
    found: Mapping[str, Any] = run.of_split(split).get("calibration", {})
    if not all(who in found for who, _ in WHO):
        return None
    of = frame(
        "reliability",
        "Share of right answers by the probability that they were given with; on the diagonal a "
        "model is as often right as it says.",
        (0.0, 1.0),
        (0.0, 1.0),
        "probability given (mean of a bin)",
        f"share that is {'true' if run.kind == 'multi_label' else 'right'}",
    )
    marks = [path(of, [(0, 0), (1, 1)], "diagonal thin dash")]
    for who, looks in WHO:
        bins = [each for each in found[who]["bins"] if each["size"]]
        points = [(each["probability"], each["right"]) for each in bins]
        marks.append(path(of, points, f"c{looks}{' dash' if looks else ''}"))
        marks += [
            mark(
                of,
                point,
                looks,
                f"{who}: given {point[0]:.3f}, right {point[1]:.3f}, of {each['size']:,} answers",
                3.8,
            )
            for point, each in zip(points, bins, strict=True)
        ]
    rows = [
        (who, f"{found[who]['error']:.4f}", f"{found[who]['probability']:.3f}",
         f"{found[who]['right']:.3f}")
        for who, _ in WHO
    ]  # fmt: skip
    return join(
        tag("div", chart(of, *marks), _gaps(found), class_="charts"),
        plain("", ("", "expected calibration error", "mean probability", "mean share"), rows),
        tag(
            "p",
            "■ teacher, ● artifact. Expected calibration error: the mean distance from the "
            "diagonal, over answers (Guo et al. 2017), in 15 bins of equal width.",
            class_="note",
        ),
    )


def _gaps(found: Mapping[str, Any]) -> Markup:
    """How many answers were given with which probability."""
    total = {who: max(1, sum(each["size"] for each in found[who]["bins"])) for who, _ in WHO}
    shares = [each["size"] / total[who] for who, _ in WHO for each in found[who]["bins"]]
    of = frame(
        "how sure the answers are",
        "Share of the answers in each bin of probability.",
        (0.0, 1.0),
        (0.0, 100 * 1.08 * max(shares)),
        "probability given",
        "% of answers",
    )
    marks = []
    for who, looks in WHO:
        bins = found[who]["bins"]
        points = [
            ((n + 0.5) / len(bins), 100 * each["size"] / total[who]) for n, each in enumerate(bins)
        ]
        marks.append(path(of, points, f"c{looks}{' dash' if looks else ''}"))
        marks += [
            mark(of, point, looks, f"{who}: {point[1]:.1f} % of answers near {point[0]:.2f}", 3)
            for point in points
        ]
    return chart(of, *marks)
