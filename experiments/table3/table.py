"""The comparison as a table: python experiments/table3/table.py [--format csv] [--readme]"""

import argparse
import csv
import io
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from lada.methods import methods
from lada.report.comparison import LEVEL, REFERENCE, TEACHER, Line, compare
from lada.report.markdown import put
from lada.report.paper import read_paper
from lada.report.rows import Row, choose_rates, read_rows

HERE = Path(__file__).parent
MARKS = ("<!-- table: made by table.py --readme -->", "<!-- end of table -->")
CHANCE = ("majority baseline %", "MCC", "macro-F1 %")
"""Columns of a table with a split whose classes are uneven, or a model that is no better."""
HEADER = (
    "task, dev examples",
    "target",
    "method",
    "seeds",
    "dev % (lowest-highest)",
    "95 %",
    *CHANCE,
    "teacher %",
    f"to {REFERENCE}",
    "p (Holm)",
    "",
    "nonzero parameters",
    "ratio",
    "file, bytes",
    "steps",
    "learning rate",
    "paper % (BERT-base, test)",
)
TEXT_COLUMNS = 3
"""The first columns are text, the others numbers."""


Paper = dict[tuple[str, str, str], float]
"""Accuracy in %, by split, target and method."""


def printed(line: Line, paper: Paper) -> float | None:
    """The result of the paper for the same task, target and method."""
    return paper.get((f"{line.task} {line.split}", line.target, line.method))


def with_chance(lines: Sequence[Line]) -> bool:
    """Whether accuracy alone would say too little of these lines."""
    return any(line.uneven or line.no_better for line in lines)


def header(chance: bool) -> list[str]:
    """The header of the table; ``chance``: whether it has the columns `CHANCE`."""
    return [name for name in HEADER if chance or name not in CHANCE]


def cells(line: Line, paper: Paper, chance: bool) -> list[str]:
    """The cells of one line of the table, as text."""
    low, high = line.interval
    lowest, highest = min(line.accuracies), max(line.accuracies)
    spread = f" ({100 * lowest:.1f}-{100 * highest:.1f})" if len(line.accuracies) > 1 else ""
    nonzeros, ratio, stored = line.sizes
    some = f" ({line.paired} seeds)" if 0 < line.paired < len(line.seeds) else ""
    values = "" if line.values == ("int8",) else f" {'+'.join(line.values)}"
    teacher = sum(line.teachers) / len(line.teachers) if line.teachers else None
    theirs = printed(line, paper)
    return [
        f"{line.task} {line.split}, {line.examples:,}",
        line.target,
        _name(line),
        str(len(line.seeds)),
        f"{100 * line.mean:.1f}{spread}",
        f"{100 * low:.1f}-{100 * high:.1f}",
        *(_against_chance(line) if chance else ()),
        "" if teacher is None else f"{100 * teacher:.1f}",
        "" if line.difference is None else f"{100 * line.difference:+.1f}{some}",
        "" if line.adjusted is None else _chance(line.adjusted),
        line.mark,
        f"{nonzeros / 1e6:.2f} M",
        f"x{ratio:.2f}",
        f"{stored:,.0f}{values}",
        " or ".join(f"{steps:,}" for steps in line.steps),
        "" if line.rate is None or not any(line.steps) else f"{line.rate:g}",
        "" if theirs is None else f"{theirs:.1f}",
    ]


def _against_chance(line: Line) -> list[str]:
    if line.majority is None or line.mcc is None or line.macro_f1 is None:
        return [""] * len(CHANCE)
    return [f"{100 * line.majority:.1f}", f"{line.mcc:.3f}", f"{100 * line.macro_f1:.1f}"]


def _name(line: Line) -> str:
    name = f"teacher, {line.model}" if line.method == TEACHER else line.method
    some = f"{line.no_better} of {len(line.seeds)} seeds " if len(line.seeds) > 1 else ""
    worse = f"{some}no better than the majority class" if line.no_better else ""
    return ", ".join(filter(None, (name, line.start, worse)))


def _chance(p: float) -> str:
    return "<0.0001" if p < 0.0001 else f"{p:.2g}"


def exits(rows: Sequence[Row]) -> list[str]:
    """For models with early exits: accuracy against the mean number of layers run."""
    out = []
    for row in choose_rates(rows):
        for split, curve in row.get("exits", {"by_split": {}})["by_split"].items():
            limit = row["exits"]["threshold"]
            own = next(point for point in curve if point["threshold"] == limit)
            others = ", ".join(
                f"{100 * x['accuracy']:.1f} ({x['mean_layers']:.2f})" for x in curve if x != own
            )
            out.append(
                f"{row['method']} on {row['task']} {split}, seed {row['seed']}: at its threshold, "
                f"{limit:g}, {100 * own['accuracy']:.1f} % with {own['mean_layers']:.2f} of "
                f"{max(x['mean_layers'] for x in curve):g} layers run on average; at others from "
                f"the highest to the lowest, in % (layers): {others}."
            )
    return out


