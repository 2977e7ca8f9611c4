"""Answers to the texts of a file, in batches, in the order of its lines."""

import sys
from collections.abc import Iterable, Iterator
from typing import Any

from lada.artifact import Classifier, InputError
from lada.data.lines import Bad, Item, Row

BATCH = 32
"""Texts per forward pass."""
CHARACTERS = 2**21
"""About the most characters of a batch, so that long lines do not fill the memory."""


def answered(
    classifier: Classifier, items: Iterable[tuple[int, Item]]
) -> Iterator[tuple[int, Any | Bad]]:
    """The answer to each item with its number, in order; an invalid item stays `Bad`.

    Standard output is flushed after each batch, so that a reader need not wait for the end.
    """
    pairs = classifier.pairs
    batch: list[tuple[int, Item]] = []
    size = 0
    for number, item in items:
        if not isinstance(item, Bad):
            pairs = item[1] is not None if pairs is None else pairs
            item = _checked(classifier, item, pairs)
            size += 0 if isinstance(item, Bad) else len(item[0]) + len(item[1] or "")
        batch.append((number, item))
        if len(batch) == BATCH or size > CHARACTERS:
            yield from _answers(classifier, batch)
            sys.stdout.flush()
            batch, size = [], 0
    yield from _answers(classifier, batch)


def _checked(classifier: Classifier, row: Row, pairs: bool) -> Item:
    try:
        classifier.check(row, pairs)
    except InputError as error:
        return Bad(str(error))
    return row


def _answers(
    classifier: Classifier, batch: list[tuple[int, Item]]
) -> Iterator[tuple[int, Any | Bad]]:
    rows = [item for _, item in batch if not isinstance(item, Bad)]
    texts = [text if pair is None else (text, pair) for text, pair in rows]
    answers = iter(classifier.classify(texts, batch_size=BATCH) if texts else [])
    for number, item in batch:
        yield number, item if isinstance(item, Bad) else next(answers)
