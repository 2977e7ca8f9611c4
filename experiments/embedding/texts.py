"""Texts without labels, and STS-B's dev pairs, for a smaller embedding model.

    python experiments/embedding/texts.py GLUE OUT

writes OUT/texts.txt, at most 30,000 different sentences of each of MNLI, QNLI, QQP and SST-2 from
their train files, without those of STS-B's dev, and OUT/pairs.csv.
"""

import csv
import gzip
import random
import sys
from collections.abc import Iterator
from pathlib import Path

MOST = 30_000


def rows(file: Path) -> Iterator[dict[str, str]]:
    """The rows of a TSV file without quoting, plain or .gz."""
    file = file if file.exists() else file.with_name(f"{file.name}.gz")
    opener = gzip.open if file.suffix == ".gz" else open
    with opener(file, "rt", encoding="utf-8", newline="") as lines:
        yield from csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)


def main(glue: Path, out: Path) -> None:
    """Write both files."""
    pairs = [
        (row["sentence1"], row["sentence2"], row["label"]) for row in rows(glue / "STS-B/dev.tsv")
    ]
    held = {text for first, second, _ in pairs for text in (first, second)}
    draw, chosen = random.Random(0), dict[str, None]()
    for task in ("MNLI", "QNLI", "QQP", "SST-2"):
        found = dict.fromkeys(
            value.strip()
            for row in rows(glue / task / "train.tsv")
            for column, value in row.items()
            if column != "label" and value
        )
        texts = [text for text in found if text not in held]
        chosen |= dict.fromkeys(draw.sample(texts, min(MOST, len(texts))))
    texts = list(chosen)
    draw.shuffle(texts)
    out.mkdir(parents=True, exist_ok=True)
    (out / "texts.txt").write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
    with (out / "pairs.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("text", "text_pair", "label"), *pairs])


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
