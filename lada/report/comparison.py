"""Comparison of methods: means over seeds, intervals, and which differences are significant."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from lada.report.majority import is_uneven, verdict
from lada.report.predictions import from_hex
from lada.report.rows import Row, choose_rates
from lada.report.stats import holm, mcnemar, wilson

REFERENCE = "lada"
TEACHER = "teacher"
LEVEL = 0.05


@dataclass(frozen=True)
class Line:
    """One method at one target on one dev split, over all seeds that were run.

    Attributes:
        examples: of the dev split.
        seeds: in order, as the other tuples.
        accuracies: in [0, 1].
        sizes: (nonzero parameters, ratio to the teacher, bytes of the file), means over seeds.
        values: types of the file's values: "int8".
        teachers: their accuracy on the split, in [0, 1].
        rate: the learning rate; None for a teacher.
        steps: the different numbers of optimizer steps.
        start: "from scratch" if the student is neither pretrained nor made from the teacher.
        difference: to the reference, mean over the seeds that both have; None if there are none.
        paired: how many seeds that are.
        p_value: of McNemar's exact test on the answers of those seeds together; None without any.
        adjusted: the same after Holm's correction over all lines.
        majority: accuracy of always answering the largest class, in [0, 1].
        mcc: Matthews correlation, mean over seeds, as ``macro_f1``; like ``majority`` None if a
            row has none.
        uneven: whether the classes of the split are uneven (`lada.report.majority.is_uneven`).
        no_better: how many seeds are not significantly better than the majority baseline.
    """

    model: str
    task: str
    split: str
    target: str
    method: str
    examples: int
    seeds: tuple[int, ...]
    accuracies: tuple[float, ...]
    sizes: tuple[float, float, float]
    values: tuple[str, ...]
    teachers: tuple[float, ...]
    steps: tuple[int, ...]
    rate: float | None = None
    start: str = ""
    difference: float | None = None
    paired: int = 0
    p_value: float | None = None
    adjusted: float | None = None
    majority: float | None = None
    mcc: float | None = None
    macro_f1: float | None = None
    uneven: bool = False
    no_better: int = 0

    @property
    def mean(self) -> float:
        return sum(self.accuracies) / len(self.accuracies)

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95 % interval of the mean as of one model: more seeds are not more examples."""
        return wilson(round(self.mean * self.examples), self.examples)

    @property
    def mark(self) -> str:
        """The mark of the difference at `LEVEL`: better, worse or =; empty if it was not tested."""
        if self.adjusted is None or self.difference is None:
            return ""
        if self.adjusted > LEVEL:
            return "="
        return "better" if self.difference > 0 else "worse"


def compare(rows: Sequence[Row], order: Sequence[str] = ()) -> list[Line]:
    """A line for each model, dev split, target and method, and one for the teachers of each split.

    Of the learning rates that a method was run with at a target, the one with the best validation
    accuracy is taken (`choose_rates`). Every method is paired with `REFERENCE` at the same target:
    the same seeds, teachers, examples and model.

    Args:
        order: methods in the desired order; others come after them.
    """
    groups: dict[tuple[str, str, str, str, str], list[Row]] = {}
    for row in sorted(choose_rates(rows), key=lambda row: int(row["seed"])):
        for split in row["artifact"]["scores"]:
            key = (row["model"], row["task"], split, row["target"], row["method"])
            groups.setdefault(key, []).append(row)
    lines = [_line(key, group) for key, group in groups.items()]
    for place, (key, line) in enumerate(zip(groups, lines, strict=True)):
        reference = groups.get((*key[:4], REFERENCE), [])
        if line.method != REFERENCE:
            lines[place] = _paired(line, groups[key], reference)
    tested = [line.p_value for line in lines if line.p_value is not None]
    adjusted = iter(holm(tested))
    lines = [x if x.p_value is None else replace(x, adjusted=next(adjusted)) for x in lines]
    lines += _teachers(groups)
    places = {method: place for place, method in enumerate((TEACHER, *order))}
    lines.sort(
        key=lambda line: (
            line.model,
            line.task,
            line.split,
            line.method != TEACHER,
            *by_target(line.target),
            places.get(line.method, len(places)),
            line.method,
        )
    )
    return lines


