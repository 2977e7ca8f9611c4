"""Examples of every kind of task, and outputs of better and worse models on them."""

import random
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import numpy as np
import torch
from heads.made import examples_of
from transformers import BertTokenizer

from lada.data.questions import encode_questions
from lada.data.split import Split
from lada.data.tokens import Encoded
from lada.data.windows import encode_words
from lada.heads import head_named
from lada.heads.base import Found, Head

TAGS = ("O", "B-LOC", "I-LOC", "B-PER", "I-PER")
PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdef", *(f"##{c}" for c in "abcdef")]
UNITS = 120


@dataclass(eq=False)
class Drawn:
    """A head, and the outputs of a model on the examples of a split."""

    head: Head
    outputs: Found
    examples: Encoded
    split: Split

    @cached_property
    def _score(self) -> dict[str, Any]:
        return self.head.score(self.outputs, self.examples, self.split)

    def score(self) -> dict[str, Any]:
        return deepcopy(self._score)

    def units(self) -> np.ndarray:
        return self.head.units(self.outputs, self.examples, self.split)


Chosen = np.ndarray
"""(units,): the units, with repetitions, that the examples consist of."""


def _noisy(values: np.ndarray, noise: float, seed: int) -> np.ndarray:
    return values + noise * np.random.default_rng(seed).normal(size=values.shape)


def _one_label(metric: str) -> Callable[[Chosen, float, int], Drawn]:
    def make(chosen: Chosen, noise: float, seed: int) -> Drawn:
        truth = np.random.default_rng(0).choice(3, UNITS, p=(0.5, 0.3, 0.2))
        logits = _noisy(np.eye(3)[truth], noise, seed)[chosen]
        head = head_named("single_label", ("a", "b", "c"), (metric, "macro_f1"))
        return Drawn(head, torch.from_numpy(logits).float(), *examples_of(truth[chosen]))

    return make


def _several_labels(metric: str) -> Callable[[Chosen, float, int], Drawn]:
    def make(chosen: Chosen, noise: float, seed: int) -> Drawn:
        draw = np.random.default_rng(0)
        truth = (draw.random((UNITS, 4)) < [0.5, 0.3, 0.2, 0.1]).astype(np.float32)
        logits = _noisy(2 * truth - 1, noise, seed)[chosen]
        others = ("micro_f1", "macro_f1", "average_precision")
        head = head_named("multi_label", tuple("abcd"), tuple(dict.fromkeys((metric, *others))))
        return Drawn(head, torch.from_numpy(logits).float(), *examples_of(truth[chosen]))

    return make


def _numbers(*metrics: str) -> Callable[[Chosen, float, int], Drawn]:
    def make(chosen: Chosen, noise: float, seed: int) -> Drawn:
        truth = 4 * np.random.default_rng(0).random(UNITS).astype(np.float32)
        given = torch.from_numpy(_noisy(truth, noise, seed)[chosen]).float()
        head = head_named("regression", ("score",), metrics)
        return Drawn(head, given[:, None], *examples_of(truth[chosen]))

    return make


def _queries(chosen: Chosen, noise: float, seed: int) -> Drawn:
    """Five passages of each query, one or two of them relevant."""
    truth = np.zeros((UNITS, 5), np.float32)
    truth[np.arange(UNITS), np.arange(UNITS) % 5] = 1
    truth[::2, 2] = 1
    given = torch.from_numpy(_noisy(truth, noise, seed)[chosen].ravel()).float()
    head = head_named("regression", ("score",), ("map", "mrr_10", "ndcg_10"))
    groups = np.repeat(np.arange(len(chosen)), 5)
    return Drawn(head, given[:, None], *examples_of(truth[chosen].ravel(), groups))


def _vectors(chosen: Chosen, noise: float, seed: int) -> Drawn:
    truth = 4 * np.random.default_rng(0).random(UNITS).astype(np.float32)
    angles = 1 - _noisy(truth, noise, seed)[chosen] / 8
    first = np.repeat([[1.0, 0.0]], len(chosen), 0)
    outputs = np.concatenate([first, np.stack([np.cos(angles), np.sin(angles)], 1)])
    names = [str(number) for number in range(len(chosen))]
    empty = np.zeros(0, np.int32)
    examples = Encoded(empty, np.zeros(2 * len(chosen) + 1, np.int64), empty, empty)
    split = Split("dev", names, names, truth[chosen])
    return Drawn(head_named("embedding"), torch.from_numpy(outputs).float(), examples, split)


