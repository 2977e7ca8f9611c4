"""Score against bytes of the main comparison: python experiments/comparison/draw.py --task qnli"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from experiments.comparison.run import HERE, RECORDS, read_records, read_settings
from lada.report.comparison import TEACHER, Line, compare
from lada.report.figures import draw_front, drawing


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
        draw_front(figure, axes[0, 0], lines)
        axes[0, 0].set_ylabel(f"{lines[0].metric.heading} on {lines[0].split}")
    print(f"{stem}.pdf\n{stem}.png")


if __name__ == "__main__":
    main(sys.argv[1:])
