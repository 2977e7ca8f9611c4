"""The paper's Figure 1, all tasks: score against size, from the rows of experiments/table3.

python experiments/figure1/draw.py --task mnli --split dev_matched
"""

import argparse
import sys
from pathlib import Path

from lada.methods import methods
from lada.report.comparison import compare
from lada.report.figures import draw_sizes, drawing
from lada.report.paper import read_paper
from lada.report.rows import read_rows

HERE = Path(__file__).parent
TABLE = HERE.parent / "table3"


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
    stem = args.out / f"{args.task}_{split}"
    with drawing(stem, 2, 1, (10, 13)) as (figure, axes):
        where = "dev" if split.startswith("dev") else split
        ours = (
            f"{args.task} {split}: ours on {where} (teacher {lines[0].model}; bars: 95 % intervals)"
        )
        theirs = ", the paper's on GLUE test (grey; teacher BERT-base)" if printed else ""
        figure.suptitle(f"{ours}{theirs}", fontsize=10)
        draw_sizes(figure, axes[:, 0], lines, printed, tuple(methods()))
    print(f"{stem}.pdf\n{stem}.png")


if __name__ == "__main__":
    main(sys.argv[1:])
