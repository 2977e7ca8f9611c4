"""The learning curve of a run, from the files in its folder."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lada.heads.kinds import METRICS, Metric


def read_times(file: Path) -> dict[int, float]:
    """Seconds of training by steps done (``times.csv``); empty where there is no file."""
    rows = _numbers(file, ("step", "seconds"))
    return {int(row["step"]): row["seconds"] for row in rows}


def read_curve(folder: Path) -> list[dict[str, Any]]:
    """The validation checks of the run in ``folder``; empty where it has no ``metrics.csv``.

    Returns:
        ``step`` (optimizer steps done), ``seconds`` of training until then (None where they were
        not recorded), ``validation`` (the deciding score) and ``ratio`` (how many times smaller the
        student was), in order.
    """
    times = read_times(folder / "times.csv")
    found = {}
    # The first up to version 0.2.0.
    for score in ("select/accuracy", *(f"validation/{name}" for name in METRICS)):
        for row in _numbers(folder / "metrics.csv", ("step", score, "ratio")):
            step = int(row["step"]) + 1  # the file counts from 0
            found[step] = {
                "step": step,
                "seconds": times.get(step),
                "validation": row[score],
                "ratio": row["ratio"],
            }
    return [found[step] for step in sorted(found)]


def curve_metric(folder: Path) -> Metric | None:
    """The metric of the validation checks of a run; None where it has no ``metrics.csv``."""
    file = folder / "metrics.csv"
    if not file.is_file():
        return None
    with file.open(newline="", encoding="utf-8", errors="replace") as f:
        columns = set(next(csv.reader(f), ()))
    found = (metric for name, metric in METRICS.items() if f"validation/{name}" in columns)
    return next(found, METRICS["accuracy"] if "select/accuracy" in columns else None)


def read_losses(file: Path) -> dict[str, list[tuple[int, float]]]:
    """The training losses of a run by their names, from its ``metrics.csv``: (step, value).

    Empty where there is no file.
    """
    if not file.is_file():
        return {}
    with file.open(newline="", encoding="utf-8", errors="replace") as f:
        names = [name for name in next(csv.reader(f), ()) if name.startswith("train/")]
    found = {}
    for name in names:
        points = [(int(row["step"]) + 1, row[name]) for row in _numbers(file, ("step", name))]
        found[name.removeprefix("train/")] = points
    return {name: points for name, points in found.items() if points}


def _numbers(file: Path, columns: tuple[str, ...]) -> Iterator[dict[str, float]]:
    """The rows that have a number in each of these columns."""
    if not file.is_file():
        return
    with file.open(newline="", encoding="utf-8", errors="replace") as f:
        for row in csv.DictReader(f):
            try:
                yield {column: float(row[column]) for column in columns}
            except (TypeError, ValueError, KeyError):
                continue  # a row of other values, or one truncated by a full disk