def by_target(target: str) -> tuple[float, str]:
    """A sort key for targets: by their number, those without one last."""
    number = re.fullmatch(r"([\d.]+)x", target)
    return (float(number[1]) if number else float("inf"), target)


def _line(key: tuple[str, str, str, str, str], group: list[Row]) -> Line:
    model, task, split, target, method = key
    artifacts = [row["artifact"] for row in group]
    count = len(group)
    return Line(
        model=model,
        task=task,
        split=split,
        target=target,
        method=method,
        examples=artifacts[0]["scores"][split]["rows"],
        seeds=tuple(row["seed"] for row in group),
        accuracies=tuple(a["scores"][split]["accuracy"] for a in artifacts),
        sizes=(
            sum(a["nonzeros"] for a in artifacts) / count,
            sum(row["reached"] for row in group) / count,
            sum(a["stored_bytes"] for a in artifacts) / count,
        ),
        values=tuple(sorted({row["values"] for row in group})),
        teachers=tuple(row["teacher"]["scores"][split]["accuracy"] for row in group),
        steps=tuple(sorted({row["steps"] for row in group})),
        rate=group[0]["rate"],
        start=" or ".join(sorted({row["start"] for row in group} - {""})),
        **_chance_corrected([a["scores"][split] for a in artifacts]),
    )


def _chance_corrected(scores: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The fields of a line that compare its accuracies with the majority baseline."""
    if not all("majority" in score for score in scores):
        return {}
    count = len(scores)
    return {
        "majority": scores[0]["majority"]["accuracy"],
        "mcc": sum(score["mcc"] for score in scores) / count,
        "macro_f1": sum(score["macro_f1"] for score in scores) / count,
        "uneven": is_uneven(scores[0]),
        "no_better": sum(bool(verdict(score, None)) for score in scores),
    }


def _made_from(row: Row, split: str) -> tuple[object, ...]:
    """What two rows must share to be compared: seed, teacher, training and dev examples."""
    data = row["data"]
    return row["seed"], row["teacher"]["key"], data["train"]["sha256"], data[split]["sha256"]


def _paired(line: Line, group: list[Row], reference: list[Row]) -> Line:
    """The line with its difference to the reference, for the same teacher and examples."""
    theirs = {_made_from(row, line.split): row for row in reference}
    pairs = [
        (row["artifact"], theirs[key]["artifact"])
        for row in group
        if (key := _made_from(row, line.split)) in theirs
    ]
    if not pairs:
        return line
    only_ours = only_theirs = answered = 0
    for ours, other in pairs:
        count = ours["scores"][line.split]["rows"]
        a, b = (from_hex(x["correct"][line.split], count) for x in (ours, other))
        answered += count
        only_ours += int((a & ~b).sum())
        only_theirs += int((b & ~a).sum())
    return replace(
        line,
        difference=(only_ours - only_theirs) / answered,
        paired=len(pairs),
        p_value=mcnemar(only_ours, only_theirs),
    )


def _teachers(groups: dict[tuple[str, str, str, str, str], list[Row]]) -> list[Line]:
    """A line per model and split for its teachers, each counted once."""
    found: dict[tuple[str, str, str], dict[str, Row]] = {}
    for (model, task, split, _, _), group in groups.items():
        found.setdefault((model, task, split), {}).update(
            {row["teacher"]["key"]: row for row in group}
        )
    return [
        Line(
            model=model,
            task=task,
            split=split,
            target="",
            method=TEACHER,
            examples=next(iter(rows.values()))["teacher"]["scores"][split]["rows"],
            seeds=tuple(sorted({row["seed"] for row in rows.values()})),
            accuracies=tuple(r["teacher"]["scores"][split]["accuracy"] for r in rows.values()),
            sizes=(
                sum(row["teacher"]["parameters"] for row in rows.values()) / len(rows),
                1.0,
                sum(row["teacher"]["stored_bytes"] for row in rows.values()) / len(rows),
            ),
            values=("fp32",),
            teachers=(),
            steps=(),
            **_chance_corrected([r["teacher"]["scores"][split] for r in rows.values()]),
        )
        for (model, task, split), rows in found.items()
    ]
