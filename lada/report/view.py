"""The saved view of Weights & Biases as plain values: which panels show which keys."""

import re
from collections.abc import Collection
from dataclasses import asdict, dataclass
from typing import Any, Literal

from lada.report.watched import (
    CONFUSIONS,
    CUT,
    MAP,
    MATRICES,
    NONZEROS,
    REACHED,
    SPECTRA,
    TARGET,
)

NAME = "LadaBERT"


@dataclass(frozen=True)
class Panel:
    """A panel.

    Attributes:
        kind: lines by step, points or bars of final figures, media by step, or the last table.
        keys: of lines, bars and media: all that are shown; of points: x and y; of a table: its one.
        pattern: a regular expression of the keys of lines, which differ between methods or tasks.
    """

    kind: Literal["lines", "points", "bars", "media", "table"]
    title: str
    keys: tuple[str, ...] = ()
    pattern: str | None = None
    log_x: bool = False


@dataclass(frozen=True)
class Section:
    """A section of the view, with its panels in order."""

    name: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True)
class View:
    """A view of a project, whose runs are grouped by their sweeps."""

    project: str
    name: str
    sections: tuple[Section, ...]
    columns: tuple[str, ...]


def view_of(project: str, split: str = "dev") -> View:
    """The view of a project.

    Args:
        split: the dev split whose answers are shown.
    """
    sections = (
        Section(
            "Score against size",
            (
                Panel("points", "score against bytes", ("final/bytes", "final/score"), log_x=True),
                Panel("points", "score against ratio", ("final/ratio", "final/score"), log_x=True),
                Panel("bars", "score", ("final/score", "final/teacher_score")),
                Panel("bars", "bytes of the file", ("final/bytes",)),
            ),
        ),
        Section(
            "Training",
            (
                Panel("lines", "validation", pattern="^validation/.*"),
                Panel("lines", "loss", ("train/loss",)),
                Panel("lines", "terms of the loss", pattern="^train/.*"),
                Panel("lines", "learning rate", ("optim/lr",)),
            ),
        ),
        Section(
            "Compression",
            (
                Panel("lines", "ratio: planned and reached", (TARGET, REACHED)),
                Panel("lines", "nonzero parameters", (NONZEROS,)),
                Panel("media", "what is left of each matrix", (MAP,)),
                Panel("table", "matrices", (MATRICES,)),
                Panel("media", "what the last rank keeps", (CUT,)),
                Panel("table", "singular values", (SPECTRA,)),
            ),
        ),
        Section("Answers", (Panel("media", "confusion", (f"{CONFUSIONS}/{split}",)),)),
    )
    columns = ("final/score", "final/teacher_score", "final/bytes", "final/ratio")
    return View(project, NAME, sections, columns)


def as_json(view: View) -> dict[str, Any]:
    """A view as plain JSON values."""
    return asdict(view)


def unknown_keys(view: View, stored: Collection[str]) -> list[str]:
    """The keys and patterns of a view that none of the keys of a run has.

    Args:
        stored: keys of history and summary.
    """
    panels = [panel for section in view.sections for panel in section.panels]
    keys = [key for panel in panels for key in panel.keys if key not in stored]
    patterns = [panel.pattern for panel in panels if panel.pattern is not None]
    keys += [p for p in patterns if not any(re.search(p, key) for key in stored)]
    return [*keys, *(key for key in view.columns if key not in stored)]
