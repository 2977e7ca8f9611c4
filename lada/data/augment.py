"""Changed copies of training texts: TinyBERT's data augmentation (arXiv 1909.10351).

Its Algorithm 1 replaces words by others that a masked language model finds likely in their place,
or whose GloVe vectors are nearest; its data are labelled as the original. Here

- copies have no label: the student learns them from its teacher alone;
- words are single tokens of letters. Other words stay, where the paper takes GloVe;
- the nearest are those of the teacher's own word embeddings;
- every copy has a changed word, if the text has one that can be;
- both texts of a pair are changed, where the authors' code changes one of them at a time;
- English stop words are changed as others, which that code leaves as they are.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lada.data.split import Split, TaskData, framed
from lada.data.unlabeled import no_labels

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

CANDIDATES, CHANCE = 15, 0.4
"""Words that may replace a word, and the chance that one does: K and p of the paper."""
CHUNK = 4096
"""Texts tokenized at a time, to bound memory."""
KINDS = ("single_label", "multi_label", "regression")
"""Of tasks whose texts may be changed: a label is of the whole text."""


@dataclass(frozen=True)
class Word:
    """A word of a text that is one token: characters [start, end), and the token's id."""

    start: int
    end: int
    token: int


Choose = Callable[[Sequence[str], list[list[Word]]], list[list[Sequence[str]]]]
"""From texts and their words to what each word may become, nothing where it stays."""


def whole_words(tokenizer: "PreTrainedTokenizerFast") -> dict[int, str]:
    """The tokens that are a word of letters within a text, and the words, by id."""
    special = set(tokenizer.all_special_ids)
    texts = {
        i: str(tokenizer.decode([i])).strip() for i in range(len(tokenizer)) if i not in special
    }
    texts = {i: text for i, text in texts.items() if text.isalpha()}
    # A word may be another token at the start of a text than within it.
    begin = tokenizer("a", add_special_tokens=False)["input_ids"]
    if not texts:
        return {}
    read = tokenizer([f"a {text}" for text in texts.values()], add_special_tokens=False)
    pairs = zip(texts.items(), read["input_ids"], strict=True)
    return {i: text for (i, text), found in pairs if found == [*begin, i]}


def words_of(
    texts: Sequence[str], tokenizer: "PreTrainedTokenizerFast", whole: dict[int, str]
) -> list[list[Word]]:
    """The words of each text that are a token of ``whole``."""
    out = []
    for begin in range(0, len(texts), CHUNK):
        part = list(texts[begin : begin + CHUNK])
        read = tokenizer(part, add_special_tokens=False, return_offsets_mapping=True)
        for number, text in enumerate(part):
            places = read.word_ids(number)
            found = zip(read["input_ids"][number], read["offset_mapping"][number], strict=True)
            words = []
            for place, (token, (start, end)) in enumerate(found):
                # Some tokenizers count the space before a word as a part of it.
                start += len(text[start:end]) - len(text[start:end].lstrip())
                alone = places[place] not in places[max(0, place - 1) : place]
                alone &= places[place] not in places[place + 1 : place + 2]
                if alone and token in whole and text[start:end].isalpha():
                    words.append(Word(start, end, token))
            out.append(words)
    return out


def changed_copies(
    data: TaskData,
    copies: int,
    seed: int,
    choose: Choose,
    words: Callable[[Sequence[str]], list[list[Word]]],
) -> Split:
    """Changed copies of every training example, without labels.

    A copy that is an example of the validation or dev splits is the original again, and so is one
    of texts of which no word can be changed.

    Args:
        data: of a kind of `KINDS`, without queries.
        copies: of each example: first one of each in order, then another.
        seed: of what is changed.
        choose: what each word may become.
        words: the words of each text that may be changed.
    """
    train = data.train
    rng = np.random.Generator(np.random.PCG64([seed, copies]))
    columns = [train.texts] if train.pairs is None else [train.texts, train.pairs]
    made: list[list[str]] = []
    for texts in columns:
        found = words(texts)
        known = list(zip(texts, found, choose(texts, found), strict=True))
        made.append([_changed(*one, rng) for _ in range(copies) for one in known])

    def split(texts: list[str], *pairs: list[str]) -> Split:
        return Split("augmented", texts, pairs[0] if pairs else None, no_labels(made[0], data))

    drawn = split(*made)
    held = {framed(s, n) for s in (data.validation, *data.dev.values()) for n in range(len(s))}
    again = [number for number in range(len(drawn)) if framed(drawn, number) in held]
    for column, texts in zip(made, columns, strict=True):
        for number in again:
            column[number] = texts[number % len(train)]
    return split(*made)


def count_changed(copies: Split, train: Split) -> int:
    """How many copies differ from their originals."""
    return sum(
        framed(copies, number) != framed(train, number % len(train))
        for number in range(len(copies))
    )


def _changed(
    text: str, words: list[Word], choices: list[Sequence[str]], rng: np.random.Generator
) -> str:
    known = [(word, choice) for word, choice in zip(words, choices, strict=True) if choice]
    if not known:
        return text
    chosen = rng.random(len(known)) < CHANCE
    if not chosen.any():
        chosen[rng.integers(len(known))] = True
    picks = rng.random(len(known))
    for (word, choice), use, pick in reversed(list(zip(known, chosen, picks, strict=True))):
        if use:
            text = text[: word.start] + choice[int(pick * len(choice))] + text[word.end :]
    return text
