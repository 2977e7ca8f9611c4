"""Examples of the tasks with files of their own, given as Python objects."""

import hashlib
import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from lada.data.conll import read_tagged
from lada.data.examples import Examples, is_file, read_rows, source_of
from lada.data.scored import PAIRS, check_pairs, split_scored
from lada.data.squad import read_question_objects, read_questions, split_questions
from lada.data.table import BY_NAME, Columns, Layout
from lada.data.tagged import FIELDS, Fields, read_tagged_objects, split_tagged
from lada.data.tasks import task_spec
from lada.data.texts import read_text_objects, read_texts
from lada.errors import LadaError
from lada.files import write_text

TASKS = ("conll", "squad", "texts")
"""Tasks whose examples may be given as files or as objects."""


def examples_of(
    task: str,
    given: Mapping[str, Any],
    layout: Layout = BY_NAME,
    columns: Columns = PAIRS,
    fields: Fields = FIELDS,
) -> Examples:
    """Read the examples of a task of `TASKS`.

    Args:
        given: "train", "dev" and, if there is one, "test": the path of a file, or dicts, as a list
            or a `datasets.Dataset`; see `read_tagged_objects`, `read_question_objects` and, for
            "train" of texts, `read_text_objects`.
        layout: of files.
        columns: of task texts: those of the pairs.
        fields: of task conll: the keys of words and tags.

    Raises:
        LadaError: examples cannot be read or are malformed.

    Example:
        >>> rows = [{"question": "Who left?", "context": "Ada left.",
        ...          "answers": {"text": ["Ada"], "answer_start": [0]}}]
        >>> found = examples_of("squad", {"train": rows, "dev": [{**rows[0], "question": "Who?"}]})
        >>> found.train.labels
        [[(0, 'Ada')]]
    """
    sources = {name: str(each) if is_file(each) else name for name, each in given.items()}

    if task == "texts":
        return _texts(given, sources, layout, columns)

    def rows(of_file: Callable[..., Any], of_objects: Callable[..., Any]) -> dict[str, Any]:
        return {
            name: of_file(Path(each), f"task.{name}_file", layout.encoding)
            if is_file(each)
            else of_objects(each, name)
            for name, each in given.items()
        }

    labels = task_spec(task).labels
    if task == "squad":
        splits = split_questions(rows(read_questions, read_question_objects), sources)
    else:
        found = rows(
            partial(read_tagged, fields=fields), partial(read_tagged_objects, fields=fields)
        )
        labels, splits = split_tagged(found, sources)
    kind = task_spec(task).kind
    return Examples(labels, splits["train"], splits["dev"], kind, splits.get("test"))


def _texts(
    given: Mapping[str, Any], sources: Mapping[str, str], layout: Layout, columns: Columns
) -> Examples:
    check_pairs(columns)
    train, column = given["train"], columns.text
    if is_file(train):
        texts = read_texts(Path(train), "task.train_file", column, layout=layout).texts
    else:
        texts = read_text_objects(train, "train", column).texts
    rows = {
        name: read_rows(each, source_of(each, name), columns, layout)
        for name, each in given.items()
        if name != "train"
    }
    splits = split_scored(texts, rows, sources, columns.label)
    return Examples((), splits["train"], splits["dev"], "embedding", splits.get("test"))


def file_of_texts(
    given: Any,
    folder: Path,
    text: str = "text",
    pair: str | None = None,
    more: Mapping[str, str] | None = None,
) -> Path:
    """The file of texts without labels; those of an object are written to one, once.

    Args:
        given: a file, or see `lada.data.texts.read_text_objects`, as for the other arguments.
        folder: of the files, each named by its content.

    Raises:
        LadaError: it is neither, a text is empty, or the file cannot be written.
    """
    if is_file(given):
        return Path(given)
    texts = read_text_objects(given, "unlabeled", text, pair, more)
    columns = [text, *([] if pair is None else [pair]), *(more or {}).values()]
    fields = [texts.texts, *([] if texts.pairs is None else [texts.pairs])]
    rows = [[*row, *rest] for *row, rest in zip(*fields, texts.more, strict=True)]
    lines = [
        json.dumps(dict(zip(columns, row, strict=True)), ensure_ascii=False, default=_plain)
        for row in rows
    ]
    content = "".join(f"{line}\n" for line in lines)
    file = folder / f"texts-{hashlib.sha256(content.encode()).hexdigest()[:32]}.jsonl"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not file.exists():
            write_text(file, content)
    except OSError as error:
        raise LadaError(
            f"paths.cache={folder}: texts cannot be written ({error.strerror}). Give a writable "
            "folder."
        ) from None
    return file


def _plain(value: Any) -> Any:
    """A numpy number or array as JSON has it."""
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    return str(value)  # is then rejected as no probability
