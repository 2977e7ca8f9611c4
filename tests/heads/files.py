"""Small data of each kind of task, in files, and the overrides that name them."""

import csv
import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from heads.made import write_texts

WORDS = ("sun", "rain", "snow", "wind")


def write(file: Path, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> Path:
    with file.open("w", newline="", encoding="utf-8") as f:
        writer = csv.writer(f)
        writer.writerow(header)
        writer.writerows(rows)
    return file


def texts(count: int, seed: int) -> list[list[str]]:
    """The words of each text: some that decide, among others."""
    draw = random.Random(seed)
    found = []
    for _ in range(count):
        said = [word for word in WORDS if draw.random() < 0.4]
        more = draw.choices(("the", "a", "of", "in", "day"), k=draw.randint(2, 5))
        mixed = said + more
        draw.shuffle(mixed)
        found.append(mixed)
    return found


def files(folder: Path, kind: str) -> list[str]:
    """Overrides for data of a kind."""
    found = ["task=csv", "task.text=text", "task.label=label"]
    for name, count, seed in (("train", 300, 1), ("dev", 60, 2), ("test", 40, 3)):
        rows: list[list[Any]] = []
        header = ["text", "label"]
        for number, words in enumerate(texts(count, seed)):
            said = [word for word in WORDS if word in words]
            if kind == "indicators":
                header = ["text", *WORDS]
                rows.append([" ".join(words), *(int(word in said) for word in WORDS)])
            elif kind == "multi_label":
                rows.append([" ".join(words), json.dumps(said)])
            elif kind == "regression":
                rows.append([" ".join(words), len(said) + 0.5])
            else:  # a reranker: which passage has the word that is asked for
                header = ["question", "text", "label"]
                query = WORDS[number // 5 % 4]
                rows.append([f"{query} {number // 5}", " ".join(words), int(query in words)])
        found.append(f"task.{name}_file={write(folder / f'{name}.csv', header, rows)}")
    if kind == "reranking":
        found += ["task.text=question", "task.text_pair=text", "task.query=question"]
    if kind == "indicators":
        found.append(f"task.label=[{','.join(WORDS)}]")
    if kind in ("regression", "reranking"):
        found.append("task.kind=regression")
    return found


def tagged(folder: Path) -> list[str]:
    """Overrides for words with tags: two of them are places."""
    found = ["task=conll"]
    for name, count, seed in (("train", 200, 1), ("dev", 40, 2)):
        lines = []
        for words in texts(count, seed):
            lines += [f"{word}\t{'B-LOC' if word in ('sun', 'snow') else 'O'}" for word in words]
            lines.append("")
        file = folder / f"{name}.conll"
        file.write_text("\n".join(lines), encoding="utf-8")
        found.append(f"task.{name}_file={file}")
    return found


def questions(folder: Path) -> list[str]:
    """Overrides for questions: the word that is asked for is the answer."""
    found = ["task=squad"]
    for name, count, seed in (("train", 240, 1), ("dev", 60, 2)):
        rows = []
        for words in texts(count, seed):
            context = " ".join(words)
            answer = next((word for word in words if word in WORDS), words[0])
            rows.append(("which ?", f"{context} {seed}", answer, context.index(answer)))
        header = ("question", "context", "answer", "answer_start")
        found.append(f"task.{name}_file={write(folder / f'{name}.csv', header, rows)}")
    return found


def unlabelled(folder: Path) -> list[str]:
    """Overrides for texts without labels, and pairs with scores."""
    train, dev = write_texts(folder)
    return ["task=texts", f"task.train_file={train}", f"task.dev_file={dev}"]


OF_KINDS = ("multi_label", "regression", "reranking", "tokens", "spans", "embedding")


def with_kind(kind: str, tiny: Sequence[str], folder: Path) -> list[str]:
    """The overrides of ``tiny`` with data of a kind of `OF_KINDS`, written into ``folder``."""
    folder.mkdir(exist_ok=True)
    own = {"tokens": tagged, "spans": questions, "embedding": unlabelled}
    words = own[kind](folder) if kind in own else files(folder, kind)
    # The test split of some is scored by other tests.
    words = [word for word in words if not word.startswith("task.test_file")]
    rest = [word for word in tiny if not word.startswith(("task=", "task.train", "task.dev"))]
    return [*rest, *words, "teacher.margin=0"]
