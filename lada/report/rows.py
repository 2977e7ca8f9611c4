"""Rows of the comparison of methods: one per finished run, small enough to be committed."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lada.report.curve import read_curve
from lada.report.predictions import PREDICTIONS, read_correct, to_hex
from lada.report.record import renamed, write_json

Row = dict[str, Any]
"""See `make_row`."""


def row_name(task: str, target: str, method: str, rate: float, seed: int) -> str:
    """The name of a row's file. ``rate``: the learning rate."""
    return f"{task}_{target}_{method}_{rate:g}_{seed}.json"


def make_row(folder: Path, target: str) -> Row:
    """The part of a finished run in ``folder`` that the comparison needs.

    Args:
        target: the target under which the run is listed, such as "7.5x"; a model with a size of its
            own may be listed under a target that it only comes near.

    Returns:
        Parts of the run's record; ``correct`` next to the scores of teacher and artifact, a bit per
        dev example as written by `to_hex`; ``curve``, see `lada.report.curve.read_curve`; for a
        model with early exits ``exits``: its ``threshold``, and ``by_split`` the result of
        `lada.training.evaluate.score_exits`.

    Raises:
        OSError: a file of the run is missing.
        ValueError: its predictions are not those of its record.
    """
    record = renamed(json.loads((folder / "results.json").read_text(encoding="utf-8")))
    correct = read_correct(folder / PREDICTIONS)
    config, teacher, artifact = record["config"], record["teacher"], record["artifact"]
    for who, scores in (("teacher", teacher["scores"]), ("artifact", artifact["scores"])):
        for split, found in scores.items():
            bits = correct[who].get(split)
            if bits is None or (len(bits), int(bits.sum())) != (found["rows"], found["correct"]):
                raise ValueError(f"{folder}: {PREDICTIONS} is not of the run in results.json")
    sizes = ("parameters", "nonzeros", "stored_bytes", "folder_bytes", "validation_score")
    row = {
        "command": record["command"],
        "seed": record["seed"],
        "task": config["task"]["name"],
        "model": config["model"]["name"],
        "method": config["method"]["name"],
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
        "data": {split: record["data"][split] for split in ("train", *artifact["scores"])},
        "teacher": {
            # A given teacher has no key, but its digest identifies it.
            "key": teacher.get("key", teacher["base_sha256"]),
            "parameters": teacher["parameters"],
            "stored_bytes": teacher["stored_bytes"],
            "scores": teacher["scores"],
            "correct": {split: to_hex(bits) for split, bits in correct["teacher"].items()},
        },
        "artifact": {
            **{name: artifact[name] for name in sizes},
            "scores": artifact["scores"],
            "correct": {split: to_hex(bits) for split, bits in correct["artifact"].items()},
        },
        "curve": read_curve(folder),
    }
    if "exits" in record:
        row["exits"] = {"threshold": config["method"]["threshold"], "by_split": record["exits"]}
    return row


def write_row(folder: Path, row: Row) -> Path:
    """Write a row into the folder of rows; returns its file."""
    name = row_name(row["task"], row["target"], row["method"], row["rate"], row["seed"])
    file = folder / name
    folder.mkdir(parents=True, exist_ok=True)
    write_json(file, row, indent=None)
    return file


def read_rows(folder: Path) -> list[Row]:
    """All rows in a folder, sorted by file name; none if there is no folder."""
    files = sorted(folder.glob("*.json"))
    return [renamed(json.loads(file.read_text(encoding="utf-8"))) for file in files]


def choose_rates(rows: Sequence[Row]) -> list[Row]:
    """The rows of one learning rate for each method and target: the one that validates best.

    It has the highest validation accuracy, a mean over its seeds. Dev scores are not used.
    """
    tried: dict[tuple[str, ...], dict[float, list[Row]]] = {}
    for row in rows:
        key = tuple(row[part] for part in ("model", "task", "target", "method"))
        tried.setdefault(key, {}).setdefault(row["rate"], []).append(row)
    return [row for rates in tried.values() for row in max(rates.values(), key=_on_validation)]


def _on_validation(rows: Sequence[Row]) -> float:
    found: list[float] = [row["artifact"]["validation_score"] for row in rows]
    return sum(found) / len(found)
