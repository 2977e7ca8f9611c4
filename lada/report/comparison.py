"""Comparison of methods: means over seeds, intervals, and which differences are significant."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from lada.heads.kinds import Metric
from lada.report.differences import difference, interval
from lada.report.labels import labels
from lada.report.majority import is_uneven, verdict
from lada.report.rows import (
    Row,
    by_metric,
    choose_rates,
    kind_and_metrics,
    training_seconds,
)
from lada.report.stats import holm

REFERENCE = "lada"
TEACHER = "teacher"
LEVEL = 0.05


@dataclass(frozen=True)
class Line:
    """One label at one target on one dev split, over all seeds that were run.

    Attributes:
        label: the method, with its settings where runs of it differ (`lada.report.labels`).
        metric: the one that decides.
        examples: of the dev split.
        seeds: in order, as the other tuples.
        scores: by the metric.
        interval: 95 %, of the mean as of one model (`lada.report.differences.interval`).
        others: the task's other metrics, means over seeds.
        sizes: (nonzero parameters, ratio to the teacher, bytes of the file), means over seeds.
        values: types of the file's values: "int8".
        teachers: their scores on the split, by the metric.
        rate: the learning rate; None for a teacher.
        steps: the different numbers of optimizer steps.
        seconds: of the training, mean over seeds; None if a row does not have them
            (`lada.report.rows.training_seconds`).
        start: "from scratch" if the student is neither pretrained nor made from the teacher.
        difference: to the reference, mean over the seeds that both have; None if there are none.
        paired: how many seeds that are.
        p_value: of that difference (`lada.report.differences.difference`); None without any.
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
    label: str
    metric: Metric
    examples: int
    seeds: tuple[int, ...]
    scores: tuple[float, ...]
    interval: tuple[float, float]
    sizes: tuple[float, float, float]
    values: tuple[str, ...]
    teachers: tuple[float, ...]
    steps: tuple[int, ...]
    others: Mapping[str, float] = field(default_factory=dict)
    rate: float | None = None
    seconds: float | None = None
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
        return sum(self.scores) / len(self.scores)

    @property
    def mark(self) -> str:
        """The mark of the difference at `LEVEL`: better, worse or =; empty if it was not tested."""
        if self.adjusted is None or self.difference is None:
            return ""
        if self.adjusted > LEVEL:
            return "="
        return "better" if self.difference > 0 else "worse"


_Key = tuple[str, str, str, str, str]
"""Model, task, split, target, label."""


def compare(
    rows: Sequence[Row], order: Sequence[str] = (), reference: str | None = REFERENCE
) -> list[Line]:
    """A line for each model, dev split, target and label, and one for the teachers of each split.

    Of the learning rates that a method was run with at a target, the one with the best validation
    score is taken (`choose_rates`). Every method is paired with the reference at the same target:
    the same seeds, teachers, examples and model.

    Args:
        rows: of one kind and deciding metric (`lada.report.rows.by_metric`).
        order: methods or labels in the desired order; others come after them.
        reference: a label; or a method, if it has one label at each target. None: nothing is
            paired.

    Raises:
        ValueError: the rows are of several metrics, those of one line have different examples, or
            the reference has several variants.
    """
    if len(by_metric(rows)) > 1:
        found = ((kind, metrics[0].title) for kind, metrics in map(kind_and_metrics, rows))
        names = ", ".join(f"{kind} by {title}" for kind, title in dict.fromkeys(found))
        raise ValueError(f"rows of several metrics cannot be compared: {names}")
    chosen = choose_rates(rows)
    labelled = sorted(
        zip(chosen, labels(chosen), strict=True), key=lambda found: int(found[0]["seed"])
    )
    groups: dict[_Key, list[Row]] = {}
    for row, label in labelled:
        for split in row["artifact"]["scores"]:
            key = (row["model"], row["task"], split, row["target"], label)
            groups.setdefault(key, []).append(row)
    lines = [_line(key, group) for key, group in groups.items()]
    for place, (key, line) in enumerate(zip(groups, lines, strict=True)):
        other = None if reference is None else _reference(groups, key, reference)
        if other is not None and other != key:
            lines[place] = _paired(line, groups[key], groups[other])
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
            places.get(line.label, places.get(line.method, len(places))),
            line.label,
        )
    )
    return lines