def _tags(chosen: Chosen, noise: float, seed: int) -> Drawn:
    draw = random.Random(0)
    texts, labels = [], []
    for _ in range(UNITS):
        words = ["".join(draw.choices("abcdef", k=draw.randint(1, 4))) for _ in range(6)]
        starts = np.cumsum([0, *(len(word) + 1 for word in words[:-1])]).tolist()
        texts.append(" ".join(words))
        spans = [(start, start + len(word)) for start, word in zip(starts, words, strict=True)]
        labels.append([spans, draw.choices(range(len(TAGS)), (6, 2, 1, 2, 1), k=6)])
    of_words = _noisy(np.eye(len(TAGS))[[tags for _, tags in labels]], noise, seed)
    split = Split("dev", [texts[n] for n in chosen], None, [labels[n] for n in chosen])
    pieces = BertTokenizer(vocab={piece: number for number, piece in enumerate(PIECES)})
    examples = encode_words(split, pieces, 64)  # a window has a whole text
    assert examples.words is not None
    outputs = []
    for place, number in enumerate(chosen):
        words = examples.words[examples.starts[place] : examples.starts[place + 1]]
        tokens = np.zeros((len(words), len(TAGS)))
        tokens[words >= 0] = of_words[number][words[words >= 0]]
        outputs.append(torch.from_numpy(tokens).float())
    return Drawn(head_named("tokens", TAGS), outputs, examples, split)


def _answers(*metrics: str) -> Callable[[Chosen, float, int], Drawn]:
    def make(chosen: Chosen, noise: float, seed: int) -> Drawn:
        draw = random.Random(0)
        contexts, answers = [], []
        for _ in range(UNITS):
            words = ["".join(draw.choices("abcdef", k=draw.randint(1, 4))) for _ in range(6)]
            first, last = sorted(draw.choices(range(6), k=2))
            contexts.append(" ".join(words))
            start = len(" ".join([*words[:first], ""]))
            answers.append([(start, " ".join(words[first : last + 1]))])
        split = Split(
            "dev",
            ["a"] * len(chosen),
            [contexts[n] for n in chosen],
            [answers[n] for n in chosen],
        )
        pieces = BertTokenizer(vocab={piece: number for number, piece in enumerate(PIECES)})
        examples = encode_questions(split, pieces, 64)  # a window has a whole context
        outputs = []
        for number, length, label in zip(chosen, examples.lengths, examples.labels, strict=True):
            logits = np.zeros((int(length), 2))
            logits[label, (0, 1)] = 1
            logits = _noisy(logits, noise, 1000 * seed + int(number))
            outputs.append(torch.from_numpy(logits).float())
        return Drawn(head_named("spans", metrics=metrics), outputs, examples, split)

    return make


CASES: dict[str, Callable[[Chosen, float, int], Drawn]] = {
    "single_label, accuracy": _one_label("accuracy"),
    "single_label, mcc": _one_label("mcc"),
    "multi_label, micro_f1": _several_labels("micro_f1"),
    "multi_label, macro_f1": _several_labels("macro_f1"),
    "regression, pearson": _numbers("pearson", "spearman"),
    "regression, spearman": _numbers("spearman", "pearson"),
    "regression, map": _queries,
    "tokens, entity_f1": _tags,
    "spans, exact_match": _answers("exact_match", "answer_f1"),
    "spans, answer_f1": _answers("answer_f1", "exact_match"),
    "embedding, spearman": _vectors,
}
"""By kind and deciding metric. Arguments: the units, the noise of the outputs, and its seed."""


@cache
def whole(case: str, noise: float = 0.5, seed: int = 0) -> Drawn:
    """The outputs of a model on all units of a case."""
    return CASES[case](np.arange(UNITS), noise, seed)
