"""Texts without labels that join the training examples of a student."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lada.data.batches import NO_LABEL, NO_TAG
from lada.data.columns import PROBABILITIES, by_key
from lada.data.contained import Containment
from lada.data.probabilities import given_outputs
from lada.data.split import Split, TaskData, framed
from lada.data.table import BY_NAME, Layout
from lada.data.tagged import split_words
from lada.data.tasks import task_spec
from lada.data.texts import read_texts
from lada.data.validation import PHRASE
from lada.errors import LadaError

log = logging.getLogger("lada")

KEY = "task.unlabeled_file"


def read_unlabeled(
    path: Path,
    data: TaskData,
    text: str,
    pair: str | None,
    layout: Layout = BY_NAME,
    probabilities: str | None = None,
) -> Split:
    """Read texts, or pairs of them, that have no label; the student learns them from its teacher.

    Those of the validation split and of the dev splits are left out: the same texts, and texts of
    three words or more that one of these contains (`lada.data.contained.Containment`), as the
    validation split takes sentences with their phrases.

    Args:
        path: see `lada.data.texts.read_texts`.
        data: the labelled examples of the task.
        text: column of the text, or of the first text.
        pair: column of the second text; None for a task of one text.
        layout: of the file.
        probabilities: column of what another model says of them, see
            `lada.data.probabilities.given_outputs`; a ``.txt`` file has none.

    Returns:
        Examples without labels: class -100, NaN, -1 as the tag of each word, or None as answers.

    Raises:
        LadaError: the file cannot be read or is malformed, the task is reranking or of another
            kind that has no texts without labels, or no text is left.
    """
    if data.train.groups is not None:
        raise LadaError(
            f"{KEY}={path}: is not used for rerankers, since its texts belong to no query. Set "
            f"{KEY}=null."
        )
    if data.kind not in ("single_label", "multi_label", "regression", "tokens", "spans"):
        raise LadaError(f"{KEY}={path}: is not used by task.kind={data.kind}. Set {KEY}=null.")
    more = {} if probabilities is None else by_key(PROBABILITIES, probabilities)
    chosen = not task_spec(data.task).columns
    texts, pairs, others, wheres = read_texts(path, KEY, text, pair, layout, more, chosen)
    given = None
    if probabilities is not None and others[0]:
        given = given_outputs(data.kind, others, wheres, probabilities, data.labels)
    found = Split("unlabeled", texts, pairs, no_labels(texts, data), given=given)
    fresh = np.flatnonzero(~_held_out(found, [data.validation, *data.dev.values()]))
    if not len(fresh):
        raise LadaError(
            f"{KEY}={path}: every text is in the validation or dev examples. Give other texts."
        )
    if left_out := len(found) - len(fresh):
        log.warning(
            "%s: %d of %d texts are also in the validation or dev examples and are left out",
            path,
            left_out,
            len(found),
        )
    log.info("%s: %d texts without labels join the training examples", path, len(fresh))
    return found.take(found.name, fresh)


def no_labels(texts: list[str], data: TaskData) -> Any:
    """The labels of texts that have none, see `lada.data.split.Split`."""
    if data.kind == "tokens":
        words = [split_words(text) for text in texts]
        return [[spans, [NO_TAG] * len(spans)] for spans in words]
    if data.kind == "spans":
        return [None] * len(texts)
    if data.kind == "single_label":
        return np.full(len(texts), NO_LABEL, dtype=np.int64)
    shape = (len(texts), *data.train.labels.shape[1:])
    return np.full(shape, np.nan, dtype=np.float32)


def _held_out(found: Split, held: list[Split]) -> NDArray[np.bool_]:
    """Of each text whether one of the other examples is, or contains, the same, (texts,)."""
    known = {framed(split, number) for split in held for number in range(len(split))}
    out = np.array([framed(found, number) in known for number in range(len(found))])
    if found.pairs is not None:
        return out
    outer = [text for split in held for text in split.texts]
    texts = Containment([*outer, *found.texts])
    within = texts.within(np.unique(texts.sequence[: len(outer)]))
    phrases = np.zeros(len(texts.words), dtype=np.bool_)
    phrases[np.unique(texts.sequence[: len(outer)])] = True  # the same words
    for inner in within:
        phrases[[one for one in inner if texts.words[one] >= PHRASE]] = True
    return out | phrases[texts.sequence[len(outer) :]]
