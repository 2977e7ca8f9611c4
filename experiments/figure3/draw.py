"""The paper's Figure 3 (MNLI; 4: QQP): learning curves of lada and tinybert at x7.5.

    python experiments/figure3/draw.py

From the rows of experiments/table3. Prints where lada passes the final score of tinybert.
"""

import argparse
import sys
from collections.abc import Sequence
from itertools import product
from pathlib import Path

from lada.heads.kinds import Metric
from lada.report.figures import Curve, draw_curves, drawing, first_to_reach
from lada.report.labels import labels
from lada.report.rows import Row, choose_rates, metric_of_curve, read_rows

HERE = Path(__file__).parent
OURS, THEIRS = "lada", "tinybert"


def times(ours: float, theirs: float, what: str) -> str:
    """How many times fewer, or more, of ``what`` ours are."""
    if ours <= theirs:
        return f"{theirs / ours:.1f} times fewer {what}"
    return f"{ours / theirs:.1f} times more {what}"


def overtaking(
    seed: int, names: tuple[str, str], ours: Curve, theirs: Curve, metric: Metric
) -> str:
    """A line on where one curve passes the final score of the other; ``names``: their labels."""
    end = theirs[-1]
    last = f"{metric.shown(end['validation'])}{metric.unit}"
    start = f"seed {seed}: {names[1]} ends with {last} after {end['step']:,} steps"
    passed = first_to_reach(ours, end["validation"])
    if passed is None:
        return f"{start}; {names[0]}, at its target size, does not reach that"
    text = (
        f"{start}; {names[0]}, at its target size, first has that at step {passed['step']:,}: "
        + times(passed["step"], end["step"], "steps")
    )
    if passed["seconds"] and end["seconds"]:
        return f"{text}, {times(passed['seconds'], end['seconds'], 'seconds')}"
    return text


def curves(rows: Sequence[Row], task: str, target: str) -> dict[str, dict[str, dict[int, Curve]]]:
    """The validation checks of the two methods, by label and seed."""
    of_task = [r for r in choose_rates(rows) if (r["task"], r["target"]) == (task, target)]
    found: dict[str, dict[str, dict[int, Curve]]] = {OURS: {}, THEIRS: {}}
    for row, label in zip(of_task, labels(of_task), strict=True):
        if row["method"] in found and row["curve"]:
            found[row["method"]].setdefault(label, {})[row["seed"]] = row["curve"]
    return found


def main(arguments: list[str], task: str = "mnli", here: Path = HERE) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--target", default="7.5x")
    parser.add_argument(
        "--rows", type=Path, default=HERE.parent / "table3/rows", help="of another comparison"
    )
    parser.add_argument("--out", type=Path, default=here, help="folder of the files")
    args = parser.parse_args(arguments)
    rows = read_rows(args.rows)
    found = curves(rows, task, args.target)
    lacking = [method for method, variants in found.items() if not variants]
    if lacking:
        sys.exit(
            f"error: {args.rows}: no curve of {lacking[0]} on {task} at {args.target}; run "
            f"experiments/table3/run.py --tasks {task} --methods {OURS},{THEIRS} "
            f"--targets {args.target} first"
        )
    of_task = [row for row in rows if row["task"] == task]
    models = ", ".join(sorted({row["model"] for row in of_task}))
    metric = metric_of_curve(of_task[0])
    stem = args.out / f"{task}_{args.target}"
    said = [
        overtaking(seed, (ours, theirs), mine[seed], others[seed], metric)
        for (ours, mine), (theirs, others) in product(found[OURS].items(), found[THEIRS].items())
        for seed in sorted(mine.keys() & others.keys())
    ]
    with drawing(stem, 1, 2, (10, 4.4)) as (figure, axes):
        answer = said[0].replace("; ", ";\n", 1) + "\n" if said else ""
        figure.suptitle(
            f"{task} at {args.target}, {answer}(teacher {models}; dotted: not yet at the target "
            "size)",
            fontsize=9,
        )
        drawn = {
            label: list(seeds.values())
            for variants in found.values()
            for label, seeds in variants.items()
        }
        draw_curves(figure, axes[0], drawn, metric)
    for line in said:
        print(line)
    print(
        f"({metric.title} on the validation split, which is cut from train; the paper claims 10 "
        f"times fewer steps)\n{stem}.pdf"
    )


if __name__ == "__main__":
    main(sys.argv[1:])
