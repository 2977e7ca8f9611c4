"""The results printed in the paper, as data."""

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
"""The paper's names of the methods, and the names here; LadaBERT-1 to -4 are lada."""

COLUMNS = {
    "mnli_m_acc": "mnli dev_matched",
    "mnli_mm_acc": "mnli dev_mismatched",
    "sst2_acc": "sst2 dev",
    "qqp_acc": "qqp dev",
    "qnli_acc": "qnli dev",
}
"""The columns, and the dev split here that corresponds to the test set of each."""


@dataclass(frozen=True)
class Printed:
    """One result of Table 3.

    Attributes:
        split: the corresponding task and dev split.
        target: as here, "7.5x"; empty for the teacher.
        method: its name here.
        name: its name in the paper.
        parameters: of the model.
        accuracy: on the GLUE test set, in %.
    """

    split: str
    target: str
    method: str
    name: str
    parameters: float
    accuracy: float


def read_paper(file: Path) -> list[Printed]:
    """Every accuracy in the file; F1 scores are ignored."""
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
