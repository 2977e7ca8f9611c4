"""Score against bytes of the main comparison: python experiments/comparison/draw.py --task qnli"""

import argparse
import itertools
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from experiments.comparison.run import HERE, RECORDS, read_records, read_settings
from lada.report.comparison import TEACHER, Line, compare
from lada.report.figures import COLORS, GREY, drawing, place_labels


def title(task: str, lines: Sequence[Line], reference: str) -> str:
    """The answer: the reference's smallest file whose interval reaches its teacher's score.

    Without one: that with the best score.
    """
    (teacher,) = (line for line in lines if line.method == TEACHER)
    of_reference = [line for line in lines if line.label == reference]
    near = [line for line in of_reference if line.interval[1] >= teacher.mean]
    own = min(near, key=lambda line: line.sizes[2], default=None)
    own = own or max(of_reference, key=lambda line: line.mean)
    metric = teacher.metric

    def said(line: Line) -> str:
        return f"{metric.shown(line.mean)}{metric.unit} in {line.sizes[2] / 1e6:.1f} MB"

    return f"{task}: {own.label} has {said(own)},\nits teacher ({teacher.model}) {said(teacher)}"


def draw(figure: Any, axis: Any, lines: Sequence[Line], reference: str) -> None:
    """A line per entry over its sizes, the teacher as a dashed one; all named.

    What is no better than the majority class is an arrow at the lower edge, with its score as text:
    its place would press all others together.
    """
    (teacher,) = (line for line in lines if line.method == TEACHER)
    metric = teacher.metric

    def height(line: Line) -> float:
        return metric.scale * line.mean

    students = [line for line in lines if line.method != TEACHER]
    low = min(height(line) for line in lines if not line.no_better)
    edge = low - 0.08 * (height(teacher) - low)
    axis.axhline(height(teacher), color="black", ls="--", lw=1)
    colors = itertools.chain(COLORS[1:], itertools.repeat(GREY))
    labels = []
    for name in dict.fromkeys(line.label for line in students):
        own = sorted((x for x in students if x.label == name), key=lambda line: line.sizes[2])
        is_reference = name == reference
        color = COLORS[0] if is_reference else next(colors)
        shown = [line for line in own if not line.no_better]
        xs, ys = [x.sizes[2] / 1e6 for x in shown], [height(x) for x in shown]
        axis.plot(
            xs, ys, "o-", color=color, ms=6 if is_reference else 4, lw=2 if is_reference else 1
        )
        if shown:
            labels.append((xs[-1], ys[-1], name, color))
        for line in (x for x in own if x.no_better):
            x = line.sizes[2] / 1e6
            axis.plot([x], [edge], "v", color=color, ms=5)
            labels.append((x, edge, f"{name}: {metric.shown(line.mean)}", color))
    sizes = [line.sizes[2] / 1e6 for line in students]
    said = f"teacher, {teacher.sizes[2] / 1e6:.1f} MB"
    labels.append((max(sizes), height(teacher), said, "black"))
    axis.set_xlim(0, 1.15 * max(sizes))
    axis.margins(y=0.1)
    axis.set_xlabel("file of the weights, MB")
    points = [(line.sizes[2] / 1e6, height(line)) for line in students if not line.no_better]
    place_labels(figure, axis, labels, size=8, points=points)


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", default="qnli")
    parser.add_argument("--records", type=Path, default=RECORDS)
    parser.add_argument("--out", type=Path, default=HERE, help="folder of the files")
    args = parser.parse_args(arguments)
    settings = read_settings()
    rows = [row for row in read_records(args.records)[0] if row["task"] == args.task]
    reference = settings["reference"]
    if reference not in {row["label"] for row in rows}:
        sys.exit(f"error: {args.records}: no rows of {reference} on {args.task}; run run.py first")
    try:
        lines = compare(rows, list(settings["entries"]), reference=None)
    except ValueError as error:
        sys.exit(f"error: {args.records}: {error}")
    lines = [line for line in lines if line.split == lines[0].split]
    stem = args.out / args.task
    with drawing(stem, 1, 1, (7, 4.5)) as (figure, axes):
        figure.suptitle(title(args.task, lines, reference), fontsize=11)
        axes[0, 0].set_ylabel(f"{lines[0].metric.heading} on {lines[0].split}")
        draw(figure, axes[0, 0], lines, reference)
    print(f"{stem}.pdf\n{stem}.png")


if __name__ == "__main__":
    main(sys.argv[1:])
