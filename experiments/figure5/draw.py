"""Draw errors.json (measure.py), and print its table: python experiments/figure5/draw.py"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

from experiments.figure5.measure import BINS, SHARE, SHOWN
from lada.report.figures import COLORS, drawing, place_labels
from lada.report.markdown import put, table

HERE = Path(__file__).parent
MARKS = ("<!-- table: made by draw.py -->", "<!-- end of table -->")
PAPER = ("pruning", "SVD", "hybrid")
PLACES = (0.0, 0.11, -0.07)
"""Where the label of each curve of a panel stands, in units of the weights."""


def draw(figure: Any, axis: Any, rows: list[dict[str, Any]]) -> None:
    """The densities of the errors of several variants."""
    middle, width = (BINS[1:] + BINS[:-1]) / 2, BINS[1] - BINS[0]
    labels = []
    for row, color, place in zip(rows, COLORS, PLACES, strict=False):
        density = np.array(row["histogram"]) / (sum(row["histogram"]) * width)
        axis.plot(middle, density, color=color, lw=1.2)
        at = int(np.argmin(np.abs(middle - place)))
        labels.append((float(middle[at]), float(density[at]), row["variant"], color))
    axis.set_ylabel("density (log scale)")
    axis.set_yscale("log")  # the peak of what is not pruned is far above the rest
    axis.set_ylim(0.1, 200)
    place_labels(figure, axis, labels, size=8)


def text(rows: list[dict[str, Any]]) -> str:
    """The table: one line per model and variant."""
    header = [
        "model", "variant", "mean of absolute errors", "deviation", "weights", "outputs",
        "weights, 36 matrices", "outputs, 36 matrices",
    ]  # fmt: skip
    keys = ("mean", "deviation", "weights", "outputs", "all_weights", "all_outputs")
    body = [
        [r["model"], r["variant"], *(f"{r[k]:.{4 if k in keys[:2] else 3}f}" for k in keys)]
        for r in rows
    ]
    return table(header, body) + "\n"


def main() -> None:
    """Figure and table of the README."""
    rows = json.loads((HERE / "errors.json").read_text(encoding="utf-8"))["rows"]
    models = list(dict.fromkeys(row["model"] for row in rows))
    with drawing(HERE / "errors", 2, len(models), (10, 6.5)) as (figure, axes):
        figure.suptitle(
            f"Errors of the weights of {SHOWN}, {SHARE:.0%} left, in one shot:\nfactors that are "
            "made for the outputs err more in the weights, and three times less in the outputs",
            fontsize=10,
        )
        for column, model in enumerate(models):
            own = [row for row in rows if row["model"] == model]
            for axis, is_paper in zip(axes[:, column], (True, False), strict=True):
                shown = [r for r in own if (r["variant"] in PAPER) == is_paper]
                draw(figure, axis, shown)
            axes[0, column].set_title(f"{model} MiniLM-L6: the paper's three", fontsize=9)
            axes[1, column].set_title("with statistics of the inputs", fontsize=9)
            axes[1, column].set_xlabel("error of a weight")
    put(HERE / "README.md", MARKS, text(rows))
    print(HERE / "errors.png")


if __name__ == "__main__":
    main()
