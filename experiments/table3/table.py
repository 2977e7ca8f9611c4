"""The comparison as a table: python experiments/table3/table.py [--format csv] [--readme]"""

import argparse
import csv
import io
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lada.heads.kinds import METRICS, Metric
from lada.methods import methods
from lada.report.comparison import LEVEL, REFERENCE, TEACHER, Line, compare
from lada.report.differences import SAMPLES, is_exact
from lada.report.labels import labels
from lada.report.markdown import put
from lada.report.paper import read_paper
from lada.report.rows import Row, by_metric, choose_rates, kind_and_metrics, read_rows

HERE = Path(__file__).parent
MARKS = ("<!-- table: made by table.py --readme -->", "<!-- end of table -->")
CHANCE = ("majority baseline %", "MCC", "macro-F1 %")
"""Columns of accuracies on a split whose classes are uneven, or of a model that is no better."""
ACCURACY = METRICS["accuracy"]
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


@dataclass(frozen=True)
class Columns:
    """What the columns of a table depend on."""

    metric: Metric
    others: tuple[Metric, ...]
    dev: bool
    """Whether all lines are of dev splits; else their first column alone says which they are of."""
    chance: bool
    """Whether it has the columns `CHANCE`."""
    reference: str
    """The label, or method, that others are compared with."""
    paper: bool
    """Whether the paper has a result of one of its lines."""


def columns(lines: Sequence[Line], paper: Paper, reference: str = REFERENCE) -> Columns:
    """Those of a table of these lines."""
    names = dict.fromkeys(name for line in lines for name in line.others)
    return Columns(
        metric=lines[0].metric,
        others=tuple(METRICS[name] for name in names),
        dev=all(line.split.startswith("dev") for line in lines),
        chance=lines[0].metric == ACCURACY and with_chance(lines),
        reference=reference,
        paper=any(printed(line, paper) is not None for line in lines),
    )


def header(of: Columns) -> list[str]:
    """The header of a table."""
    named = of.metric.unit if of.metric == ACCURACY else f" {of.metric.heading}"
    score = f"dev{named}" if of.dev else of.metric.heading
    return [
        "task, dev examples" if of.dev else "task, split, examples",
        "target",
        "method",
        "seeds",
        f"{score} (lowest-highest)",
        "95 %",
        *(metric.heading for metric in of.others),
        *(CHANCE if of.chance else ()),
        f"teacher{of.metric.unit}",
        f"to {of.reference}",
        "p (Holm)",
        "",
        "nonzero parameters",
        "ratio",
        "file, bytes",
        "steps",
        "learning rate",
        *(["paper % (BERT-base, test)"] if of.paper else ()),
    ]


def cells(line: Line, paper: Paper, of: Columns) -> list[str]:
    """The cells of one line of the table, as text."""
    shown = line.metric.shown
    seeds = (min(line.scores), max(line.scores))
    spread = f" ({line.metric.interval(seeds)})" if len(line.scores) > 1 else ""
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
        f"{shown(line.mean)}{spread}",
        line.metric.interval(line.interval),
        *(m.shown(line.others[m.name]) if m.name in line.others else "" for m in of.others),
        *(_against_chance(line) if of.chance else ()),
        "" if teacher is None else shown(teacher),
        "" if line.difference is None else f"{line.metric.change(0, line.difference)}{some}",
        "" if line.adjusted is None else _chance(line.adjusted),
        line.mark,
        f"{nonzeros / 1e6:.2f} M",
        f"x{ratio:.2f}",
        f"{stored:,.0f}{values}",
        " or ".join(f"{steps:,}" for steps in line.steps),
        "" if line.rate is None or not any(line.steps) else f"{line.rate:g}",
        *(["" if theirs is None else f"{theirs:.1f}"] if of.paper else ()),
    ]


def _against_chance(line: Line) -> list[str]:
    if line.majority is None or line.mcc is None or line.macro_f1 is None:
        return [""] * len(CHANCE)
    return [f"{100 * line.majority:.1f}", f"{line.mcc:.3f}", f"{100 * line.macro_f1:.1f}"]


def _name(line: Line) -> str:
    name = f"teacher, {line.model}" if line.method == TEACHER else line.label
    some = f"{line.no_better} of {len(line.seeds)} seeds " if len(line.seeds) > 1 else ""
    worse = f"{some}no better than the majority class" if line.no_better else ""
    return ", ".join(filter(None, (name, line.start, worse)))


