"""Markdown table from run records: python experiments/markdown.py experiments/first_run/*.json"""

import json
import sys
from pathlib import Path
from typing import Any

from lada.report.labels import labels, settings_in
from lada.report.majority import verdict
from lada.report.table import deciding


def rows(record: dict[str, Any], named: bool, label: str = "") -> list[str]:
    """One line for each dev split of a record.

    Args:
        named: with the name of its metric.
        label: of its method, if records of several are shown.
    """
    metric = deciding(record)
    name = f", {metric.heading}" if named else ""
    name += f", {label}" if label else ""
    teacher, artifact = record["teacher"], record["artifact"]
    minutes = record["seconds"]["compression"] / 60
    out = []
    for split, found in artifact["scores"].items():
        dense = teacher["scores"][split]
        interval = metric.interval(found[f"{metric.name}_95"])
        note = ", no better than the majority class" if verdict(found, None) else ""
        out.append(
            f"| {record['config']['task']['name']} {split} ({found['rows']:,} examples){name} "
            f"| x{record['target']:g} "
            f"| {metric.shown(dense[metric.name])} "
            f"| **{metric.shown(found[metric.name])}** ({interval}){note} "
            f"| {artifact['nonzeros'] / 1e6:.2f} M (x{record['reached']:.2f}) "
            f"| {artifact['stored_bytes'] / 1e6:.1f} MB "
            f"(x{teacher['stored_bytes'] / artifact['stored_bytes']:.2f}) "
            f"| {record['steps']:,} steps, {minutes:.0f} min |"
        )
    return out


def main(files: list[str]) -> None:
    records = [json.loads(Path(file).read_text(encoding="utf-8")) for file in files]
    metrics = {deciding(record).name for record in records}
    named = metrics != {"accuracy"}
    unit = "" if named else " %"
    print(
        f"| task | target | teacher{unit} | artifact{unit} (95 %) | nonzero parameters | file "
        "| compression |"
        "\n|---|---|---|---|---|---|---|"
    )
    order = {"sst2": 0, "mnli": 1}
    records.sort(key=lambda r: (order.get(r["config"]["task"]["name"], 9), r["target"]))
    found = labels([_as_row(record) for record in records])
    several = len(set(found)) > 1
    for record, label in zip(records, found, strict=True):
        print("\n".join(rows(record, named, label if several else "")))


def _as_row(record: dict[str, Any]) -> dict[str, Any]:
    """What `labels` needs of a record."""
    config = record["config"]
    return {
        "model": config["model"]["name"],
        "task": config["task"]["name"],
        "method": config["method"]["name"],
        "target": "",  # targets have a column
        "command": record["command"],
        "settings": {k: v for k, v in settings_in(config).items() if k.split(".")[0] != "target"},
    }


if __name__ == "__main__":
    main(sys.argv[1:])
