"""Tokens of texts that may be longer than a model takes: windows that overlap.

For kinds of tasks whose outputs are per token. A text has one window where it fits, else several;
each word belongs to the window in which it is farthest from both ends, so that it has context.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerFast

from lada.data.batches import NO_LABEL
from lada.data.split import Split
from lada.data.tokens import Encoded, check_room, gives_types

Words = Sequence[tuple[int, int]]
"""The characters [start, end) of each word of a text."""

OVERLAP = 4
"""A window has this part of its length in common with the next one."""


def encode_words(split: Split, tokenizer: PreTrainedTokenizerFast, max_length: int) -> Encoded:
    """Tokenize texts whose words have tags, in windows.

    Args:
        split: ``labels`` has the words and tags of each text.
        max_length: most tokens of a window, special tokens included.

    Returns:
        Labels per token: the tag of a word at the first token of it, in the word's own window; -100
        elsewhere. ``source`` names the text of each window, and ``words`` the word (its number in
        the text) at each token with a label, -1 elsewhere.

    Raises:
        LadaError: ``max_length`` leaves no room for text.
    """
    check_room(tokenizer, max_length, pairs=False)
    special = tokenizer.num_special_tokens_to_add()
    found = tokenizer(
        list(split.texts),
        truncation=True,
        max_length=max_length,
        stride=(max_length - special) // OVERLAP,
        return_overflowing_tokens=True,
        return_offsets_mapping=True,
        return_token_type_ids=True,
        return_attention_mask=False,
    )
    tokenizer.backend_tokenizer.no_truncation()  # it would be saved with it
    source = np.asarray(found["overflow_to_sample_mapping"], np.int64)
    lengths = np.array([len(ids) for ids in found["input_ids"]], np.int64)
    starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
    words = np.full(int(starts[-1]), -1, np.int32)
    homes: dict[tuple[int, int], tuple[int, int]] = {}  # (text, word) -> (distance, place)
    for window, offsets in enumerate(found["offset_mapping"]):
        text = int(source[window])
        for token, word in first_tokens(offsets, split.labels[text][0]):
            distance = min(token, len(offsets) - 1 - token)
            place = int(starts[window]) + token
            if (text, word) not in homes or distance > homes[text, word][0]:
                homes[text, word] = distance, place
    labels = np.full(len(words), NO_LABEL, np.int64)
    for (text, word), (_, place) in homes.items():
        words[place] = word
        labels[place] = split.labels[text][1][word]
    types = found["token_type_ids"] if gives_types(tokenizer) else None
    first = lengths if types is None else np.array([each.count(0) for each in types])
    return Encoded(
        ids=np.concatenate([np.asarray(ids, np.int32) for ids in found["input_ids"]]),
        starts=starts,
        first=first.astype(np.int32),
        labels=labels,
        source=source,
        words=words,
        token_labels=True,
    )


def first_tokens(offsets: Sequence[tuple[int, int]], words: Words) -> list[tuple[int, int]]:
    """The first token of each word that has one, as (token, word), in order.

    A token is of a word if they have a character in common: byte-level tokens may have the space
    before a word too.

    Args:
        offsets: the characters [start, end) of each token; empty for special tokens.

    Example:
        >>> first_tokens([(0, 0), (0, 3), (3, 6), (0, 0)], [(0, 2), (2, 5), (5, 6)])
        [(1, 0), (1, 1), (2, 2)]
    """
    found, word = [], 0
    seen = next((start for start, end in offsets if start < end), 0)
    for token, (start, end) in enumerate(offsets):
        if start == end:
            continue
        while word < len(words) and words[word][1] <= start:
            word += 1
        while word < len(words) and words[word][0] < end:
            if words[word][0] >= seen:  # else its first token was in this window already, or before
                found.append((token, word))
            if words[word][1] > end:
                break
            word += 1
        seen = end
    return found


def tags_of_words(
    outputs: Sequence[NDArray[np.float32]], examples: Encoded, counts: Sequence[int], empty: int
) -> list[NDArray[np.float32]]:
    """Outputs of words from those of tokens.

    Args:
        outputs: (length, width) of each window.
        examples: the windows.
        counts: words of each text.
        empty: the output that a word without a token has as its largest: that of "O".

    Returns:
        (words, width) for each text.
    """
    assert examples.words is not None and examples.source is not None
    width = outputs[0].shape[-1]
    found = []
    for count in counts:
        none = np.zeros((count, width), np.float32)
        none[:, empty] = 1.0
        found.append(none)
    for window, given in enumerate(outputs):
        words = examples.words[examples.starts[window] : examples.starts[window + 1]]
        for token in np.flatnonzero(words >= 0):
            found[int(examples.source[window])][int(words[token])] = given[token]
    return found