def _chance(p: float) -> str:
    return "<0.0001" if p < 0.0001 else f"{p:.2g}"


def exits(rows: Sequence[Row]) -> list[str]:
    """For models with early exits: accuracy against the mean number of layers run."""
    out = []
    chosen = choose_rates(rows)
    for row, label in zip(chosen, labels(chosen), strict=True):
        for split, curve in row.get("exits", {"by_split": {}})["by_split"].items():
            limit = row["exits"]["threshold"]
            own = next(point for point in curve if point["threshold"] == limit)
            others = ", ".join(
                f"{100 * x['accuracy']:.1f} ({x['mean_layers']:.2f})" for x in curve if x != own
            )
            out.append(
                f"{label} on {row['task']} {split}, seed {row['seed']}: at its threshold, "
                f"{limit:g}, {100 * own['accuracy']:.1f} % with {own['mean_layers']:.2f} of "
                f"{max(x['mean_layers'] for x in curve):g} layers run on average; at others from "
                f"the highest to the lowest, in % (layers): {others}."
            )
    return out


def notes(rows: Sequence[Row], lines: Sequence[Line], of: Columns) -> list[str]:
    """The notes below the table."""
    tests = sum(line.p_value is not None for line in lines)
    models = ", ".join(sorted({row["model"] for row in rows}))
    seeds = ", ".join(map(str, sorted({row["seed"] for row in rows})))
    devices = ", ".join(sorted({f"{r['machine']['device']} {r['precision']}" for r in rows}))
    rates = [f"{rate:g}" for rate in sorted({row["rate"] for row in rows})]
    accuracy, exact = of.metric == ACCURACY, is_exact(rows[0])
    several = (
        "Learning rate: of those that a method was run with at that target, the one with the best "
        f"{'accuracy' if accuracy else 'score'} on the validation split (cut from train; mean over "
        f"seeds); in all {', '.join(rates)}."
    )
    chance = (
        "Majority baseline: accuracy of always answering the largest class of the split. MCC: "
        "Matthews correlation, 0 for answers that do not depend on the text. No better than the "
        "majority class: always the same answer, or not significantly more accurate by McNemar's "
        "exact test (p > 0.05, not corrected)."
    )
    paper = (
        "Paper: LadaBERT, arXiv 2004.04124, Table 3. It has another teacher, other examples (GLUE "
        "test) and other training, so its results cannot be compared with these."
    )
    dev = "dev " if of.dev else ""
    interval = "Wilson's interval" if exact else "bootstrap interval"
    test = (
        f"McNemar's exact test on the answers to the same {dev}examples"
        if exact
        else f"a paired bootstrap on the same {dev}examples ({SAMPLES:,} samples)"
    )
    pooled = (
        "The answers of all seeds are pooled as if they were of different examples, so with "
        "several seeds p is too small."
        if exact
        else f"Resampled are the {dev}examples, not the seeds."
    )
    return [
        f"Ours: {'dev' if of.dev else 'dev and test'}, scored once from the file; teachers: "
        f"{models}, "
        f"{'fine-tuned on the task, ' if accuracy else ''}with the score in its own column; seeds "
        f"{seeds}; {devices}.",
        f"Means over seeds, in brackets the lowest and highest seed. 95 %: {interval} of the "
        f"mean as of one model, since more seeds are not more {dev}examples.",
        f"To {of.reference}: difference {'in points ' if of.metric.percent else ''}at the same "
        "target, on the seeds that both have. "
        f"Better or worse: the p-value of {test} is at most {LEVEL:g} after Holm's correction over "
        f"the {tests} differences shown; =: not significant. {pooled}",
        "File: packed weights of the artifact, int8 unless another type is named; the teacher's "
        "are fp32. Ratio: the teacher's parameters over the nonzero ones.",
        *([several] if len(rates) > 1 else []),
        *([chance] if with_chance(lines) else []),
        *exits(rows),
        *([paper] if of.paper else []),
    ]


def as_markdown(lines: Sequence[Line], paper: Paper, of: Columns, under: Sequence[str]) -> str:
    """A Markdown table, with the notes as paragraphs below."""
    names = header(of)
    rule = ["---"] * TEXT_COLUMNS + ["---:"] * (len(names) - TEXT_COLUMNS)
    table = [names, rule, *(cells(line, paper, of) for line in lines)]
    return "\n".join(f"| {' | '.join(row)} |" for row in table) + "\n\n" + "\n\n".join(under) + "\n"


