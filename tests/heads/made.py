"""Splits without texts, and files of texts without labels, for heads."""

import csv
import random
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lada.data.split import Split
from lada.data.tokens import Encoded

WORDS = "sun rain snow wind the a of in day cat dog walks runs sits far near home".split()


def examples_of(labels: Any, groups: Any = None) -> tuple[Encoded, Split]:
    """Examples with these labels, of which nothing else is looked at."""
    empty, count = np.zeros(0, np.int32), len(labels)
    encoded = Encoded(empty, np.zeros(count + 1, np.int64), empty, labels, groups)
    return encoded, Split("dev", [""] * count, None, labels, groups)


def batch_of(labels: torch.Tensor, total: int | None = None, **more: Any) -> dict[str, Any]:
    """A batch, which may be a part of one of ``total`` examples."""
    count = len(labels) if total is None else total
    return {"labels": labels, "totals": torch.tensor([float(count), 0.0, 0.0]), **more}


def write_texts(folder: Path) -> tuple[Path, Path]:
    """Texts, and pairs whose score is how many words they share."""
    draw = random.Random(0)
    texts = [" ".join(draw.choices(WORDS, k=draw.randint(3, 9))) for _ in range(400)]
    train, dev = folder / "train.txt", folder / "dev.csv"
    train.write_text("\n".join([*texts, texts[0], ""]), encoding="utf-8")
    with dev.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["text", "text_pair", "label"])
        for _ in range(40):
            words, kept = draw.choices(WORDS, k=6), draw.randint(0, 6)
            other = words[:kept] + draw.choices(WORDS, k=6 - kept)
            rows.writerow([" ".join(words), " ".join(other), kept])
    return train, dev
