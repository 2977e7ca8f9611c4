"""What runs of every kind of task leave, without the training."""

import json
from pathlib import Path
from typing import Any

from heads.drawn import Drawn
from helpers import ROOT

from lada.report.majority import warnings
from lada.report.predictions import PREDICTIONS, write_predictions


def record_of(models: dict[str, Drawn], method: str = "lada", seed: int = 1) -> dict[str, Any]:
    """The record of a run.

    Args:
        models: "teacher" and "artifact" on the same examples.
    """
    head = models["teacher"].head
    record = json.loads((ROOT / "experiments/first_run/sst2_7.5x.json").read_text())
    record |= {
        "kind": head.name, "metrics": list(head.metrics), "seed": seed, "start": "",
        "pairs": False, "speed": {"teacher": 3.0, "artifact": 1.0, "length": 64, "threads": 1},
    }  # fmt: skip
    record["config"]["artifact"] = {"values": "int8"}
    record["config"]["task"]["name"] = f"task of {head.name}"
    record["config"]["method"]["name"] = method
    record["data"]["dev"] = {"rows": len(models["teacher"].split), "sha256": "a"}
    for who, drawn in models.items():
        record[who]["scores"] = {"dev": drawn.score()}
    scores = {who: record[who]["scores"] for who in models}
    return record | {"warnings": warnings(scores, head.labels, head.deciding)}


def write_run(folder: Path, models: dict[str, Drawn], method: str, seed: int) -> None:
    """The record of a run, and what its scores are computed from."""
    folder.mkdir(parents=True)
    units: dict[str, dict[str, Any]] = {who: {"dev": x.units()} for who, x in models.items()}
    if models["teacher"].head.name == "single_label":
        units["labels"] = {"dev": units["teacher"]["dev"][:, 1]}
        units |= {who: {"dev": units[who]["dev"][:, 0]} for who in models}
    write_predictions(folder / PREDICTIONS, units)
    (folder / "results.json").write_text(json.dumps(record_of(models, method, seed)))
