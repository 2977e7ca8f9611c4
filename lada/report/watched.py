"""What a dashboard shows of a run: names of figures, tables and maps, from plain numbers.

Only names and values are decided here; how a backend stores them is in `lada.training.backends`.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lada.heads.kinds import METRICS
from lada.report.entries import Cell, Entry, Grid, Table

MATRICES, MAP = "compression/matrices", "compression/map"
SPECTRA, CUT = "spectra/values", "spectra/map"
CONFUSION, CONFUSIONS, CHANGED = "confusion/table", "confusion/map", "changed"
"""Names of entries; those of a dev split end in ``/SPLIT``."""
ROUND, TARGET, REACHED, NONZEROS = (
    f"compression/{name}" for name in ("round", "target", "reached", "nonzeros")
)
"""Names of figures that are logged at each round."""

MOST_CLASSES = 40
"""Of a confusion map; a larger one is not readable."""

_PLACE = re.compile(r"^(.*?)\.(\d+)\.(.*)$")
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True)
class MatrixState:
    """A compressed matrix during a training.

    Attributes:
        shape: of the weight that it replaces.
        rank: None where it has no factors.
        nonzeros: unpruned entries of all its parts.
        entries: entries of these parts, pruned ones too.
        values: the type that it is trained in, such as ``int4``; else ``fp32``.
    """

    name: str
    kind: str
    shape: tuple[int, int]
    rank: int | None
    nonzeros: int
    entries: int
    values: str

    @property
    def left(self) -> float:
        """Unpruned entries over the entries of the dense weight."""
        return self.nonzeros / (self.shape[0] * self.shape[1])


def of_round(
    number: int, planned: float, reached: float, nonzeros: int, states: Sequence[MatrixState]
) -> tuple[dict[str, float], dict[str, Entry]]:
    """The figures, and the entries, of a round of compression.

    Args:
        number: of the round, from 1.
        planned, reached: how many times smaller the model is by the plan, and as counted.
        nonzeros: of the whole model, as counted.
    """
    scalars = {ROUND: number, TARGET: planned, REACHED: reached, NONZEROS: nonzeros}
    if not states:
        return scalars, {}
    columns = ("matrix", "kind", "rows", "columns", "rank", "density", "values", "nonzeros", "left")
    rows: list[list[Cell]] = [
        [
            state.name,
            state.kind,
            *state.shape,
            state.rank,
            state.nonzeros / state.entries if state.entries else 0.0,
            state.values,
            state.nonzeros,
            state.left,
        ]
        for state in states
    ]
    title = f"share of each matrix that is left, round {number}"
    grid = by_place(title, {state.name: state.left for state in states}, 0.0, 1.0)
    return scalars, {MATRICES: Table(columns, rows), MAP: grid}


def by_place(title: str, values: Mapping[str, float], low: float, high: float) -> Grid:
    """A map of a model: a row per layer, a column per matrix of a layer.

    What is in no layer, such as the word embeddings, has a row of its own.

    Args:
        values: by the name of the matrix.

    Example:
        >>> names = ("bert.encoder.layer.0.a.query", "bert.encoder.layer.1.a.query", "bert.words")
        >>> grid = by_place("", dict(zip(names, (0.5, 0.25, 1.0))), 0.0, 1.0)
        >>> list(zip(grid.rows, grid.values))
        [('layer 0', [0.5, None]), ('layer 1', [0.25, None]), ('words', [None, 1.0])]
    """
    rows: dict[str, dict[str, float]] = {}
    columns: dict[str, None] = {}
    for name, value in values.items():
        match = _PLACE.match(name)
        row = f"layer {match[2]}" if match else name.rpartition(".")[2]
        column = match[3] if match else "weight"
        rows.setdefault(row, {})[column] = value
        columns[column] = None
    # Layers in their order; what is in none comes last.
    order = sorted(rows, key=lambda row: _number(row))
    names = sorted(columns, key=lambda column: column == "weight")
    found = [[rows[row].get(column) for column in names] for row in order]
    return Grid(title, order, names, found, low, high)


def _number(row: str) -> float:
    return int(row.removeprefix("layer ")) if row.startswith("layer ") else float("inf")


def of_spectra(matrices: Sequence[Mapping[str, Any]]) -> dict[str, Entry]:
    """The singular values of the teacher's matrices, and what the last rank keeps of them.

    Args:
        matrices: of ``details.json``: those with a ``spectrum``, pairs of a number and the
            singular value relative to the largest, and ``energy``, the share of the squares that
            the ``rank`` keeps.
    """
    found = [matrix for matrix in matrices if "spectrum" in matrix]
    rows: list[list[Cell]] = [
        [matrix["name"], number, value, matrix["rank"], number <= matrix["rank"]]
        for matrix in found
        for number, value in matrix["spectrum"]
    ]
    if not rows:
        return {}
    title = "share of the squared singular values that the last rank keeps"
    kept = {matrix["name"]: matrix["energy"] for matrix in found}
    columns = ("matrix", "number", "relative singular value", "rank", "kept")
    return {SPECTRA: Table(columns, rows), CUT: by_place(title, kept, 0.0, 1.0)}


def of_answers(
    split: str, answers: NDArray[Any], truth: NDArray[Any], names: Sequence[str]
) -> dict[str, Entry]:
    """The confusion matrix of a split: examples by label and answer.

    Args:
        answers, truth: class ids, (examples,).
        names: of the classes, by id.
    """
    classes = len(names)
    pairs = truth.astype(np.int64) * classes + answers.astype(np.int64)
    counts = np.bincount(pairs, minlength=classes**2).reshape(classes, classes)
    rows: list[list[Cell]] = [
        [names[label], names[answer], int(counts[label, answer])]
        for label, answer in zip(*np.nonzero(counts), strict=True)
    ]
    out: dict[str, Entry] = {f"{CONFUSION}/{split}": Table(("label", "answer", "examples"), rows)}
    if classes <= MOST_CLASSES:
        values = counts.astype(float).tolist()
        title = f"{split}: examples by label (rows) and answer (columns)"
        grid = Grid(title, list(names), list(names), values, 0.0, float(counts.max()))
        out[f"{CONFUSIONS}/{split}"] = grid
    return out


def of_changed(split: str, examples: Sequence[Mapping[str, Any]]) -> dict[str, Entry]:
    """The examples of a split that teacher and artifact answer differently.

    Args:
        examples: of ``details.json``: ``texts``, ``label``, ``teacher``, ``artifact`` and ``how``
            the answer changed.
    """
    if not examples:
        return {}
    texts = ("text", "text_pair")[: len(examples[0]["texts"])]
    rows = [
        [*each["texts"], each["label"], each["teacher"], each["artifact"], each["how"]]
        for each in examples
    ]
    columns = (*texts, "label", "teacher", "artifact", "change")
    return {f"{CHANGED}/{split}": Table(columns, rows)}


def final(record: Mapping[str, Any]) -> dict[str, float]:
    """The final figures of a run, from its record."""
    found: dict[str, float] = {
        "final/ratio": record["reached"],
        "final/bytes": record["artifact"]["stored_bytes"],
    }
    for split, scores in record["artifact"]["scores"].items():
        found |= {f"final/{split}_{name}": scores[name] for name in METRICS if name in scores}
    return found


def at_end(
    details: Mapping[str, Any],
    units: Mapping[str, Mapping[str, NDArray[Any]]],
    labels: Sequence[str],
) -> dict[str, Entry]:
    """The entries at the end of a run.

    Args:
        details: the content of ``details.json``; empty where there is none.
        units: of `lada.report.predictions.read_units`.
        labels: names of the classes, where every example has one; else empty.
    """
    out = of_spectra(details.get("matrices", ()))
    for split, found in units["artifact"].items() if labels else ():
        out |= of_answers(split, found[:, 0], found[:, 1], labels)
    for split, about in details.get("splits", {}).items():
        out |= of_changed(split, about.get("changed", {}).get("examples", ()))
    return out


def summary(record: Mapping[str, Any]) -> dict[str, float]:
    """The figures by which the runs of a sweep are compared."""
    artifact, teacher = record["artifact"], record["teacher"]
    metric = record["metrics"][0]
    split = next(iter(artifact["scores"]))
    found = {
        "final/target": record["target"],
        "final/nonzeros": artifact["nonzeros"],
        "final/validation": artifact["validation_score"],
        "final/score": artifact["scores"][split][metric],
        "final/teacher_score": teacher["scores"][split][metric],
        "final/teacher_bytes": teacher["stored_bytes"],
    }
    return final(record) | {name: value for name, value in found.items() if value is not None}


def safe(text: str) -> str:
    """A name of letters, digits and ``._-`` alone, as artifacts have.

    Example:
        >>> safe("lada/7.5x int4")
        'lada-7.5x-int4'
    """
    return _UNSAFE.sub("-", text).strip("-") or "run"