def notes(rows: Sequence[Row], lines: Sequence[Line]) -> list[str]:
    """The notes below the table."""
    tests = sum(line.p_value is not None for line in lines)
    models = ", ".join(sorted({row["model"] for row in rows}))
    seeds = ", ".join(map(str, sorted({row["seed"] for row in rows})))
    devices = ", ".join(sorted({f"{r['machine']['device']} {r['precision']}" for r in rows}))
    rates = [f"{rate:g}" for rate in sorted({row["rate"] for row in rows})]
    several = (
        "Learning rate: of those that a method was run with at that target, the one with the best "
        "accuracy on the validation split (cut from train; mean over seeds); in all "
        f"{', '.join(rates)}."
    )
    chance = (
        "Majority baseline: accuracy of always answering the largest class of the split. MCC: "
        "Matthews correlation, 0 for answers that do not depend on the text. No better than the "
        "majority class: always the same answer, or not significantly more accurate by McNemar's "
        "exact test (p > 0.05, not corrected)."
    )
    return [
        f"Ours: dev, scored once from the file; teachers: {models}, fine-tuned on the task, with "
        f"the score in its own column; seeds {seeds}; {devices}.",
        "Means over seeds, in brackets the lowest and highest seed. 95 %: Wilson's interval of the "
        "mean as of one model, since more seeds are not more dev examples.",
        f"To {REFERENCE}: difference in points at the same target, on the seeds that both have. "
        "Better or worse: the p-value of McNemar's exact test on the answers to the same dev "
        f"examples is at most {LEVEL:g} after Holm's correction over the {tests} differences "
        "shown; =: not significant. The answers of all seeds are pooled as if they were of "
        "different examples, so with several seeds p is too small.",
        "File: packed weights of the artifact, int8 unless another type is named; the teacher's "
        "are fp32. Ratio: the teacher's parameters over the nonzero ones.",
        *([several] if len(rates) > 1 else []),
        *([chance] if with_chance(lines) else []),
        *exits(rows),
        "Paper: LadaBERT, arXiv 2004.04124, Table 3. It has another teacher, other examples (GLUE "
        "test) and other training, so its results cannot be compared with these.",
    ]


def as_markdown(lines: Sequence[Line], paper: Paper, under: Sequence[str]) -> str:
    """A Markdown table, with the notes as paragraphs below."""
    chance = with_chance(lines)
    names = header(chance)
    rule = ["---"] * TEXT_COLUMNS + ["---:"] * (len(names) - TEXT_COLUMNS)
    table = [names, rule, *(cells(line, paper, chance) for line in lines)]
    return "\n".join(f"| {' | '.join(row)} |" for row in table) + "\n\n" + "\n\n".join(under) + "\n"


def as_csv(lines: Sequence[Line], paper: Paper, under: Sequence[str]) -> str:
    """Numbers for another program: accuracies in [0, 1], the paper's too. Without the notes."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(
        "model task split rows target method seeds accuracy lowest highest low_95 high_95 teacher "
        "difference paired_seeds p p_holm mark nonzeros ratio stored_bytes values steps "
        "rate majority mcc macro_f1 no_better_seeds paper_test".split()
    )
    for line in lines:
        theirs = printed(line, paper)
        teacher = sum(line.teachers) / len(line.teachers) if line.teachers else None
        writer.writerow(
            [line.model, line.task, line.split, line.examples, line.target, line.method,
             len(line.seeds), line.mean, min(line.accuracies), max(line.accuracies),
             *line.interval, teacher, line.difference, line.paired, line.p_value, line.adjusted,
             line.mark, *line.sizes, "+".join(line.values), "+".join(map(str, line.steps)),
             line.rate, line.majority, line.mcc, line.macro_f1,
             None if line.majority is None else line.no_better,
             None if theirs is None else theirs / 100]
        )  # fmt: skip
    return out.getvalue()


def as_latex(lines: Sequence[Line], paper: Paper, under: Sequence[str]) -> str:
    """A tabular of booktabs, with the notes as paragraphs below."""

    def row(texts: Sequence[str]) -> str:
        return " & ".join(map(_escaped, texts)) + r" \\"

    chance = with_chance(lines)
    names = header(chance)
    columns = "l" * TEXT_COLUMNS + "r" * (len(names) - TEXT_COLUMNS)
    out = [rf"\begin{{tabular}}{{{columns}}}", r"\toprule", row(names), r"\midrule"]
    out += [row(cells(line, paper, chance)) for line in lines]
    out += [r"\bottomrule", r"\end{tabular}", "", *map(_escaped, under)]
    return "\n".join(out) + "\n"


def _escaped(text: str) -> str:
    for sign in "&%_#":
        text = text.replace(sign, f"\\{sign}")
    return text.replace("<", "$<$")


FORMATS: dict[str, Callable[[Sequence[Line], Paper, Sequence[str]], str]] = {
    "markdown": as_markdown,
    "csv": as_csv,
    "latex": as_latex,
}


def make(rows: Sequence[Row], form: str) -> str:
    """The whole table of these rows."""
    if not rows:
        return "No rows yet.\n"
    lines = compare(rows, tuple(methods()))
    paper = {(p.split, p.target, p.method): p.accuracy for p in read_paper(HERE / "paper.csv")}
    return FORMATS[form](lines, paper, notes(rows, lines))


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=Path, default=HERE / "rows", help="of another comparison")
    parser.add_argument("--format", choices=FORMATS, default="markdown")
    parser.add_argument("--readme", action="store_true", help="put it into README.md here")
    args = parser.parse_args(arguments)
    rows = read_rows(args.rows)
    if args.readme:
        put(HERE / "README.md", MARKS, make(rows, "markdown"))
    else:
        print(make(rows, args.format), end="")


if __name__ == "__main__":
    main(sys.argv[1:])
