"""Tokens of questions with contexts that may be longer than a model takes: windows that overlap.

Each window has the question and a part of the context, as in BERT (Devlin et al., arXiv
1810.04805).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerFast

from lada.data.batches import NO_LABEL
from lada.data.split import Split
from lada.data.tokens import Encoded, check_room, gives_types
from lada.data.windows import OVERLAP

_CHUNK = 1024
"""Questions tokenized at a time, to bound the memory of the lists that the tokenizer returns."""


def encode_questions(split: Split, tokenizer: PreTrainedTokenizerFast, max_length: int) -> Encoded:
    """Tokenize questions and their contexts, in windows.

    A question is truncated to half of the room, so that the rest is the context's.

    Args:
        split: ``texts`` are the questions, ``pairs`` their contexts, ``labels`` their answers.
        max_length: most tokens of a window, special tokens included.

    Returns:
        Labels (windows, 2): the first and the last token of the first answer; the first token of
        the window, twice, where the window does not have the whole answer or there is none; -100,
        twice, where it is not known (None in place of the answers).
        ``source`` names the question of each window, and ``offsets`` the characters of each token
        of the context.

    Raises:
        LadaError: ``max_length`` leaves no room for text.
    """
    assert split.pairs is not None
    check_room(tokenizer, max_length, pairs=True)
    room = max_length - tokenizer.num_special_tokens_to_add(pair=True)
    ids: list[NDArray[np.int32]] = []
    offsets: list[NDArray[np.int32]] = []
    first, source, labels = list[int](), list[int](), list[tuple[int, int]]()
    for begin in range(0, len(split), _CHUNK):
        end = begin + _CHUNK
        found = tokenizer(
            _truncated(split.texts[begin:end], tokenizer, room // 2),
            list(split.pairs[begin:end]),
            truncation="only_second",
            max_length=max_length,
            stride=room // OVERLAP,
            return_overflowing_tokens=True,
            return_offsets_mapping=True,
            return_token_type_ids=True,
            return_attention_mask=False,
        )
        for window, question in enumerate(found["overflow_to_sample_mapping"]):
            of_context = np.array([part == 1 for part in found.sequence_ids(window)])
            places = np.array(found["offset_mapping"][window], np.int32)
            places[~of_context] = -1
            ids.append(np.array(found["input_ids"][window], np.int32))
            offsets.append(places)
            source.append(begin + question)
            answers = split.labels[begin + question]
            labels.append((NO_LABEL, NO_LABEL) if answers is None else span_of(places, answers))
            types = found["token_type_ids"][window]
            first.append(types.count(0) if gives_types(tokenizer) else len(types))
    tokenizer.backend_tokenizer.no_truncation()  # it would be saved with it
    lengths = np.array([len(each) for each in ids], np.int64)
    return Encoded(
        ids=np.concatenate(ids),
        starts=np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)]),
        first=np.array(first, np.int32),
        labels=np.array(labels, np.int64),
        source=np.array(source, np.int64),
        offsets=np.concatenate(offsets),
    )


def span_of(offsets: NDArray[np.int32], answers: Sequence[tuple[int, str]]) -> tuple[int, int]:
    """The first and the last token of the first answer in a window; (0, 0): it has no whole one.

    Args:
        offsets: the characters [start, end) of each token of the context, (length, 2); -1 for
            other tokens.
        answers: start and text of each; none: there is no answer.

    Example:
        >>> offsets = np.array([[-1, -1], [-1, -1], [0, 3], [4, 8], [8, 9], [-1, -1]])
        >>> span_of(offsets, [(4, "left")]), span_of(offsets, [(4, "left.  Ada")])
        ((3, 3), (0, 0))
    """
    if not answers:
        return 0, 0
    start, end = answers[0][0], answers[0][0] + len(answers[0][1])
    context = np.flatnonzero(offsets[:, 0] >= 0)
    inside = np.flatnonzero((offsets[:, 0] < end) & (offsets[:, 1] > start))
    if not len(inside):
        return 0, 0
    one, last = int(inside[0]), int(inside[-1])
    # At the edges of the window the answer may go on beyond it.
    cut_before = one == context[0] and offsets[one, 0] > start
    cut_after = last == context[-1] and offsets[last, 1] < end
    return (0, 0) if cut_before or cut_after else (one, last)


def _truncated(
    questions: Sequence[str], tokenizer: PreTrainedTokenizerFast, most: int
) -> list[str]:
    """The questions, each cut to at most so many tokens."""
    found = []
    tokenizer.backend_tokenizer.no_truncation()  # left by an earlier call
    for question in questions:
        tokens = tokenizer.backend_tokenizer.encode(question, add_special_tokens=False)
        while len(tokens.ids) > most:
            # The beginning of a text may have other tokens than the text has: it is counted anew.
            shorter = question[: tokens.offsets[most - 1][1]]
            question = shorter if len(shorter) < len(question) else question[:-1]
            tokens = tokenizer.backend_tokenizer.encode(question, add_special_tokens=False)
        found.append(question)
    return found
