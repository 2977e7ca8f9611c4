"""Whether the data, the model and the method of a run fit each other."""

import logging
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lada.config import Config
from lada.data.augment import KINDS as AUGMENTED
from lada.data.split import TaskData
from lada.data.tokens import Encoded, gives_types, unknown_share
from lada.errors import LadaError
from lada.heads.base import Head
from lada.heads.embedding import Embedding
from lada.heads.regression import Regression
from lada.nn.pretrained import classes_of
from lada.nn.sentences import sigmoid_of, vectors_of
from lada.run.words import load_masked

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

log = logging.getLogger("lada")

MANY_UNKNOWN, ALMOST_ALL_UNKNOWN = 0.2, 0.9
"""Shares of unknown tokens in the training texts. From the first on a run warns; from the second on
it is rejected, since its tokenizer cannot be that of its texts or its model."""


def check_taught(config: Config) -> None:
    """Reject what is learned beside labels where nothing is learned from a teacher."""
    given = {
        f"task.{key}": getattr(config.task, key) for key in ("unlabeled_file", "probabilities")
    }
    for key, value in {**given, "data.augment": config.data.augment or None}.items():
        if value is not None and not config.method.make(config.context).taught:
            raise LadaError(
                f"{key}={value}: is not used, since method={config.method.name} does not "
                "learn from a teacher. Leave it out, or choose a method that does, such as lada."
            )


def check_copies(config: Config, data: TaskData) -> None:
    """Reject changed copies of training examples where they cannot be made or learned."""
    count = config.data.augment
    if not count:
        return
    start = f"data.augment={count}: "
    if data.kind in ("tokens", "spans"):
        raise LadaError(
            f"{start}is not for task.kind={data.kind}, whose labels are of words: they would shift "
            "with them. Leave it out."
        )
    if data.kind not in AUGMENTED or data.train.groups is not None:
        what = f"task.kind={data.kind}" if data.train.groups is None else "rerankers"
        raise LadaError(f"{start}is not for {what}. Leave it out.")
    if config.method.trims_tokens:
        raise LadaError(
            f"{start}brings words that no training text has, and method.vocabulary=trim drops "
            "their tokens. Leave one of them out."
        )
    if config.data.mlm is not None:
        load_masked(Path(config.data.mlm))  # what is wrong with it is told before training


def as_published(head: Head, folder: Path | None, key: str) -> Head:
    """The head with what a sentence-transformers folder says of its model's output."""
    if isinstance(head, Embedding):
        return replace(head, **vectors_of(folder, key))
    if isinstance(head, Regression) and key == "teacher.path":
        return replace(head, sigmoid=sigmoid_of(folder, key))
    return head


def check_scores(head: Head, data: TaskData, folder: Path | None) -> None:
    """Reject labels that a sigmoid cannot give, where it is learned from them alone."""
    if isinstance(head, Regression) and head.squashes and not head.binary:
        labels = data.train.labels
        if labels.min() < 0 or labels.max() > 1:
            raise LadaError(
                f"teacher.path={folder}: its scores are sigmoids, and the labels are from "
                f"{labels.min():g} to {labels.max():g}. Give labels from 0 to 1, or a method that "
                "learns from the teacher, such as lada."
            )


def check_given(head: Head, data: TaskData) -> None:
    """Reject numbers of another model that no sigmoid gives, where those of the task are such."""
    if not (isinstance(head, Regression) and head.squashes):
        return
    for split in (data.train, data.unlabeled):
        if split is None or split.given is None:
            continue
        given = split.given[~np.isnan(split.given)]
        if given.size and (given.min() < 0 or given.max() > 1):
            raise LadaError(
                f"task.probabilities: has numbers from {given.min():g} to {given.max():g}, and "
                "those of this task are sigmoids. Give numbers from 0 to 1: 1 / (1 + exp(-x)) of "
                "a logit x."
            )


def with_classes_of(folder: Path, data: TaskData, problem: str | None) -> TaskData:
    """Give a task whose labels are numbers the class names of its teacher."""
    fit = classes_of(folder, data.labels, problem=problem)
    if fit.by_ids:
        found = [f"{a} is {b}" for a, b in zip(data.labels, fit.labels, strict=True)]
        log.warning(
            "teacher.path=%s: labels are taken as its class ids: %s", folder, ", ".join(found[:20])
        )
    if fit.by_position:
        found = [f"output {a} is {b}" for a, b in zip(fit.order, fit.labels, strict=True)]
        log.warning(
            "teacher.path=%s: its config.json does not name its classes, so they are taken by "
            "position: %s",
            folder,
            ", ".join(found[:20]),
        )
    return replace(data, labels=fit.labels)


def check_tokens(
    rows: Encoded,
    tokenizer: "PreTrainedTokenizerFast",
    data: TaskData,
    base: Path | None,
    method: str,
) -> None:
    """Check that not too many tokens of the training texts are unknown."""
    pairs = data.train.pairs is not None
    share = unknown_share(rows, tokenizer, pairs=pairs)
    line = (
        f"{base}: {100 * share:.0f} % of the tokens of the training texts are unknown to its "
        "tokenizer"
    )
    if share >= ALMOST_ALL_UNKNOWN:
        raise LadaError(
            f"{line}. Give a folder with the tokenizer of its model, for texts of this language."
        )
    if share >= MANY_UNKNOWN:
        log.warning(line)
    if pairs and method == "bilstm" and not gives_types(tokenizer):
        raise LadaError(
            f"method=bilstm: the tokenizer of {base} has no token types, which mark the two texts "
            "of a pair. Choose another method."
        )
