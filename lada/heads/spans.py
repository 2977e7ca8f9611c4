"""The part of a context that answers a question."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lada.data.questions import encode_questions
from lada.data.split import Split
from lada.data.tokens import Encoded
from lada.heads.answers import Span
from lada.heads.base import Batch, Found, Head, Shown
from lada.ops.losses import cross_entropy, distillation, hidden_mse, soft_cross_entropy
from lada.ops.metrics.squad import answer_scores
from lada.ops.spans import best_span
from lada.report.bootstrap import Statistic, bootstrap_interval, ratio_of_sums
from lada.report.stats import wilson

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

LONGEST = 30
"""Most tokens of an answer that is given, as in BERT's code."""


@dataclass(frozen=True)
class Spans(Head):
    """Logits of start and end (batch, length, 2); labels are the tokens at which the answer starts
    and ends, (windows, 2) int64, or the first token, [CLS], for a window that lacks it.

    Losses are means over windows, and over start and end, of distributions over all tokens of a
    window but padding.

    Attributes:
        optional: whether the context may not answer the question, as in SQuAD 2. The first token
            then competes with the spans, with a threshold of 0 (BERT, arXiv 1810.04805, 4.3).
    """

    optional: bool = False

    name: ClassVar[str] = "spans"
    per_token: ClassVar[bool] = True

    @property
    def width(self) -> int:
        return 2

    def output(self, out: Any, batch: Batch) -> Tensor:
        return torch.stack([out.start_logits, out.end_logits], -1)

    def hard(self, student: Tensor, batch: Batch) -> Tensor:
        """Cross-entropy of start and end."""
        ours, mask = _rows(student), _mask(batch)
        return cross_entropy(ours, batch["labels"].flatten(), 2 * batch["totals"][0], mask)

    def soft(self, student: Tensor, teacher: Tensor, batch: Batch, temperature: float) -> Tensor:
        """See `lada.ops.losses.soft_cross_entropy`, of start and end."""
        ours, theirs, mask = _rows(student), _rows(teacher), _mask(batch)
        return soft_cross_entropy(ours, theirs, temperature, 2 * batch["totals"][0], mask)

    def softened(
        self, student: Tensor, teacher: Tensor, batch: Batch, temperature: float
    ) -> Tensor:
        """See `lada.ops.losses.distillation`, of start and end."""
        ours, theirs, mask = _rows(student), _rows(teacher), _mask(batch)
        return distillation(ours, theirs, temperature, 2 * batch["totals"][0], mask)

    def squared(self, student: Tensor, teacher: Tensor, batch: Batch) -> Tensor:
        """Mean squared error of the logits, over tokens, and over start and end."""
        return hidden_mse(student, teacher, batch["attention_mask"], batch["totals"][1])

    def windows(
        self, split: Split, tokenizer: "PreTrainedTokenizerFast", max_length: int
    ) -> Encoded:
        """See `lada.data.questions.encode_questions`."""
        return encode_questions(split, tokenizer, max_length)

    def score(self, outputs: Found, examples: Encoded, split: Split) -> dict[str, Any]:
        """Exact match and F1 as SQuAD's evaluation defines them, means over questions.

        Returns:
            ``rows``: questions; ``exact_match`` and ``answer_f1`` in [0, 1]; the deciding one's
            interval, Wilson's for exact match, by bootstrap over questions for F1; ``windows``: of
            all contexts.
        """
        each = self.units(outputs, examples, split)
        right = self.correct(each)
        if right is None:
            interval = bootstrap_interval(self.statistic(each), len(each), seed=0)
        else:
            interval = wilson(int(right.sum()), len(right))
        return {
            "rows": len(split),
            **dict(zip(self.kind.metrics, each.mean(0).tolist(), strict=True)),
            f"{self.deciding.name}_95": list(interval),
            "windows": len(examples),
        }

    def units(self, outputs: Found, examples: Encoded, split: Split) -> Any:
        """Exact match and F1 of each question, (questions, 2)."""
        found = self.spans(split, outputs, examples)
        scores = [
            answer_scores(span.text, [text for _, text in answers])
            for span, answers in zip(found, split.labels, strict=True)
        ]
        return np.array(scores, np.float64).reshape(-1, 2)

    def shown(self, outputs: Found, examples: Encoded, split: Split) -> list[Shown]:
        """The texts of the answer and of the first right one; right is an exact match."""
        units = self.units(outputs, examples, split)
        found = zip(self.spans(split, outputs, examples), split.labels, units, strict=True)
        return [
            Shown(span.text or "none", answers[0][1] if answers else "none", bool(each[0] > 0))
            for span, answers, each in found
        ]

    def statistic(self, units: NDArray[Any]) -> Statistic:
        """Exact match, or F1 where that decides."""
        values = units[:, self.kind.metrics.index(self.deciding.name)]
        return ratio_of_sums(values, np.ones_like(values))

    def correct(self, units: NDArray[Any]) -> NDArray[np.bool_] | None:
        """Which questions have an exact match; None where F1 decides."""
        if self.deciding.name != "exact_match":
            return None
        right: NDArray[np.bool_] = units[:, 0] > 0
        return right

    def decided(self, outputs: Tensor, real: Tensor) -> Tensor:
        """The most probable start and end, (windows, 2)."""
        return outputs.masked_fill(~real[..., None], -torch.inf).argmax(1)

    def answers(self, outputs: Tensor) -> list[Any]:
        """Not possible from outputs alone: see `spans`.

        Raises:
            TypeError: always.
        """
        raise TypeError("the answers of kind spans need the contexts")

    def spans(self, split: Split, outputs: Found, examples: Encoded) -> list[Span]:
        """The answer to each question: of all its windows, the span with the largest logits.

        Args:
            split: questions and contexts, whose answers do not count.
            outputs: of their windows.
            examples: the windows.

        Returns:
            Spans of up to `LONGEST` tokens. One without text: there is no answer, if `optional`
            says that this may be; or the context has no tokens.
        """
        assert examples.offsets is not None and examples.source is not None
        assert split.pairs is not None
        best: dict[int, tuple[float, Span]] = {}
        none: dict[int, tuple[float, Span]] = {}
        for window, logits in enumerate(outputs):
            question = int(examples.source[window])
            offsets = examples.offsets[examples.starts[window] : examples.starts[window + 1]]
            empty = float(logits[0].sum())
            # As in the evaluation of BERT, the window that is most sure of an answer decides.
            if question not in none or empty < none[question][0]:
                none[question] = empty, Span("", 0, 0, _probability(logits, 0, 0))
            context = np.flatnonzero(offsets[:, 0] >= 0)
            if not len(context):
                continue
            begin = int(context[0])
            first, last, sure = best_span(logits[begin : int(context[-1]) + 1], LONGEST)
            if question not in best or sure > best[question][0]:
                one, other = begin + first, begin + last
                start, end = int(offsets[one, 0]), int(offsets[other, 1])
                probability = _probability(logits, one, other)
                best[question] = sure, _span(split.pairs[question], start, end, probability)
        return [self._chosen(best.get(number), none[number]) for number in range(len(split))]

    def _chosen(self, best: tuple[float, Span] | None, none: tuple[float, Span]) -> Span:
        if best is None:
            return replace(none[1], probability=0.0)
        return none[1] if self.optional and none[0] > best[0] else best[1]

    def about(self) -> dict[str, Any]:
        return {"optional": self.optional}

    def restored(self, about: Mapping[str, Any]) -> "Spans":
        return replace(self, optional=about.get("optional", False))

    def fitted(self, train: Split) -> "Spans":
        """Whether a question has no answer."""
        return replace(self, optional=not all(train.labels))


def _rows(outputs: Tensor) -> Tensor:
    """The logits of start and end of each window: (windows, length, 2) -> (2 windows, length)."""
    return outputs.transpose(1, 2).flatten(0, 1)


def _mask(batch: Batch) -> Tensor:
    """Of the same rows: (2 windows, length)."""
    return batch["attention_mask"].repeat_interleave(2, 0)


def _probability(logits: Tensor, first: int, last: int) -> float:
    both = logits.float().softmax(0)
    return float(both[first, 0] * both[last, 1])


def _span(context: str, start: int, end: int, probability: float) -> Span:
    """These characters without the whitespace around them, which some tokens have."""
    text = context[start:end]
    start += len(text) - len(text.lstrip())
    return Span(text.strip(), start, start + len(text.strip()), probability)
