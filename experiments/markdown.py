"""Markdown table from run records: python experiments/markdown.py experiments/first_run/*.json"""

import json
import sys
from pathlib import Path
from typing import Any

from lada.report.majority import verdict


def rows(record: dict[str, Any]) -> list[str]:
    """One line for each dev split of a record."""
    teacher, artifact = record["teacher"], record["artifact"]
    minutes = record["seconds"]["compression"] / 60
    out = []
    for split, found in artifact["scores"].items():
        dense = teacher["scores"][split]
        low, high = found["accuracy_95"]
        note = ", no better than the majority class" if verdict(found, None) else ""
        out.append(
            f"| {record['config']['task']['name']} {split} ({found['rows']:,} examples) "
            f"| x{record['target']:g} "
            f"| {100 * dense['accuracy']:.1f} "
            f"| **{100 * found['accuracy']:.1f}** ({100 * low:.1f}-{100 * high:.1f}){note} "
            f"| {artifact['nonzeros'] / 1e6:.2f} M (x{record['reached']:.2f}) "
            f"| {artifact['stored_bytes'] / 1e6:.1f} MB "
            f"(x{teacher['stored_bytes'] / artifact['stored_bytes']:.2f}) "
            f"| {record['steps']:,} steps, {minutes:.0f} min |"
        )
    return out


def main(files: list[str]) -> None:
    print(
        "| task | target | teacher % | artifact % (95 %) | nonzero parameters | file "
        "| compression |"
        "\n|---|---|---|---|---|---|---|"
    )
    records = [json.loads(Path(file).read_text(encoding="utf-8")) for file in files]
    order = {"sst2": 0, "mnli": 1}
    records.sort(key=lambda r: (order.get(r["config"]["task"]["name"], 9), r["target"]))
    for record in records:
        print("\n".join(rows(record)))


if __name__ == "__main__":
    main(sys.argv[1:])
