"""Rows of the comparison of methods: one per finished run, small enough to be committed."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lada.heads import head_named
from lada.heads.kinds import METRICS, Metric
from lada.report.curve import curve_metric, read_curve
from lada.report.labels import labels, same_run, settings_in, settings_of
from lada.report.predictions import PREDICTIONS, read_units, to_hex, to_packed
from lada.report.record import renamed, write_json
from lada.report.table import shown_metrics

if TYPE_CHECKING:
    from lada.heads.base import Head

Row = dict[str, Any]
"""See `make_row`."""


def row_name(task: str, target: str, method: str, rate: float, seed: int) -> str:
    """The name of a row's file. ``rate``: the learning rate."""
    return f"{task}_{target}_{method}_{rate:g}_{seed}.json"


def make_row(folder: Path, target: str, label: str | None = None) -> Row:
    """The part of a finished run in ``folder`` that the comparison needs.

    Args:
        target: the target under which the run is listed, such as "7.5x"; a model with a size of its
            own may be listed under a target that it only comes near.
        label: the name under which it is listed in place of its method's.

    Returns:
        Parts of the run's record; ``settings``, see `lada.report.labels.settings_in`.
        Next to the scores of teacher and artifact, by dev split:
        ``correct``, a bit per example as written by `to_hex`, where the deciding metric is a share
        of right examples; else ``units``, what it is computed from, as written by `to_packed`.
        ``curve``, see `lada.report.curve.read_curve`, and where there is one ``curve_metric``, the
        name of its metric. For a model with early exits ``exits``: its ``threshold``, and
        ``by_split`` the result of `lada.training.evaluate.score_exits`.

    Raises:
        OSError: a file of the run is missing.
        ValueError: its predictions are not those of its record.
    """
    record = renamed(json.loads((folder / "results.json").read_text(encoding="utf-8")))
    units = read_units(folder / PREDICTIONS)
    config, teacher, artifact = record["config"], record["teacher"], record["artifact"]
    kind = record.get("kind", "single_label")
    first = next(iter(artifact["scores"].values()))
    metrics = tuple(metric.name for metric in shown_metrics(record, first))
    head = head_named(kind, metrics=metrics)
    for who, scores in (("teacher", teacher["scores"]), ("artifact", artifact["scores"])):
        for split, score in scores.items():
            if split not in units[who] or not _agree(head, units[who][split], score):
                raise ValueError(f"{folder}: {PREDICTIONS} is not of the run in results.json")
    sizes = ("parameters", "nonzeros", "stored_bytes", "folder_bytes", "validation_score")
    used = ("train", "unlabeled", "probabilities", *artifact["scores"])
    row = {
        "command": record["command"],
        "seed": record["seed"],
        "task": config["task"]["name"],
        "kind": kind,
        "metrics": list(metrics),
        "model": config["model"]["name"],
        "method": config["method"]["name"],
        **({} if label is None else {"label": label}),
        "settings": settings_in(config),
        "start": record["start"],
        "target": target,
        "reached": record["reached"],
        "values": config["artifact"]["values"],
        "machine": record["machine"],
        "precision": record["precision"],
        "rate": config["optim"]["lr"],
        "steps": record["steps"],
        "seconds": record["seconds"],
        "resumed": record["resumed"],
        "latency": record["speed"],
        "data": {name: record["data"][name] for name in used if name in record["data"]},
        "teacher": {
            # A given teacher has no key, but its digest identifies it.
            "key": teacher.get("key", teacher["base_sha256"]),
            "parameters": teacher["parameters"],
            "stored_bytes": teacher["stored_bytes"],
            "scores": teacher["scores"],
            **_stored(head, units["teacher"]),
        },
        "artifact": {
            **{name: artifact[name] for name in sizes},
            "scores": artifact["scores"],
            **_stored(head, units["artifact"]),
        },
        "curve": read_curve(folder),
    }
    checked = curve_metric(folder)
    if checked is not None:
        row["curve_metric"] = checked.name
    if "exits" in record:
        row["exits"] = {"threshold": config["method"]["threshold"], "by_split": record["exits"]}
    return row


