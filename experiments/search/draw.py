"""Figure and tables of a search: python experiments/search/draw.py sst2-7.5x

Reads SEARCH/results.json (`run.py`), SEARCH/proxies.json (`proxies.py`) and rows/ (`carry.py`);
writes SEARCH/trials.png and .pdf, and the tables of the README.
"""

import json
import math
import sys
from pathlib import Path
from typing import Any

from scipy.stats import rankdata

sys.path.insert(0, str(Path(__file__).parents[2]))

from experiments.search.carry import DEFAULT, HERE, ROWS, choices
from lada.report.comparison import compare
from lada.report.figures import COLORS, drawing, place_labels
from lada.report.markdown import put, table
from lada.report.rows import read_row
from lada.run.proxy import STEPS

MARKS = ("<!-- tables: made by draw.py -->", "<!-- end of tables -->")
NAMES = {"random": "random search", "tpe": "TPE"}
Report = dict[str, Any]
"""The content of results.json or proxies.json."""


def draw(stem: Path, report: Report, proxies: Report) -> None:
    """The best score so far by trial, and the proxy beside the score of the whole run."""
    with drawing(stem, 1, 2, (10, 4)) as (figure, (axes,)):
        labels = []
        for name, color in zip(NAMES, COLORS, strict=False):
            best = report["best_so_far"][name]
            scores = [math.nan if score is None else 100 * score for score in best]
            axes[0].step(range(1, len(scores) + 1), scores, where="post", color=color, lw=1.5)
            labels.append((len(scores), scores[-1], NAMES[name], color))
            points = proxies[name][str(STEPS)]["trials"]
            # Ranks, since one run at chance would press all others together.
            ranks = rankdata([-point["score"] for point in points])
            losses = [point["loss"] for point in points]
            axes[1].scatter(losses, ranks, color=color, s=18, label=NAMES[name])
        axes[0].set_title("best validation accuracy so far", fontsize=10)
        axes[0].set_xlabel("trials")
        axes[0].set_xticks(range(0, report["trials"] + 1, 5))
        axes[0].set_ylabel("%")
        place_labels(figure, axes[0], labels, size=9)
        axes[1].set_title("rank of the whole run, and proxy", fontsize=10)
        axes[1].set_xlabel(f"loss of the predictions after {STEPS} steps (smaller is better)")
        axes[1].set_ylabel("rank by validation accuracy (1 is the best)")
        axes[1].set_yticks([1, *range(5, report["trials"] + 1, 5)])
        axes[1].invert_yaxis()
        axes[1].legend(fontsize=9)


def orders(proxies: Report) -> str:
    """A line per length of the recovery: the rank correlation with the scores of whole runs."""
    steps = list(dict.fromkeys(count for name in NAMES for count in proxies[name]))
    body = [
        [count, *(f"{proxies[name][count]['spearman']:.2f}" if count in proxies[name] else ""
                  for name in NAMES)]
        for count in steps
    ]  # fmt: skip
    return table(["steps of the proxy", *(f"trials of {name}" for name in NAMES.values())], body)


def searches(report: Report) -> str:
    """A line per search: its best score after some trials, and the ratios of the best trial."""
    body = []
    for name, label in NAMES.items():
        trials, scores = report["searches"][name], report["best_so_far"][name]
        done = [trial for trial in trials if trial["state"] == "done"]
        best = max(done, key=lambda trial: trial["measured"]["score"])
        after = [f"{100 * scores[:count][-1]:.1f}" for count in (5, 10, len(scores))]
        parts = best["fractions"]
        body.append(
            [label, *after, str(best["trial"]),
             *(f"x{1 / parts[key]:.2f}" for key in ("embedding", "svd", "density"))]
        )  # fmt: skip
    of_best = ["best trial", "word embeddings", "SVD", "pruning"]
    return table(["search", "5 trials", "10", str(report["trials"]), *of_best], body)


def carried(search: str) -> str:
    """A line per task and choice of ratios, tested against the default on dev."""
    rows = [read_row(file) for file in sorted(ROWS.glob(f"{search}_on_*.json"))]
    body = []
    for task in dict.fromkeys(row["task"] for row in rows):
        own = [row for row in rows if row["task"] == task]
        validation = {row["label"]: row["artifact"]["validation_score"] for row in own}
        for line in compare(own, list(choices(search)), reference=DEFAULT):
            if line.label not in validation:
                continue
            body.append(
                [f"{task} ({line.examples:,})", line.label, f"{100 * validation[line.label]:.1f}",
                 line.metric.shown(line.mean), line.metric.interval(line.interval),
                 "" if line.difference is None else line.metric.change(0, line.difference),
                 "" if line.p_value is None else f"{line.p_value:.2g}"]
            )  # fmt: skip
    header = ["task (dev examples)", "ratios", "validation", "dev", "95 %", "to the default", "p"]
    return table(header, body)


def read(search: str, name: str) -> Report:
    """A file of a search."""
    found: Report = json.loads((HERE / search / f"{name}.json").read_text(encoding="utf-8"))
    return found


def text(search: str) -> str:
    """The tables of the README."""
    parts = (searches(read(search, "results")), orders(read(search, "proxies")), carried(search))
    return "\n\n".join(parts) + "\n"


def main(search: str) -> None:
    """Draw, and write the README's tables."""
    stem = HERE / search / "trials"
    draw(stem, read(search, "results"), read(search, "proxies"))
    put(HERE / "README.md", MARKS, text(search))
    print(f"{stem}.png")


if __name__ == "__main__":
    main(*sys.argv[1:])
