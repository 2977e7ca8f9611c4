"""What several test files need."""

import csv
import json
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str


def record_of(folder: Path) -> dict[str, Any]:
    """The record of the one finished run under ``folder``."""
    (found,) = folder.rglob("results.json")
    return json.loads(found.read_text(encoding="utf-8"))


def run_in(folder: Path) -> Path:
    """Folder of the one run, finished or not, under ``folder``."""
    (found,) = folder.rglob("run.json")
    return found.parent


def write_csv(path: Path, rows: list[tuple[str, ...]], header: tuple[str, ...]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as f:
        writer = csv.writer(f)
        writer.writerow(header)
        writer.writerows(rows)
    return path


def sentences(count: int, seed: int) -> list[tuple[str, str]]:
    """Rows that a random two-layer model learns in seconds: the label is in one word."""
    draw = random.Random(seed)
    rows = []
    for i in range(count):
        good = i % 2 == 0
        word = draw.choice(("lovely", "great", "fine") if good else ("awful", "bad", "poor"))
        filler = " ".join(draw.choice("the a of in on it we they old new red".split())
                          for _ in range(draw.randint(2, 8)))  # fmt: skip
        rows.append((f"{filler} {word} {i}", "good" if good else "bad"))
    return rows