def as_csv(lines: Sequence[Line], paper: Paper, of: Columns, under: Sequence[str]) -> str:
    """Numbers for another program: proportions in [0, 1], the paper's too. Without the notes.

    Scores are called as in records. Accuracies have columns on the majority class.
    """
    chance = of.metric == ACCURACY
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(
        [
            *"model task split rows target method label seeds".split(),
            of.metric.name,
            *"lowest highest low_95 high_95 teacher difference paired_seeds p p_holm mark".split(),
            *"nonzeros ratio stored_bytes values steps rate".split(),
            *("majority mcc macro_f1 no_better_seeds paper_test".split() if chance else ()),
            *(metric.name for metric in of.others),
        ]
    )
    for line in lines:
        theirs = printed(line, paper)
        teacher = sum(line.teachers) / len(line.teachers) if line.teachers else None
        against = [line.majority, line.mcc, line.macro_f1,
                   None if line.majority is None else line.no_better,
                   None if theirs is None else theirs / 100]  # fmt: skip
        writer.writerow(
            [line.model, line.task, line.split, line.examples, line.target, line.method,
             line.label, len(line.seeds), line.mean, min(line.scores), max(line.scores),
             *line.interval, teacher, line.difference, line.paired, line.p_value, line.adjusted,
             line.mark, *line.sizes, "+".join(line.values), "+".join(map(str, line.steps)),
             line.rate, *(against if chance else ()),
             *(line.others.get(metric.name) for metric in of.others)]
        )  # fmt: skip
    return out.getvalue()


def as_latex(lines: Sequence[Line], paper: Paper, of: Columns, under: Sequence[str]) -> str:
    """A tabular of booktabs, with the notes as paragraphs below."""

    def row(texts: Sequence[str]) -> str:
        return " & ".join(map(_escaped, texts)) + r" \\"

    names = header(of)
    aligned = "l" * TEXT_COLUMNS + "r" * (len(names) - TEXT_COLUMNS)
    out = [rf"\begin{{tabular}}{{{aligned}}}", r"\toprule", row(names), r"\midrule"]
    out += [row(cells(line, paper, of)) for line in lines]
    out += [r"\bottomrule", r"\end{tabular}", "", *map(_escaped, under)]
    return "\n".join(out) + "\n"


def _escaped(text: str) -> str:
    for sign in "&%_#":
        text = text.replace(sign, f"\\{sign}")
    return text.replace("<", "$<$")


FORMATS: dict[str, Callable[[Sequence[Line], Paper, Columns, Sequence[str]], str]] = {
    "markdown": as_markdown,
    "csv": as_csv,
    "latex": as_latex,
}


def make(rows: Sequence[Row], form: str, reference: str = REFERENCE) -> str:
    """A table of these rows for each kind of task and deciding metric.

    Raises:
        ValueError: several tables cannot be one CSV file, or rows cannot be compared.
    """
    if not rows:
        return "No rows yet.\n"
    paper = {(p.split, p.target, p.method): p.accuracy for p in read_paper(HERE / "paper.csv")}
    tables = by_metric(rows)
    if len(tables) > 1 and form == "csv":
        raise ValueError("rows of several metrics. Give --rows with those of one.")
    made = []
    for each in tables:
        lines = compare(each, tuple(methods()), reference)
        of = columns(lines, paper, reference)
        made.append(FORMATS[form](lines, paper, of, notes(each, lines, of)))
    if len(tables) > 1:
        kinds = [kind_and_metrics(each[0]) for each in tables]
        titles = [f"{kind.replace('_', ' ')}, {metrics[0].title}" for kind, metrics in kinds]
        made = [f"{title}:\n\n{table}" for title, table in zip(titles, made, strict=True)]
    return "\n".join(made)


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=Path, default=HERE / "rows", help="of another comparison")
    parser.add_argument(
        "--reference",
        default=REFERENCE,
        help=f"what others are compared with: {REFERENCE}, 'kd, int4'",
    )
    parser.add_argument("--format", choices=FORMATS, default="markdown")
    parser.add_argument("--readme", action="store_true", help="put it into README.md here")
    args = parser.parse_args(arguments)
    try:
        text = make(
            read_rows(args.rows), "markdown" if args.readme else args.format, args.reference
        )
    except ValueError as error:
        sys.exit(f"error: {args.rows}: {error}")
    if args.readme:
        put(HERE / "README.md", MARKS, text)
    else:
        print(text, end="")


if __name__ == "__main__":
    main(sys.argv[1:])
