"""The data of a task, from files, the hub or Python objects."""

import importlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from lada.data.columns import several
from lada.data.conll import read_tagged
from lada.data.examples import Examples
from lada.data.glue import load_glue
from lada.data.label_kinds import group_ids
from lada.data.scored import load_texts
from lada.data.split import Split, TaskData
from lada.data.squad import read_questions, split_questions
from lada.data.table import Columns, Layout, load_table
from lada.data.tagged import FIELDS, Fields, split_tagged
from lada.data.tasks import TaskSpec, task_spec
from lada.data.unlabeled import read_unlabeled
from lada.data.validation import cut_validation
from lada.errors import LadaError
from lada.heads.kinds import KINDS, NEIGHBOURS, RANKING

_HUB_DATASET = "nyu-mll/glue"


def load_task(
    name: str,
    *,
    data_dir: str | None,
    validation_examples: int | None,
    split_by: str = "auto",
    train_file: str | None = None,
    dev_file: str | None = None,
    test_file: str | None = None,
    unlabeled_file: str | None = None,
    text: str | None = None,
    text_pair: str | None = None,
    label: str | None = None,
    kind: str | None = None,
    query: str | None = None,
    separator: str | None = None,
    probabilities: str | None = None,
    delimiter: str | None = None,
    encoding: str | None = None,
    examples: Examples | None = None,
) -> TaskData:
    """Read all examples of a task, and cut the validation split off the training examples.

    Args:
        name: one of `lada.data.tasks.TASKS`.
        data_dir: folder of a GLUE task's files; None to take them from the Hugging Face hub.
        validation_examples: examples of the validation split; None for 10 % of train, 2000 at most.
        split_by: how they are cut, see `cut_validation`; "auto": as `TASKS` says for the task.
        train_file: training file of the csv task; this and the arguments below are for it alone.
            Of task texts: or a JSON list of files.
        dev_file: dev file of the csv task.
        test_file: another file to score on, of the csv, conll and squad tasks.
        unlabeled_file: texts without labels, see `lada.data.unlabeled.read_unlabeled`.
        text: column of the text, or of the first text.
        text_pair: column of the second text; None for a task of one text.
        label: column of the label.
        kind: of the task; None: by the task or the labels.
        query: column of the query of a reranker; None: there are none.
        separator: of several labels in one column; None: they are lists.
        probabilities: column of what another model says of the examples; None: there is none.
        delimiter: of the columns, see `Layout`.
        encoding: of the files, see `Layout`.
        examples: of the csv task, instead of its files.

    Raises:
        LadaError: the task is unknown, an argument it needs is missing, its data cannot be read or
            does not fit the task, or the validation split cannot be cut.
    """
    spec = task_spec(name)
    labels, metrics, found = spec.labels, spec.metrics, spec.kind
    if name == "demo":
        labels, train, dev = _demo()
    elif examples is not None:
        labels, train, dev = examples.labels, examples.train, {"dev": examples.dev}
        if examples.test is not None:
            dev["test"] = examples.test
        found = examples.kind
    elif name == "csv":
        columns = Columns(
            _given("text", text),
            text_pair,
            _given("label", label),
            query,
            kind,
            separator,
            probabilities,
        )
        found, labels, train, dev = load_table(
            Path(_given("train_file", train_file)),
            Path(_given("dev_file", dev_file)),
            columns,
            Layout(delimiter, encoding),
            None if test_file is None else Path(test_file),
        )
    elif name == "conll":
        labels, train, dev = load_tagged(
            Path(_given("train_file", train_file, name)),
            Path(_given("dev_file", dev_file, name)),
            encoding,
            None if test_file is None else Path(test_file),
            Fields(text, label),
        )
    elif name == "squad":
        train, dev = load_questions(
            Path(_given("train_file", train_file, name)),
            Path(_given("dev_file", dev_file, name)),
            encoding,
            None if test_file is None else Path(test_file),
        )
    elif name == "texts":
        train, dev = load_texts(
            [Path(file) for file in several(_given("train_file", train_file, name))],
            Path(_given("dev_file", dev_file, name)),
            Columns(
                _given("text", text, name),
                text_pair,
                _given("label", label, name),
                kind="regression",
            ),
            Layout(delimiter, encoding),
            None if test_file is None else Path(test_file),
        )
    elif data_dir is not None:
        train, dev = load_glue(spec, Path(data_dir))
    else:
        train, dev = _hub(spec)
    rest, validation = cut_validation(
        train,
        validation_examples,
        spec.split_by if split_by == "auto" else split_by,
        # Else a question on a context of the validation split would be trained on.
        together=group_ids(train.pairs or ()) if found == "spans" else None,
    )
    if found == "embedding" and len(validation) <= NEIGHBOURS:
        raise LadaError(
            f"data.validation={len(validation)}: a text has its {NEIGHBOURS} nearest among the "
            f"others of the validation split. Set {NEIGHBOURS + 1} or more, or give more texts."
        )
    if found == "regression":
        labels = ("score",)
    if found != "single_label" and name == "csv":
        metrics = RANKING if train.groups is not None else KINDS[found].metrics
    data = TaskData(
        task=name,
        labels=labels,
        metrics=metrics,
        train=rest,
        validation=validation,
        dev=dev,
        kind=found,
    )
    if unlabeled_file is None:
        return data
    first, *more = spec.columns or (text or "text", *([text_pair] if text_pair else []))
    unlabeled = read_unlabeled(
        Path(unlabeled_file),
        data,
        first,
        more[0] if more else None,
        Layout(delimiter, encoding),
        probabilities,
    )
    return replace(data, unlabeled=unlabeled)


