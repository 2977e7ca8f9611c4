"""What teacher and artifact get wrong, in the form that suits the kind of the task."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lada.report.page.load import Run
from lada.report.page.markup import Markup, cut, join, tag
from lada.report.page.svg import Scale, chart, figure, frame, mark, path, spread
from lada.report.page.tables import Cell, sortable

MOST_CLASSES = 12
"""Most classes of a confusion matrix that is drawn."""
MOST_ROWS = 200
MOST_IDS = 3000
"""Ids of classes below this are counted; a confusion matrix has their square."""
POINTS = 300
"""Most examples of a scatter plot."""
WHO = ("teacher", "artifact")


def errors(run: Run, split: str) -> Markup | None:
    """Of one dev split; None where the kind, or an old record, has nothing of it.

    One label: confusion matrices, or a table of labels where there are many. Several labels and
    tags: F1 by label. Numbers and similarities: what is given against what is right.
    """
    scores = {who: run.record[who]["scores"][split] for who in WHO}
    units = {who: run.units.get(who, {}).get(split) for who in WHO}
    if run.kind == "single_label":
        found = {who: _pairs(values, run) for who, values in units.items()}
        return _single(found, run) if all(x is not None for x in found.values()) else None
    if run.kind == "multi_label" and all("label_f1" in score for score in scores.values()):
        names = run.labels or [str(n) for n in range(len(scores["artifact"]["label_f1"]))]
        return _by_label(
            names,
            scores["teacher"]["label_f1"],
            scores["artifact"]["label_f1"],
            scores["artifact"]["examples"],
        )
    if run.kind == "tokens" and all("types" in score for score in scores.values()):
        types: dict[str, Any] = scores["artifact"]["types"]
        other = scores["teacher"]["types"]
        return _by_label(
            list(types),
            [other.get(name, {"f1": 0.0})["f1"] for name in types],
            [each["f1"] for each in types.values()],
            [each["entities"] for each in types.values()],
        )
    of_pairs = all(x is not None and x.ndim == 2 and x.shape[1] == 2 for x in units.values())
    if run.kind in ("regression", "embedding") and of_pairs:
        return _scatters({who: np.asarray(x, float) for who, x in units.items()}, run)
    return None


def _pairs(found: NDArray[Any] | None, run: Run) -> NDArray[np.int64] | None:
    """Answer and label of each example, (examples, 2), if they are ids of classes."""
    if found is None or found.ndim != 2 or found.shape[1] != 2 or not len(found):
        return None
    return found.astype(np.int64) if found.min() >= 0 and found.max() < MOST_IDS else None


def confusion(pairs: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
    """Counts (labels, answers) of pairs (examples, 2) of answer and label.

    Example:
        >>> confusion(np.array([[0, 0], [1, 0], [1, 1]]), 2).tolist()
        [[1, 1], [0, 1]]
    """
    flat = pairs[:, 1] * classes + pairs[:, 0]
    return np.bincount(flat, minlength=classes**2).reshape(classes, classes)


def _single(found: Mapping[str, NDArray[np.int64] | None], run: Run) -> Markup:
    most = max(int(pairs.max()) for pairs in found.values() if pairs is not None)
    classes = max(most + 1, len(run.labels))
    names = [*run.labels, *(f"class {n}" for n in range(len(run.labels), classes))]
    counts = {who: confusion(p, classes) for who, p in found.items() if p is not None}
    if classes <= MOST_CLASSES:
        drawn = [_confusion(who, each, names) for who, each in counts.items()]
        return tag("div", drawn, class_="charts")
    scores = {who: _f1(each) for who, each in counts.items()}
    return _by_label(
        names, scores["teacher"], scores["artifact"], counts["artifact"].sum(1).tolist()
    )


def _f1(counts: NDArray[np.int64]) -> list[float]:
    right, total = np.diag(counts), counts.sum(0) + counts.sum(1)
    return [float(value) for value in 2 * right / np.maximum(1, total)]


def _confusion(who: str, counts: NDArray[np.int64], names: Sequence[str]) -> Markup:
    n = len(names)
    left, top, room = 96.0, 34.0, 280.0
    size = min(room / n, 62.0)
    total = counts.sum(1)
    cells = [tag("text", "answer", x=left, y=10, class_="name"),
             tag("text", "label", x=left - 8, y=top - 6, class_="name end")]  # fmt: skip
    for row in range(n):
        middle = top + size * (row + 0.5) + 4
        cells.append(tag("text", cut(names[row], 15), x=left - 8, y=middle, class_="tick end"))
        across = left + size * (row + 0.5)
        letters = max(2, int(size / 5.2))
        cells.append(
            tag("text", cut(names[row], letters), x=across, y=top - 6, class_="tick mid small")
        )
        for column in range(n):
            count = int(counts[row, column])
            share = count / total[row] if total[row] else 0.0
            right = row == column
            tip = (
                f"{cut(names[row], 60)} answered as {cut(names[column], 60)}: {count:,} of "
                f"{int(total[row]):,} ({100 * share:.1f} %)"
            )
            cells.append(
                tag(
                    "rect",
                    tag("title", tip),
                    x=left + size * column + 1,
                    y=top + size * row + 1,
                    width=size - 2,
                    height=size - 2,
                    rx=2,
                    fill_opacity=0.04 + 0.96 * float(share),
                    class_="heat m" if right else "heat m c1",
                )
            )
            cells.append(
                tag(
                    "text",
                    f"{count:,}",
                    x=left + size * (column + 0.5),
                    y=middle,
                    class_="mid on" if share > 0.55 else "mid",
                )
            )
    told = f"Counts of labels by answers of the {who}; the diagonal is right."
    return figure(f"{who}: label by answer", told, 380, top + size * n + 4, *cells)


def _by_label(
    names: Sequence[str], teacher: Sequence[float], artifact: Sequence[float], counts: Sequence[int]
) -> Markup:
    """F1 by label, the label that lost most first."""
    order = sorted(range(len(names)), key=lambda n: artifact[n] - teacher[n])
    rows = [
        (
            Cell(cut(names[n], 60)),
            Cell(f"{counts[n]:,}", counts[n]),
            Cell(f"{100 * teacher[n]:.1f}", teacher[n]),
            Cell(f"{100 * artifact[n]:.1f}", artifact[n]),
            Cell(f"{100 * (artifact[n] - teacher[n]):+.1f}", artifact[n] - teacher[n]),
        )
        for n in order[:MOST_ROWS]
    ]
    rest = len(order) - len(rows)
    header = ("label", "examples", "teacher F1 %", "artifact F1 %", "change")
    return join(
        tag("div", _dumbbells(names, teacher, artifact, order), class_="charts"),
        sortable("F1 by label", header, rows),
        tag("p", f"{rest:,} labels that changed less are left out.", class_="note")
        if rest
        else None,
    )


def _dumbbells(
    names: Sequence[str], teacher: Sequence[float], artifact: Sequence[float], order: Sequence[int]
) -> Markup:
    """Teacher and artifact of the labels that lost most, one line each."""
    shown = order[:16]
    x = Scale(0.0, 100.0, 120.0, 366.0)
    content = [
        join(
            tag("line", x1=x(v), x2=x(v), y1=8, y2=14 + 17 * len(shown), class_="grid"),
            tag("text", f"{v:g}", x=x(v), y=28 + 17 * len(shown), class_="tick mid"),
        )
        for v in x.ticks(5)
    ]
    of = frame("", "", (0, 100), (0, 1), "", "")
    for row, n in enumerate(shown):
        y = 18.0 + 17 * row
        flat = type(of)(x, Scale(0, 1, y, y), "", "", "", "")
        ends = (100 * teacher[n], 100 * artifact[n])
        content += [
            tag("text", cut(names[n], 19), x=112, y=y + 4, class_="tick end"),
            path(flat, [(ends[0], 0), (ends[1], 0)], "front"),
            mark(flat, (ends[0], 0), 1, f"{cut(names[n], 60)}: teacher {ends[0]:.1f} %"),
            mark(flat, (ends[1], 0), 0, f"{cut(names[n], 60)}: artifact {ends[1]:.1f} %"),
        ]
    told = "F1 of each label, the teacher's as a square, the artifact's as a circle."
    height = 34.0 + 17 * len(shown)
    return figure("F1 % by label: ■ teacher, ● artifact", told, 380, height, *content)


def _scatters(found: Mapping[str, NDArray[np.float64]], run: Run) -> Markup:
    what = "cosine" if run.kind == "embedding" else "number given"
    charts = []
    for looks, who in ((1, "teacher"), (0, "artifact")):
        values = found[who][np.isfinite(found[who]).all(1)]
        if not len(values):
            continue
        some = values[:: -(-len(values) // POINTS)]
        of = frame(
            f"{who}: {what} by label",
            f"{len(some)} of {len(values)} examples of the {who}.",
            spread(some[:, 1].tolist()),
            spread(some[:, 0].tolist()),
            "label",
            what,
        )
        points = [
            mark(of, (y, x), looks, f"label {y:.3g}, {what} {x:.3g}", 2.2) for x, y in some.tolist()
        ]
        charts.append(chart(of, *points))
    return tag("div", charts, class_="charts")
