"""The task table, and where `load_task` takes the data from."""

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lada.data.source import load_task
from lada.data.tasks import TASKS, task_spec
from lada.errors import LadaError
from lada.heads.kinds import METRICS

LABELS = {
    "sst2": ("negative", "positive"),
    "mnli": ("entailment", "neutral", "contradiction"),
    "qqp": ("not_duplicate", "duplicate"),
    "qnli": ("entailment", "not_entailment"),
    "cola": ("unacceptable", "acceptable"),
    "mrpc": ("not_equivalent", "equivalent"),
    "rte": ("entailment", "not_entailment"),
    "wnli": ("not_entailment", "entailment"),
}


def test_label_ids_are_those_of_the_hub() -> None:
    assert {name: TASKS[name].labels for name in LABELS} == LABELS


def test_every_task_is_under_its_own_name() -> None:
    assert list(TASKS) == ["sst2", "mnli", "qqp", "qnli", "cola", "mrpc", "rte", "stsb",
                           "wnli", "conll", "squad", "texts", "csv", "demo"]  # fmt: skip
    assert all(name == spec.name for name, spec in TASKS.items())


def test_metrics_are_those_of_glue() -> None:
    others = {
        "qqp": ("accuracy", "f1"),
        "mrpc": ("accuracy", "f1"),
        "cola": ("mcc", "accuracy"),
        "stsb": ("pearson", "spearman"),
        "conll": ("entity_f1", "token_accuracy"),
        "squad": ("exact_match", "answer_f1"),
        "texts": ("spearman", "recall_10"),
    }
    for name, spec in TASKS.items():
        assert spec.metrics == others.get(name, ("accuracy",)), name
        assert all(metric in METRICS for metric in spec.metrics)


def test_unknown_task_is_rejected_with_the_known_ones() -> None:
    with pytest.raises(LadaError, match=r"^task.name=sst: .*sst2, mnli, qqp, qnli, .*csv, demo"):
        task_spec("sst")


def test_demo_is_labelled_and_cut() -> None:
    data = load_task("demo", data_dir=None, validation_examples=20)
    assert len(data.labels) >= 2
    assert set(data.train.labels) == set(range(len(data.labels)))
    assert len(data.validation) >= 20
    assert list(data.dev) == ["dev"] and len(data.dev["dev"]) > 0
    assert not set(data.train.texts) & set(data.validation.texts)


@pytest.mark.parametrize("missing", ["train_file", "dev_file", "text", "label"])
def test_csv_task_names_the_setting_it_lacks(missing: str) -> None:
    given = {"train_file": "a.csv", "dev_file": "b.csv", "text": "text", "label": "label"}
    given.pop(missing)
    with pytest.raises(LadaError, match=rf"^task\.{missing}=null: task csv needs it"):
        load_task("csv", data_dir=None, validation_examples=None, **given)


def test_csv_task_is_read_and_cut(tmp_path: Path) -> None:
    train = tmp_path / "train.csv"
    train.write_text("a,b,y\n" + "".join(f"left {i},right {i},{i % 3}\n" for i in range(30)))
    dev = tmp_path / "dev.csv"
    dev.write_text("a,b,y\nleft,right,2\n")
    data = load_task(
        "csv",
        data_dir=None,
        validation_examples=None,
        train_file=str(train),
        dev_file=str(dev),
        text="a",
        text_pair="b",
        label="y",
    )
    assert (data.task, data.labels, data.metrics) == ("csv", ("0", "1", "2"), ("accuracy",))
    assert (len(data.train), len(data.validation), len(data.dev["dev"])) == (27, 3, 1)
    assert data.train.pairs is not None
    for text, pair, label in zip(
        data.train.texts, data.train.pairs, data.train.labels, strict=True
    ):
        number = int(text.split()[1])
        assert (pair, label) == (f"right {number}", number % 3)


def _fake_hub(monkeypatch: pytest.MonkeyPatch, load_dataset: Any) -> None:
    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(load_dataset=load_dataset))


HUB_COLUMNS = {
    "sst2": ("sentence",),
    "mnli": ("premise", "hypothesis"),
    "qqp": ("question1", "question2"),
    "qnli": ("question", "sentence"),
    "cola": ("sentence",),
    **dict.fromkeys(("mrpc", "rte", "wnli"), ("sentence1", "sentence2")),
}


@pytest.mark.parametrize("task", list(HUB_COLUMNS))
def test_hub_columns_and_splits(task: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def part(tag: str, rows: int) -> dict[str, Any]:
        columns = {c: [f"{tag} {c} {i}" for i in range(rows)] for c in HUB_COLUMNS[task]}
        return columns | {"label": [i % 2 for i in range(rows)]}

    dev = ["validation_matched", "validation_mismatched"] if task == "mnli" else ["validation"]

    def load_dataset(path: str, config: str) -> dict[str, Any]:
        assert (path, config) == ("nyu-mll/glue", task)
        return {"train": part("train", 40)} | {name: part(name, 4) for name in dev}

    _fake_hub(monkeypatch, load_dataset)
    data = load_task(task, data_dir=None, validation_examples=None)
    assert data.labels == LABELS[task]
    assert (len(data.train), len(data.validation)) == (36, 4)
    assert list(data.dev) == [name.replace("validation", "dev") for name in dev]
    for name, split in zip(dev, data.dev.values(), strict=True):
        expected = part(name, 4)
        assert list(split.texts) == expected[HUB_COLUMNS[task][0]]
        if len(HUB_COLUMNS[task]) == 1:
            assert split.pairs is None
        else:
            assert split.pairs is not None
            assert list(split.pairs) == expected[HUB_COLUMNS[task][1]]
        assert split.labels.tolist() == [0, 1, 0, 1]


@pytest.mark.parametrize("error", [ConnectionError("no route\nat all"), ValueError("no cache")])
def test_unreachable_hub_names_the_local_files(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load_dataset(path: str, config: str) -> None:
        raise error

    _fake_hub(monkeypatch, load_dataset)
    with pytest.raises(LadaError) as caught:
        load_task("sst2", data_dir=None, validation_examples=None)
    message = str(caught.value)
    assert "data.dir=FOLDER with SST-2/train.tsv and SST-2/dev.tsv" in message
    assert str(error).splitlines()[0] in message
    assert "\n" not in message


def test_data_dir_is_read_without_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def load_dataset(path: str, config: str) -> None:
        raise AssertionError("asked the hub")

    _fake_hub(monkeypatch, load_dataset)
    folder = tmp_path / "SST-2"
    folder.mkdir()
    for name in ("train", "dev"):
        rows = "".join(f"{name} film number {i}\t{i % 2}\n" for i in range(20))
        (folder / f"{name}.tsv").write_text("sentence\tlabel\n" + rows)
    data = load_task("sst2", data_dir=str(tmp_path), validation_examples=5)
    assert (len(data.train), len(data.validation), len(data.dev["dev"])) == (15, 5, 20)
