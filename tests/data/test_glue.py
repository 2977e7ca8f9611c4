"""GLUE files in both layouts, and every way in which they can be wrong."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from lada.data.glue import load_glue
from lada.data.split import Split
from lada.data.tasks import TASKS
from lada.errors import LadaError

_MNLI = (
    "index promptID pairID genre sentence1_binary_parse sentence2_binary_parse sentence1_parse "
    "sentence2_parse sentence1 sentence2"
).split()
# Headers of the official download; MNLI has one annotator in train and five in dev.
OFFICIAL = {
    ("sst2", "train"): ["sentence", "label"],
    ("sst2", "dev"): ["sentence", "label"],
    ("mnli", "train"): [*_MNLI, "label1", "gold_label"],
    ("mnli", "dev_matched"): [*_MNLI, *(f"label{i}" for i in range(1, 6)), "gold_label"],
    ("mnli", "dev_mismatched"): [*_MNLI, *(f"label{i}" for i in range(1, 6)), "gold_label"],
    ("qqp", "train"): "id qid1 qid2 question1 question2 is_duplicate".split(),
    ("qqp", "dev"): "id qid1 qid2 question1 question2 is_duplicate".split(),
    ("qnli", "train"): "index question sentence label".split(),
    ("qnli", "dev"): "index question sentence label".split(),
}
PLAIN = {(task, name): [*TASKS[task].columns, "label"] for task, name in OFFICIAL}
LAYOUTS = {"official": OFFICIAL, "plain": PLAIN}
# Quotes, a lone carriage return and a line separator are text like any other.
TEXTS = ['a "quoted" word', '"open quote', "next\u2028line\x85and", "carriage\rreturn", "é", ""]


def _write(path: Path, text: str) -> None:
    data = text.encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)


def _rows(task: str, name: str, words: bool) -> list[tuple[list[str], str, int]]:
    """Return texts, raw label and class id of the rows of one file."""
    spec = TASKS[task]
    rows = []
    for number, text in enumerate(TEXTS):
        place = number % len(spec.labels)
        texts = [f"{text} {column} {name}" for column in spec.columns]
        rows.append((texts, spec.labels[place] if words else str(place), place))
    return rows


def _write_task(
    folder: Path, task: str, layout: str, suffix: str = ".tsv", words: bool = True, end: str = "\n"
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for (of, name), header in LAYOUTS[layout].items():
        if of != task:
            continue
        lines = ["\t".join(header)]
        for texts, label, _ in _rows(task, name, words):
            fields = dict.fromkeys(header, "other")
            fields.update(zip(TASKS[task].columns, texts, strict=True))
            fields[header[-1]] = label
            lines.append("\t".join(fields[column] for column in header))
        _write(folder / f"{name}{suffix}", end.join(lines) + end)


def _assert_is(split: Split, task: str, name: str, words: bool) -> None:
    rows = _rows(task, name, words)
    assert split.name == name
    assert list(split.texts) == [texts[0] for texts, _, _ in rows]
    if len(TASKS[task].columns) == 1:
        assert split.pairs is None
    else:
        assert split.pairs is not None
        assert list(split.pairs) == [texts[1] for texts, _, _ in rows]
    assert split.labels.dtype == np.int64
    assert split.labels.tolist() == [place for _, _, place in rows]


def _error(task: str, folder: Path) -> str:
    with pytest.raises(LadaError) as caught:
        load_glue(TASKS[task], folder)
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize("suffix", [".tsv", ".tsv.gz"])
@pytest.mark.parametrize("layout", ["official", "plain"])
@pytest.mark.parametrize("words", [True, False], ids=["words", "ids"])
@pytest.mark.parametrize("task", ["sst2", "mnli", "qqp", "qnli"])
def test_layouts(task: str, words: bool, layout: str, suffix: str, tmp_path: Path) -> None:
    _write_task(tmp_path / TASKS[task].folder, task, layout, suffix, words)
    train, dev = load_glue(TASKS[task], tmp_path)
    _assert_is(train, task, "train", words)
    assert tuple(dev) == TASKS[task].dev_splits
    for name, split in dev.items():
        _assert_is(split, task, name, words)


def test_folder_of_the_task_itself(tmp_path: Path) -> None:
    _write_task(tmp_path, "mnli", "plain")
    _assert_is(load_glue(TASKS["mnli"], tmp_path)[0], "mnli", "train", True)


def test_windows_line_ends(tmp_path: Path) -> None:
    _write_task(tmp_path, "qnli", "official", end="\r\n")
    _assert_is(load_glue(TASKS["qnli"], tmp_path)[0], "qnli", "train", True)


def test_byte_order_mark(tmp_path: Path) -> None:
    _write_task(tmp_path, "sst2", "plain")
    path = tmp_path / "train.tsv"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    _assert_is(load_glue(TASKS["sst2"], tmp_path)[0], "sst2", "train", True)


def test_other_files_are_left_aside(tmp_path: Path) -> None:
    _write_task(tmp_path, "sst2", "plain")
    (tmp_path / "train_extra.tsv").write_bytes(b"\xff broken")
    (tmp_path / "test.tsv").write_text("index\tsentence\n0\tx\n")
    train, _ = load_glue(TASKS["sst2"], tmp_path)
    assert len(train) == len(TEXTS)


def test_mnli_rows_without_gold_label_are_skipped(tmp_path: Path) -> None:
    _write_task(tmp_path, "mnli", "official")
    path = tmp_path / "dev_matched.tsv"
    fields = ["other"] * len(OFFICIAL["mnli", "dev_matched"])
    lines = path.read_bytes().split(b"\n")
    lines.insert(2, "\t".join([*fields[:-1], "-"]).encode())
    path.write_bytes(b"\n".join(lines))
    _, dev = load_glue(TASKS["mnli"], tmp_path)
    _assert_is(dev["dev_matched"], "mnli", "dev_matched", True)


def test_dash_is_no_label_in_other_tasks(tmp_path: Path) -> None:
    _write_task(tmp_path, "sst2", "plain")
    (tmp_path / "train.tsv").write_text("sentence\tlabel\na\t0\nb\t-\n")
    assert "train.tsv line 3: has the unknown label '-'" in _error("sst2", tmp_path)


@pytest.mark.parametrize(
    ("task", "name", "needed"),
    [
        ("sst2", "train", "SST-2/train.tsv and SST-2/dev.tsv"),
        ("sst2", "dev", "SST-2/train.tsv and SST-2/dev.tsv"),
        ("mnli", "dev_mismatched", "MNLI/dev_matched.tsv and MNLI/dev_mismatched.tsv"),
    ],
)
def test_missing_file(task: str, name: str, needed: str, tmp_path: Path) -> None:
    _write_task(tmp_path, task, "plain")
    (tmp_path / f"{name}.tsv").unlink()
    message = _error(task, tmp_path)
    assert str(tmp_path / f"{name}.tsv") in message
    assert "Set data.dir" in message and needed in message


def test_missing_folder(tmp_path: Path) -> None:
    assert str(tmp_path / "nowhere") in _error("qqp", tmp_path / "nowhere")


def test_wrong_column_names_the_nearest(tmp_path: Path) -> None:
    _write_task(tmp_path, "sst2", "plain")
    (tmp_path / "train.tsv").write_text("sentense\tlabel\na\t0\n")
    message = _error("sst2", tmp_path)
    assert (
        f"{tmp_path / 'train.tsv'}: has no column 'sentence', the nearest is 'sentense'" in message
    )
    assert "columns are 'sentense', 'label'" in message
    assert message.endswith("Correct the file: it needs the column 'sentence'.")


def test_no_label_column(tmp_path: Path) -> None:
    _write_task(tmp_path, "sst2", "plain")
    (tmp_path / "dev.tsv").write_text("sentence\tlabels\na\t0\n")
    message = _error("sst2", tmp_path)
    assert f"{tmp_path / 'dev.tsv'}: has no column 'label', the nearest is 'labels'" in message
    assert message.endswith("Correct the file: it needs the column 'label'.")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "sentence\tlabel\na\t0\nb\nc\t1\n",
            "train.tsv line 3: has 1 fields, but the header has 2.",
        ),
        (
            "sentence\tlabel\na\t0\t0\n\nc\t1\n",
            "line 2: has 3 fields, but the header has 2 (and 1 ",
        ),
        (
            "sentence\tlabel\na\t0\nb\t2\n",
            "line 3: has the unknown label '2'. Set it to one of '0', '1",
        ),
        ("sentence\tlabel\na\t1\nb\t1\n", "train.tsv: has one class only, 'positive'"),
        ("sentence\tlabel\n", "train.tsv: has no labelled examples"),
        ("", "train.tsv: is empty. Give a file"),
    ],
)
def test_broken_content(text: str, expected: str, tmp_path: Path) -> None:
    _write_task(tmp_path, "sst2", "plain")
    (tmp_path / "train.tsv").write_text(text)
    assert expected in _error("sst2", tmp_path)


def test_a_few_malformed_lines_are_skipped_where_the_official_file_has_them(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    _write_task(tmp_path, "qqp", "plain")
    whole, _ = load_glue(TASKS["qqp"], tmp_path)
    allowed = TASKS["qqp"].malformed_lines
    with (tmp_path / "train.tsv").open("a") as file:
        file.write("cut\n" * allowed)
    train, _ = load_glue(TASKS["qqp"], tmp_path)
    assert train.digest == whole.digest
    assert f"{allowed} malformed lines skipped, the first is line {len(whole) + 2}" in caplog.text
    with (tmp_path / "train.tsv").open("a") as file:
        file.write("cut\n")
    assert f"line {len(whole) + 2}: has 1 fields" in _error("qqp", tmp_path)


def test_broken_utf8(tmp_path: Path) -> None:
    _write_task(tmp_path, "sst2", "plain")
    (tmp_path / "dev.tsv").write_bytes(b"sentence\tlabel\ngood\t1\nb\xe9 bad\t0\n")
    assert f"{tmp_path / 'dev.tsv'} line 3: byte 0xe9 is not UTF-8" in _error("sst2", tmp_path)


@pytest.mark.parametrize("damage", ["plain text", "cut off", "flipped"])
def test_broken_gzip(damage: str, tmp_path: Path) -> None:
    _write_task(tmp_path, "sst2", "plain", ".tsv.gz")
    path = tmp_path / "train.tsv.gz"
    whole = gzip.compress(b"sentence\tlabel\n" + b"".join(b"%d\t1\n" % i for i in range(9999)))
    broken = {
        "plain text": b"sentence\tlabel\na\t0\n",
        "cut off": whole[: len(whole) // 2],
        "flipped": whole[:100] + bytes(byte ^ 0xFF for byte in whole[100:200]) + whole[200:],
    }
    path.write_bytes(broken[damage])
    assert f"{path}: is corrupt gzip" in _error("sst2", tmp_path)


def test_a_folder_in_place_of_a_file(tmp_path: Path) -> None:
    _write_task(tmp_path, "sst2", "plain")
    (tmp_path / "dev.tsv").unlink()
    (tmp_path / "dev.tsv").mkdir()
    assert f"{tmp_path / 'dev.tsv'}: is a folder, not a regular file" in _error("sst2", tmp_path)


@pytest.mark.parametrize("how", ["copy", "link"])
@pytest.mark.parametrize(("task", "name"), [("sst2", "dev"), ("mnli", "dev_mismatched")])
def test_the_training_file_as_a_dev_split(task: str, name: str, how: str, tmp_path: Path) -> None:
    _write_task(tmp_path, task, "plain")
    train, dev = tmp_path / "train.tsv", tmp_path / f"{name}.tsv"
    dev.unlink()
    if how == "link":
        dev.symlink_to(train)
    else:
        dev.write_bytes(train.read_bytes())
    assert f"{dev}: holds the same examples as {train}" in _error(task, tmp_path)
