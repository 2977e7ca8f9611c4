"""The five small GLUE tasks: CoLA, MRPC, RTE, STS-B and WNLI, in their official layouts."""

from pathlib import Path

import numpy as np
import pytest

from lada.data.glue import load_glue, load_tests
from lada.data.tasks import TASKS
from lada.errors import LadaError

STSB = "index genre filename year old_index source1 source2 sentence1 sentence2".split()
MRPC = ["#1 ID", "#2 ID", "#1 String", "#2 String"]
PAIR = ["index", "sentence1", "sentence2"]
# Headers of the official train and dev files; CoLA's have none.
OFFICIAL = {
    "cola": ["source", "label", "mark", "sentence"],
    "mrpc": ["Quality", *MRPC],
    "rte": [*PAIR, "label"],
    "stsb": [*STSB, "score"],
    "wnli": [*PAIR, "label"],
}
TESTS = {
    "cola": ["index", "sentence"],
    "mrpc": ["index", *MRPC],
    "rte": PAIR,
    "stsb": STSB,
    "wnli": PAIR,
}
LABELS = {
    "cola": ["0", "1"],
    "mrpc": ["1", "0"],
    "rte": ["not_entailment", "entailment"],
    "stsb": ["5.000", "0.25"],
    "wnli": ["1", "0"],
}
FOUND = {"cola": [0, 1], "mrpc": [1, 0], "rte": [1, 0], "stsb": [5, 0.25], "wnli": [1, 0]}
TEXT_COLUMNS = {"cola": ["sentence"], "mrpc": ["#1 String", "#2 String"]}
TWO = ["sentence1", "sentence2"]
WORDS = ('an "open quote', "plain")


def _lines(task: str, header: list[str], name: str, texts: list[str]) -> list[str]:
    lines = []
    for number, text in enumerate(WORDS):
        row = dict.fromkeys(header, "x") | {"index": str(number)}
        row |= {column: f"{text} {column[:9]} {name}" for column in texts}
        row |= dict.fromkeys(("label", "score", "Quality"), LABELS[task][number])
        lines.append("\t".join(row[column] for column in header))
    return lines


def _write(folder: Path, task: str, *, reduced: bool = False) -> Path:
    texts = TEXT_COLUMNS.get(task, TWO)
    if reduced and task == "mrpc":
        texts = TWO
    header = [*texts, "label"] if reduced else OFFICIAL[task]
    place = folder / TASKS[task].folder
    place.mkdir(parents=True)
    for name in ("train", "dev"):
        lines = _lines(task, header, name, texts)
        if reduced or task != "cola":
            lines.insert(0, "\t".join(header))
        (place / f"{name}.tsv").write_text("\n".join(lines) + "\n")
    return place


@pytest.mark.parametrize("reduced", [False, True], ids=["official", "reduced"])
@pytest.mark.parametrize("task", list(OFFICIAL))
def test_layouts(task: str, reduced: bool, tmp_path: Path) -> None:
    _write(tmp_path, task, reduced=reduced)
    train, dev = load_glue(TASKS[task], tmp_path)
    assert list(dev) == ["dev"]
    texts = TWO if task == "mrpc" and reduced else TEXT_COLUMNS.get(task, TWO)
    for name, split in {"train": train, **dev}.items():
        columns = [[f"{word} {c[:9]} {name}" for word in WORDS] for c in texts]
        assert list(split.texts) == columns[0]
        assert split.pairs == (columns[1] if len(columns) > 1 else None)
        assert split.labels.tolist() == FOUND[task]
        assert split.labels.dtype == (np.float32 if task == "stsb" else np.int64)


@pytest.mark.parametrize("task", list(TESTS))
def test_test_files(task: str, tmp_path: Path) -> None:
    folder = tmp_path / TASKS[task].folder
    folder.mkdir()
    texts = TEXT_COLUMNS.get(task, TWO)
    lines = ["\t".join(TESTS[task]), *_lines(task, TESTS[task], "test", texts)]
    (folder / "test.tsv").write_text("\n".join(lines) + "\n")
    ((name, (numbers, split)),) = load_tests(TASKS[task], str(tmp_path)).items()
    assert name == TASKS[task].folder
    assert numbers == ["0", "1"]
    assert list(split.texts) == [f"{word} {texts[0][:9]} test" for word in WORDS]


def test_lines_of_a_file_without_header_count_from_1(tmp_path: Path) -> None:
    place = _write(tmp_path, "cola")
    lines = (place / "train.tsv").read_text().splitlines()
    (place / "train.tsv").write_text("\n".join(["x\t7\t\ttext", *lines]))
    with pytest.raises(LadaError, match=r"train.tsv line 1: has the unknown label '7'"):
        load_glue(TASKS["cola"], tmp_path)
    (place / "train.tsv").write_text("\n".join([*lines, "x\t1\ttext"]))
    with pytest.raises(
        LadaError, match=r"train.tsv line 3: has 3 fields, but the official file has 4"
    ):
        load_glue(TASKS["cola"], tmp_path)


@pytest.mark.parametrize("score", ["", "high", "nan", "inf"])
def test_scores_are_finite_numbers(score: str, tmp_path: Path) -> None:
    place = _write(tmp_path, "stsb", reduced=True)
    (place / "dev.tsv").write_text(f"sentence1\tsentence2\tlabel\na\tb\t{score}\n")
    with pytest.raises(LadaError, match=rf"dev.tsv line 2: has the score '{score}'"):
        load_glue(TASKS["stsb"], tmp_path)


def test_one_score_is_not_enough(tmp_path: Path) -> None:
    place = _write(tmp_path, "stsb", reduced=True)
    (place / "train.tsv").write_text("sentence1\tsentence2\tlabel\na\tb\t2.5\n")
    with pytest.raises(LadaError, match=r"train.tsv: has one number only, 2.5\."):
        load_glue(TASKS["stsb"], tmp_path)