def by_target(target: str) -> tuple[int, float, str]:
    """A sort key for targets: ratios by their number, sizes from the largest, others last."""
    ratio, size = re.fullmatch(r"([\d.]+)x", target), re.fullmatch(r"([\d.]+) ?MB", target)
    if ratio:
        return (0, float(ratio[1]), target)
    return (1, -float(size[1]), target) if size else (2, 0.0, target)


def _reference(groups: Mapping[_Key, list[Row]], key: _Key, reference: str) -> _Key | None:
    """The group that another is paired with, if there is one at its target.

    Raises:
        ValueError: the reference is a method with several labels there.
    """
    if (*key[:4], reference) in groups:
        return (*key[:4], reference)
    found = [x for x, rows in groups.items() if x[:4] == key[:4] and rows[0]["method"] == reference]
    if len(found) > 1:
        names = ", ".join(repr(x[4]) for x in found)
        raise ValueError(
            f"{key[1]} at {key[3]}: several variants of {reference} ({names}). Name one of them as "
            "the reference."
        )
    return found[0] if found else None


def _line(key: _Key, group: list[Row]) -> Line:
    model, task, split, target, label = key
    seconds = [training_seconds(row) for row in group]
    timed = [second for second in seconds if second is not None]
    artifacts = [row["artifact"] for row in group]
    count = len(group)
    metric = kind_and_metrics(group[0])[1][0]
    return Line(
        model=model,
        task=task,
        split=split,
        target=target,
        method=group[0]["method"],
        label=label,
        seeds=tuple(row["seed"] for row in group),
        **_scored(group, "artifact", split),
        sizes=(
            sum(a["nonzeros"] for a in artifacts) / count,
            sum(row["reached"] for row in group) / count,
            sum(a["stored_bytes"] for a in artifacts) / count,
        ),
        values=tuple(sorted({row["values"] for row in group})),
        teachers=tuple(row["teacher"]["scores"][split][metric.name] for row in group),
        steps=tuple(sorted({row["steps"] for row in group})),
        rate=group[0]["rate"],
        seconds=sum(timed) / count if len(timed) == count else None,
        start=" or ".join(sorted({row["start"] for row in group} - {""})),
    )


def _scored(rows: Sequence[Row], who: str, split: str) -> dict[str, Any]:
    """The fields of a line on the scores of the teachers or artifacts of these rows."""
    metric, *others = kind_and_metrics(rows[0])[1]
    scores = [row[who]["scores"][split] for row in rows]
    return {
        "metric": metric,
        "examples": scores[0]["rows"],
        "scores": tuple(score[metric.name] for score in scores),
        "interval": interval(rows, who, split),
        "others": {
            other.name: sum(score[other.name] for score in scores) / len(scores)
            for other in others
            if all(other.name in score for score in scores)
        },
        **_chance_corrected(scores),
    }


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
    parts = ("train", "unlabeled", "probabilities", split)
    found = [row["data"].get(name, {}) for name in parts]
    return (
        row["seed"],
        row["teacher"]["key"],
        *((part.get("sha256"), part.get("weight")) for part in found),
    )


def _paired(line: Line, group: list[Row], reference: list[Row]) -> Line:
    """The line with its difference to the reference, for the same teacher and examples."""
    theirs = {_made_from(row, line.split): row for row in reference}
    pairs = [(row, theirs[key]) for row in group if (key := _made_from(row, line.split)) in theirs]
    if not pairs:
        return line
    mean, p_value = difference(pairs, line.split)
    return replace(line, difference=mean, paired=len(pairs), p_value=p_value)


def _teachers(groups: dict[_Key, list[Row]]) -> list[Line]:
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
            label=TEACHER,
            seeds=tuple(sorted({row["seed"] for row in rows.values()})),
            **_scored(list(rows.values()), "teacher", split),
            sizes=(
                sum(row["teacher"]["parameters"] for row in rows.values()) / len(rows),
                1.0,
                sum(row["teacher"]["stored_bytes"] for row in rows.values()) / len(rows),
            ),
            values=("fp32",),
            teachers=(),
            steps=(),
        )
        for (model, task, split), rows in found.items()
    ]
