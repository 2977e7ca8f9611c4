"""What a trimmed vocabulary costs on other texts than the task's.

    python experiments/ablation/unseen_text.py OUT.json TEACHER WHOLE TRIMMED \
        sst2=GLUE/SST-2/dev.tsv.gz:sentence qnli=GLUE/QNLI/dev.tsv.gz:question

WHOLE and TRIMMED are artifacts of one teacher, without and with ``method.vocabulary=trim``. For
each column of texts: the share of the teacher's tokens that the trimmed vocabulary lacks, the
tokens per text, how often each student's answer is the teacher's, and the p value of McNemar's
exact test between the two. No labels are needed, so the texts may be of any task.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch
from setting import rows_of
from transformers import AutoModelForSequenceClassification

import lada
from lada.files import output_file
from lada.nn.pretrained import load_tokenizer
from lada.report.record import write_json
from lada.report.stats import mcnemar

LENGTH = 64
"""Tokens per text for the teacher, as for the students."""


def column(text: str) -> tuple[str, list[str]]:
    """The name and the texts of NAME=FILE:COLUMN."""
    name, _, place = text.partition("=")
    file, _, heading = place.rpartition(":")
    return name, [row[heading] for row in rows_of(Path(file))]


@torch.no_grad()
def teacher_labels(folder: Path, tokenizer: Any, texts: list[str]) -> list[str]:
    """The teacher's answers."""
    model = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32).eval()
    labels: list[str] = []
    for start in range(0, len(texts), 32):
        part = texts[start : start + 32]
        batch = tokenizer(
            part, truncation=True, max_length=LENGTH, padding=True, return_tensors="pt"
        )
        labels += [model.config.id2label[int(x)] for x in model(**batch).logits.argmax(1)]
    return labels


def tokens_of(tokenizer: Any, texts: list[str]) -> list[list[str]]:
    """The tokens of each text, without special ones, cut where the teacher cuts."""
    found = tokenizer(texts, truncation=True, max_length=LENGTH, add_special_tokens=False)
    return [tokenizer.convert_ids_to_tokens(ids) for ids in found["input_ids"]]


def measured(
    name: str, texts: list[str], teacher: Path, students: dict[str, lada.Classifier]
) -> dict[str, Any]:
    """The row of one column of texts."""
    tokenizer = load_tokenizer(teacher)
    labels = teacher_labels(teacher, tokenizer, texts)
    agrees = {
        key: np.array([a.label for a in student.classify(texts)]) == np.array(labels)
        for key, student in students.items()
    }
    whole, trimmed = (tokens_of(x.tokenizer, texts) for x in students.values())
    known = set(students["trimmed"].tokenizer.get_vocab())
    lacking = [[token not in known for token in text] for text in whole]
    first = int((agrees["whole"] & ~agrees["trimmed"]).sum())
    second = int((~agrees["whole"] & agrees["trimmed"]).sum())
    return {
        "texts": name,
        "rows": len(texts),
        "tokens_lacking": sum(map(sum, lacking)) / sum(map(len, lacking)),
        "texts_with_one": float(np.mean([any(text) for text in lacking])),
        "tokens_per_text": {
            key: sum(map(len, found)) / len(found)
            for key, found in (("whole", whole), ("trimmed", trimmed))
        },
        "agrees_with_teacher": {key: float(found.mean()) for key, found in agrees.items()},
        "p": mcnemar(first, second),
    }


def main() -> None:
    """Measure every column; one line each, and a file of them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("out", type=output_file)
    parser.add_argument("teacher", type=Path)
    parser.add_argument("whole", type=Path)
    parser.add_argument("trimmed", type=Path)
    parser.add_argument("texts", nargs="+", help="NAME=FILE:COLUMN, a table with tabs")
    args = parser.parse_args()
    torch.set_num_threads(1)
    students = {"whole": lada.load(args.whole), "trimmed": lada.load(args.trimmed)}
    rows = []
    for text in args.texts:
        rows.append(measured(*column(text), args.teacher, students))
        print(rows[-1], flush=True)
    write_json(args.out, {"torch": torch.__version__, "length": LENGTH, "rows": rows})


if __name__ == "__main__":
    main()
