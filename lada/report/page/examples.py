"""The examples whose answer changed: how many, and, where the run was asked to keep them, which."""

from typing import Any

from lada.report.page.load import Run
from lada.report.page.markup import Markup, cut, join, tag
from lada.report.page.tables import Cell, sortable

HOW = {
    "lost": "the teacher was right and the artifact is wrong",
    "gained": "the artifact is right and the teacher was wrong",
    "neither": "both are wrong",
    "both": "both are right",
}

RIGHT = {"lost": "teacher", "gained": "artifact", "neither": "neither", "both": "both"}


def examples(run: Run, split: str) -> Markup | None:
    """Of one dev split; None where answers are numbers, or an old record has none."""
    found: dict[str, Any] = run.of_split(split).get("changed", {})
    if not found:
        return None
    total, changed = found["rows"], found["changed"]
    counts = "; ".join(
        f"in {found[name]:,} {said}" for name, said in HOW.items() if found.get(name)
    )
    share = 100 * changed / total if total else 0.0
    said = f"{changed:,} of {total:,} answers changed ({share:.1f} %)"
    kept = found.get("examples")
    if kept is None:
        shown: Markup | None = tag(
            "p",
            "The texts are not shown, since they may be private: report.examples=true shows them.",
            class_="note",
        )
    else:
        shown = _table(kept, changed)
    return join(tag("p", f"{said}: {counts}." if counts else f"{said}."), shown)


def _table(kept: list[dict[str, Any]], changed: int) -> Markup | None:
    if not kept:
        return None
    rows = [
        (
            Cell(" / ".join(cut(text) for text in each["texts"])),
            Cell(cut(each["label"])),
            Cell(cut(each["teacher"])),
            Cell(cut(each["artifact"])),
            Cell(RIGHT[each["how"]]),
        )
        for each in kept
    ]
    header = ("example", "label", "teacher", "artifact", "right")
    caption = f"{len(kept):,} of the {changed:,} examples whose answer changed"
    return tag("div", sortable(caption, header, rows, "text"), class_="screen long")
