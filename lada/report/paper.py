"""The figures that the paper prints, as data."""

import csv
from dataclasses import dataclass
from pathlib import Path

METHODS = {
    "BERT-Base": "teacher",
    "BERT-FT": "finetune",
    "BERT-KD": "kd",
    "BERT-PKD": "pkd",
    "Weight pruning": "pruning",
    "Matrix factorization": "factorization",
    "Hybrid pruning": "hybrid",
    "TinyBERT (no GD or DA)": "tinybert",
    "BERT-Small": "bert_small",
    "Distilled-BiLSTM": "bilstm",
}
"""The paper's names, and what the methods are called here; LadaBERT-1 to -4 are lada."""

COLUMNS = {
    "mnli_m_acc": "mnli dev_matched",
    "mnli_mm_acc": "mnli dev_mismatched",
    "sst2_acc": "sst2 dev",
    "qqp_acc": "qqp dev",
    "qnli_acc": "qnli dev",
}
"""The columns, and the dev split here that each one's test set belongs to."""


@dataclass(frozen=True)
class Printed:
    """One figure of Table 3.

    Attributes:
        split: task and dev split that it belongs to.
        target: as here, "7.5x"; of the teacher empty.
        method: as it is called here.
        name: as the paper calls it.
        parameters: that it has.
        accuracy: on the GLUE test set, in %.
    """

    split: str
    target: str
    method: str
    name: str
    parameters: float
    accuracy: float


def read_paper(file: Path) -> list[Printed]:
    """Every accuracy in the file; F1 scores are left aside."""
    found = []
    with file.open(newline="", encoding="utf-8") as f:
        for row in csv.DictReader(f):
            name, ratio = row["algorithm"], float(row["ratio"])
            method = "lada" if name.startswith("LadaBERT") else METHODS[name]
            target = f"{ratio:g}x" if ratio > 1 else ""
            size = 1e6 * float(row["params_m"])
            found += [
                Printed(split, target, method, name, size, float(row[column]))
                for column, split in COLUMNS.items()
                if row[column]
            ]
    return found
