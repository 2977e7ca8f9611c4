"""A tag per word: named entities, parts of speech."""

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from lada.data.batches import NO_LABEL
from lada.data.split import Split
from lada.data.tokens import Encoded
from lada.data.windows import encode_words, tags_of_words
from lada.heads.answers import Entities, Entity
from lada.heads.base import Batch, Found, Head, Shown
from lada.ops.losses import cross_entropy, distillation, logits_mse, soft_cross_entropy
from lada.ops.metrics.entities import Counts, count_entities, entities, rates
from lada.report.bootstrap import Statistic, bootstrap_interval, ratio_of_sums

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

OUTSIDE = "O"


class Tokens(Head):
    """Logits (batch, length, tags); the first token of each word has its tag, others have -100.

    A word without a tag has -1: it learns from the teacher alone.

    Losses are means over words. Tokens inside words, special tokens and padding learn nothing from
    the labels or the teacher's predictions, since their outputs are not used.
    """

    name: ClassVar[str] = "tokens"
    per_token: ClassVar[bool] = True

    def hard(self, student: Tensor, batch: Batch) -> Tensor:
        """Cross-entropy of the words' first tokens."""
        chosen = batch["labels"] >= 0
        return cross_entropy(student[chosen], batch["labels"][chosen], batch["targets"])

    def soft(self, student: Tensor, teacher: Tensor, batch: Batch, temperature: float) -> Tensor:
        """See `lada.ops.losses.soft_cross_entropy`, of the words' first tokens."""
        chosen = batch["labels"] != NO_LABEL
        return soft_cross_entropy(student[chosen], teacher[chosen], temperature, batch["targets"])

    def softened(
        self, student: Tensor, teacher: Tensor, batch: Batch, temperature: float
    ) -> Tensor:
        """See `lada.ops.losses.distillation`, of the words' first tokens."""
        chosen = batch["labels"] != NO_LABEL
        return distillation(student[chosen], teacher[chosen], temperature, batch["targets"])

    def squared(self, student: Tensor, teacher: Tensor, batch: Batch) -> Tensor:
        """See `lada.ops.losses.logits_mse`, of the words' first tokens."""
        chosen = batch["labels"] != NO_LABEL
        return logits_mse(student[chosen], teacher[chosen], batch["targets"])

    def windows(
        self, split: Split, tokenizer: "PreTrainedTokenizerFast", max_length: int
    ) -> Encoded:
        """See `lada.data.windows.encode_words`."""
        return encode_words(split, tokenizer, max_length)

    def score(self, outputs: Found, examples: Encoded, split: Split) -> dict[str, Any]:
        """Entity F1 as conlleval counts it, and token accuracy.

        Returns:
            ``rows``: texts; ``entity_f1``, its interval by bootstrap over texts,
            ``entity_precision``, ``entity_recall``; ``token_accuracy`` over words; ``types``: by
            type of entity its ``precision``, ``recall``, ``f1`` and how many there are
            (``entities``).
        """
        predicted = self._tags(outputs, examples, split)
        found = self._counts(predicted, split)
        by_type: dict[str, Counts] = {}
        for counted in found:
            for kind, counts in counted.items():
                before = by_type.get(kind, Counts(0, 0, 0))
                by_type[kind] = Counts(*(a + b for a, b in zip(before, counts, strict=True)))
        right = sum(
            int((given == np.asarray(tags)).sum())
            for (_, tags), given in zip(split.labels, predicted, strict=True)
        )
        words = sum(len(tags) for _, tags in split.labels)
        each = _summed(found)
        micro = rates(Counts(*each.sum(0).tolist()))
        interval = bootstrap_interval(self.statistic(each), len(each), seed=0)
        return {
            "rows": len(split),
            "entity_f1": micro["f1"],
            "entity_f1_95": list(interval),
            "entity_precision": micro["precision"],
            "entity_recall": micro["recall"],
            "token_accuracy": right / max(1, words),
            "types": {
                kind: {**rates(counts), "entities": counts.true}
                for kind, counts in sorted(by_type.items())
            },
        }

    def units(self, outputs: Found, examples: Encoded, split: Split) -> Any:
        """Of each text how many entities are right, predicted, true: (texts, 3)."""
        return _summed(self._counts(self._tags(outputs, examples, split), split))

    def statistic(self, units: NDArray[Any]) -> Statistic:
        """Entity F1."""
        right, predicted, true = units.astype(np.int64).T
        return ratio_of_sums(2 * right, predicted + true)

    def answers(self, outputs: Tensor) -> list[Any]:
        """Not possible from outputs alone: see `entities`.

        Raises:
            TypeError: always.
        """
        raise TypeError("the answers of kind tokens need the texts")

    def shown(self, outputs: Found, examples: Encoded, split: Split) -> list[Shown]:
        """All entities of each text: "Ada (PER), Paris (LOC)"."""
        found = []
        given = self._tags(outputs, examples, split)
        for text, (words, tags), predicted in zip(split.texts, split.labels, given, strict=True):
            ours, theirs = (entities(self._named(ids)) for ids in (predicted, tags))
            said = [
                ", ".join(
                    f"{text[words[first][0] : words[last - 1][1]]} ({kind})"
                    for kind, first, last in parts
                )
                for parts in (ours, theirs)
            ]
            found.append(Shown(said[0] or "none", said[1] or "none", ours == theirs))
        return found

    def confidences(
        self, outputs: Found, examples: Encoded, split: Split
    ) -> tuple[NDArray[Any], NDArray[Any]]:
        """The probability of the tag of each word."""
        given = [one.double().softmax(-1).numpy() for one in outputs]
        counts = [len(words) for words, _ in split.labels]
        words = np.concatenate(tags_of_words(given, examples, counts, self._outside))
        truth = np.concatenate([np.asarray(tags, np.int64) for _, tags in split.labels])
        return words.max(-1), words.argmax(-1) == truth

    def entities(self, split: Split, outputs: Found, examples: Encoded) -> list[Entities]:
        """The entities of each text.

        Args:
            split: the texts, with their words, whose tags do not count.
            outputs: of their windows.
            examples: the windows.
        """
        given = [one.softmax(-1).numpy() for one in outputs]
        counts = [len(words) for words, _ in split.labels]
        found = []
        for text, (words, _), each in zip(
            split.texts,
            split.labels,
            tags_of_words(given, examples, counts, self._outside),
            strict=True,
        ):
            parts = []
            for kind, first, last in entities(self._named(each.argmax(-1))):
                start, end = words[first][0], words[last - 1][1]
                sure = float(each[first:last].max(-1).mean())
                parts.append(Entity(text[start:end], start, end, kind, sure))
            found.append(Entities(tuple(parts)))
        return found

    @property
    def _outside(self) -> int:
        return self.labels.index(OUTSIDE) if OUTSIDE in self.labels else 0

    def _counts(self, predicted: list[NDArray[np.int64]], split: Split) -> list[dict[str, Counts]]:
        """By text and type of entity."""
        return [
            count_entities(self._named(tags), self._named(given))
            for (_, tags), given in zip(split.labels, predicted, strict=True)
        ]

    def _named(self, ids: Any) -> list[str]:
        return [self.labels[number] for number in ids]

    def _tags(self, outputs: Found, examples: Encoded, split: Split) -> list[NDArray[np.int64]]:
        """The tag of each word of each text, as ids."""
        given = [one.numpy() for one in outputs]
        counts = [len(words) for words, _ in split.labels]
        words = tags_of_words(given, examples, counts, self._outside)
        return [found.argmax(-1) for found in words]


def _summed(found: list[dict[str, Counts]]) -> NDArray[np.int64]:
    """Counts of each text, over the types: (texts, 3)."""
    rows = [
        [sum(counts[place] for counts in each.values()) for place in range(3)] for each in found
    ]
    return np.array(rows, np.int64).reshape(-1, 3)
