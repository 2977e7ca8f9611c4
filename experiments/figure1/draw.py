"""The paper's Figure 1, all tasks: score against size, from the rows of experiments/table3.

python experiments/figure1/draw.py --task mnli --split dev_matched
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from lada.methods import methods
from lada.report.comparison import TEACHER, Line, compare
from lada.report.figures import draw_front, draw_panel, drawing, panels
from lada.report.paper import read_paper
from lada.report.rows import read_rows

HERE = Path(__file__).parent
TABLE = HERE.parent / "table3"


def title(task: str, split: str, found: Mapping[str, Sequence[Line]], teacher: Line) -> str:
    """The answer: the best of the smallest models, and what it keeps of its teacher's score."""
    ratios = [target for target in found if target.endswith("x")]
    target = ratios[-1] if ratios else next(iter(found))
    best, metric = found[target][0], teacher.metric
    return (
        f"{task} {split}, {target}: {best.label} has {metric.shown(best.mean)}{metric.unit} in "
        f"{best.sizes[2] / 1e6:.1f} MB,\nits teacher ({teacher.model}) "
        f"{metric.shown(teacher.mean)}{metric.unit} in {teacher.sizes[2] / 1e6:.1f} MB"
    )


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", default="mnli")
    parser.add_argument("--split", help="default: the first of the task")
    parser.add_argument("--rows", type=Path, default=TABLE / "rows", help="of another comparison")
    parser.add_argument("--out", type=Path, default=HERE, help="folder of the files")
    args = parser.parse_args(arguments)
    rows = [row for row in read_rows(args.rows) if row["task"] == args.task]
    if not rows:
        sys.exit(f"error: {args.rows}: no rows of {args.task}; run experiments/table3/run.py first")
    try:
        lines = compare(rows, tuple(methods()), reference=None)
    except ValueError as error:
        sys.exit(f"error: {args.rows}: {error}")
    split = args.split or lines[0].split
    lines = [line for line in lines if line.split == split]
    printed = [p for p in read_paper(TABLE / "paper.csv") if p.split == f"{args.task} {split}"]
    teacher = next(line for line in lines if line.method == TEACHER)
    by_target = panels(lines)
    stem = args.out / f"{args.task}_{split}"
    heights = [9.0, *(len(found) + 1.5 for found in by_target.values())]
    with drawing(stem, len(heights), 1, (8, 0.3 * sum(heights) + 1), heights) as (figure, axes):
        figure.suptitle(title(args.task, split, by_target, teacher), fontsize=11)
        draw_front(figure, axes[0, 0], lines)
        for axis, (target, found) in zip(axes[1:, 0], by_target.items(), strict=True):
            paper = {p.method: p for p in printed if p.target == target}
            draw_panel(axis, found, teacher, paper)
            size = f"{target[:-1]} times smaller" if target.endswith("x") else target
            axis.set_title("size as published" if target == "none" else size, fontsize=9)
            axis.sharex(axes[1, 0])
        axes[-1, 0].set_xlabel(
            f"{teacher.metric.heading} on {split}, with 95 % intervals; line: the teacher"
            + ("; x: the paper, BERT-base on GLUE test" if printed else "")
        )
    print(f"{stem}.pdf\n{stem}.png")


if __name__ == "__main__":
    main(sys.argv[1:])