def _given(key: str, value: str | None, task: str = "csv") -> str:
    if not value:
        raise LadaError(f"task.{key}=null: task {task} needs it. Set task.{key}=...")
    return value


def load_tagged(
    train_file: Path,
    dev_file: Path,
    encoding: str | None = None,
    test_file: Path | None = None,
    fields: Fields = FIELDS,
) -> tuple[tuple[str, ...], Split, dict[str, Split]]:
    """Read words and tags from CoNLL or JSON lines files; the tags are those of the first.

    Raises:
        LadaError: a file cannot be read or is malformed, or dev or test have types that train
            lacks.
    """
    files = {"train": train_file, "dev": dev_file}
    if test_file is not None:
        files["test"] = test_file
    found = {
        name: read_tagged(file, f"task.{name}_file", encoding, fields)
        for name, file in files.items()
    }
    labels, splits = split_tagged(found, {name: str(file) for name, file in files.items()})
    return labels, splits.pop("train"), splits


def load_questions(
    train_file: Path, dev_file: Path, encoding: str | None = None, test_file: Path | None = None
) -> tuple[Split, dict[str, Split]]:
    """Read questions, contexts and answers from SQuAD's JSON, or from tables or JSON lines.

    Raises:
        LadaError: a file cannot be read or is malformed, or train has no answers.
    """
    files = {"train": train_file, "dev": dev_file}
    if test_file is not None:
        files["test"] = test_file
    found = {
        name: read_questions(file, f"task.{name}_file", encoding) for name, file in files.items()
    }
    splits = split_questions(found, {name: str(file) for name, file in files.items()})
    return splits.pop("train"), splits


def _demo() -> tuple[tuple[str, ...], Split, dict[str, Split]]:
    from lada.data.demo import LABELS, make_examples

    def split(name: str) -> Split:
        texts, labels = make_examples(name)
        return Split(name, texts, None, np.array(labels, dtype=np.int64))

    return tuple(LABELS), split("train"), {"dev": split("dev")}


def _hub(spec: TaskSpec) -> tuple[Split, dict[str, Split]]:
    files = " and ".join(f"{spec.folder}/{name}.tsv" for name in ("train", *spec.dev_splits))
    try:
        # Imported only here: it takes seconds, and a local folder does not need it.
        datasets: Any = importlib.import_module("datasets")
        parts = datasets.load_dataset(_HUB_DATASET, spec.hub_name)
    # Each layer below has its own exceptions for a lost connection, an unknown host, a proxy that
    # denies access or the offline mode; what to do is the same for all.
    except Exception as error:
        reason = (str(error).splitlines() or [""])[0][:200]
        raise LadaError(
            f"task={spec.hub_name}: it cannot be loaded from the hub's {_HUB_DATASET} "
            f"({type(error).__name__}: {reason}). Set data.dir=FOLDER with {files}."
        ) from error
    names = {name: name.replace("dev", "validation") for name in spec.dev_splits}
    dev = {name: _hub_split(parts[hub], name, spec) for name, hub in names.items()}
    return _hub_split(parts["train"], "train", spec), dev


def _hub_split(part: Any, name: str, spec: TaskSpec) -> Split:
    texts = [list(part[column]) for column in spec.hub_columns]
    return Split(
        name=name,
        texts=texts[0],
        pairs=texts[1] if len(texts) > 1 else None,
        labels=np.array(part["label"], dtype=np.float32 if spec.kind == "regression" else np.int64),
    )