def _agree(head: "Head", units: NDArray[Any], score: Mapping[str, Any]) -> bool:
    """Whether a score is that of these units."""
    right = head.correct(units)
    if right is not None and len(right) != score["rows"]:
        return False
    found = head.statistic(units)(np.arange(len(units)))
    expected: float = score[head.deciding.name]
    return abs(found - expected) < 1e-6


def _stored(head: "Head", units: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    """``correct`` or ``units``, by split."""
    right = {split: head.correct(found) for split, found in units.items()}
    bits = {split: to_hex(found) for split, found in right.items() if found is not None}
    return {"correct": bits} if bits else {"units": {s: to_packed(x) for s, x in units.items()}}


def kind_and_metrics(row: Row) -> tuple[str, tuple[Metric, ...]]:
    """The kind of a row's task and its metrics, the deciding one first.

    Rows up to version 0.2.0 name neither: all were of one label per example, by accuracy.
    """
    names = row.get("metrics", ("accuracy",))
    return row.get("kind", "single_label"), tuple(METRICS[name] for name in names)


def metric_of_curve(row: Row) -> Metric:
    """The metric of a row's ``curve``, which older rows do not name."""
    return METRICS[row["curve_metric"]] if "curve_metric" in row else kind_and_metrics(row)[1][0]


def training_seconds(row: Row) -> float | None:
    """Seconds of a row's training; None if they are not known.

    Those of a resumed run are the ones of its last validation check, since its record has only
    those since it was resumed.
    """
    if row.get("resumed"):
        ends = [check["seconds"] for check in row["curve"] if check["step"] == row["steps"]]
        return ends[0] if ends else None
    return float(row["seconds"]["compression"]) if "seconds" in row else None


def by_metric(rows: Sequence[Row]) -> list[list[Row]]:
    """The rows by kind and deciding metric: those that one table or figure may have."""
    found: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        kind, metrics = kind_and_metrics(row)
        found.setdefault((kind, metrics[0].name), []).append(row)
    return list(found.values())


def write_row(folder: Path, row: Row) -> Path:
    """Write a row into the folder of rows; returns its file.

    It replaces the row of the same run. If another variant of the method has the file's name, a
    digest of the settings is added to it.
    """
    name = row_name(row["task"], row["target"], row["method"], row["rate"], row["seed"])
    file = folder / name
    text = json.dumps(settings_of(row), sort_keys=True)
    other = file.with_stem(f"{file.stem}_{hashlib.sha256(text.encode()).hexdigest()[:8]}")
    if other.exists() or (file.exists() and not same_run(read_row(file), row)):
        file = other
    folder.mkdir(parents=True, exist_ok=True)
    write_json(file, row, indent=None)
    return file


def read_rows(folder: Path) -> list[Row]:
    """All rows in a folder, sorted by file name; none if there is no folder."""
    return [read_row(file) for file in sorted(folder.glob("*.json"))]


def read_row(file: Path) -> Row:
    """A row, with the field names of this version."""
    return renamed(json.loads(file.read_text(encoding="utf-8")))


def choose_rates(rows: Sequence[Row]) -> list[Row]:
    """The rows of one learning rate for each label and target: the one that validates best.

    It has the highest validation score, a mean over its seeds. Dev scores are not used.
    """
    tried: dict[tuple[str, ...], dict[float, list[Row]]] = {}
    for row, label in zip(rows, labels(rows), strict=True):
        key = (row["model"], row["task"], row["target"], label)
        tried.setdefault(key, {}).setdefault(row["rate"], []).append(row)
    return [row for rates in tried.values() for row in max(rates.values(), key=_on_validation)]


def _on_validation(rows: Sequence[Row]) -> float:
    found: list[float] = [row["artifact"]["validation_score"] for row in rows]
    return sum(found) / len(found)
