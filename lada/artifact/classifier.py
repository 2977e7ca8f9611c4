"""A loaded artifact: model, tokenizer and label names."""

from collections.abc import Iterable, Mapping, Sequence, Set
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel

from lada.artifact.longtext import shorten
from lada.data.batches import collate
from lada.data.split import Split
from lada.data.tagged import split_words
from lada.data.tokens import Encoded
from lada.errors import LadaError
from lada.heads import head_named, kind_for
from lada.heads.answers import Answer, Entities, Span
from lada.heads.kinds import KINDS
from lada.heads.spans import Spans
from lada.heads.tokens import Tokens
from lada.nn.autos import auto_of
from lada.nn.capture import forward, takes_types
from lada.nn.families import usable_positions

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

__all__ = ["Answer", "Classifier", "InputError"]

Text = str | tuple[str, str]
"""One example: a text, or a pair of texts."""


class InputError(LadaError, ValueError):
    """The input of a `Classifier` is not a text, a pair or a list of them."""


class Classifier:
    """Answers texts: by a label, or by what else the artifact is for (`lada.heads.answers`).

    ``model`` is a torch module, in eval mode, on the CPU. A pair of texts is a tuple,
    ``classifier(("a", "b"))`` or ``classifier("a", "b")``. A list is a batch, of texts or of
    pairs, and gets a list of answers in the same order.

    Example:
        >>> classifier = lada.load(result.artifact)
        >>> classifier("what a lovely soup").label
        'good'
        >>> [answer.label for answer in classifier([dev[0]["text"], dev[-1]["text"]])]
        ['good', 'bad']
        >>> 0.5 < classifier("what a great soup").probability <= 1
        True

    Attributes:
        head: the kind of its task, with what it has chosen, such as thresholds.
        pairs: whether it was trained on pairs of texts; None if its folder does not say, as in
            earlier versions: then both are accepted.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: "PreTrainedTokenizerFast",
        labels: tuple[str, ...],
        about: dict[str, Any],
    ):
        self.model = model
        self.tokenizer = tokenizer
        kind = about.get("kind", kind_for(auto_of(model), model.config))
        self.labels = labels if KINDS[kind].labelled else ()
        self.about = about
        self.head = head_named(kind, self.labels).restored(about)
        self.pairs: bool | None = about.get("pairs", getattr(model.config, "pairs", None))

    def __call__(self, text: Text | Iterable[Text], text_pair: str | None = None) -> Any:
        """The answer to a text or a pair, such as its most probable label; for a list, a list.

        Raises:
            InputError: (a `LadaError` and a ValueError) as `classify`.
        """
        if text_pair is not None:
            if not isinstance(text, str) or not isinstance(text_pair, str):
                raise InputError(
                    "text_pair: it needs one text, and both must be strings. Give a list of pairs "
                    "as tuples (text, text_pair)."
                )
            return self.classify([(text, text_pair)])[0]
        if isinstance(text, str | tuple):
            return self.classify([text])[0]
        return self.classify(text)

    def tokens(
        self, texts: Sequence[str], pairs: Sequence[str] | None = None
    ) -> Mapping[str, Tensor]:
        """The model's input for texts (or pairs), padded to the longest: (texts, length) int64."""
        longest = self.about.get("max_length", usable_positions(self.model.config))
        both = texts if pairs is None else pairs
        rows = [
            shorten(self.tokenizer, text, None if pairs is None else pair, longest)
            for text, pair in zip(texts, both, strict=True)
        ]
        found: Mapping[str, Tensor] = self.tokenizer(
            [text for text, _ in rows],
            None if pairs is None else [pair for _, pair in rows],
            truncation=True,
            max_length=longest,
            padding=True,
            return_tensors="pt",
        )
        if not takes_types(self.model):
            return {name: found[name] for name in ("input_ids", "attention_mask")}
        # Not all tokenizers return types: the model was then trained with zeros.
        return {"token_type_ids": torch.zeros_like(found["input_ids"]), **found}

    @torch.no_grad()
    def classify(
        self, texts: Iterable[Text], pairs: Iterable[str] | None = None, batch_size: int = 32
    ) -> list[Any]:
        """The answer to each text (or pair), in order.

        Args:
            texts: strings, or tuples (text, text_pair).
            pairs: the second texts, where ``texts`` holds the first ones.
            batch_size: texts per forward pass.

        Raises:
            InputError: (a `LadaError` and a ValueError) a string, a pair or something else in place
                of a list, an empty list, an element that is neither a string nor a tuple of two,
                texts and pairs that differ in number, pairs for a model of single texts, or single
                texts for a model of pairs.
        """
        rows = self._rows(texts, pairs)
        if batch_size < 1:
            raise InputError(f"batch_size={batch_size}: it must be positive. Give 1 or more.")
        if isinstance(self.head, Tokens):
            return self._entities([text for text, _ in rows], batch_size)
        if isinstance(self.head, Spans):
            return self._spans(rows, batch_size)
        answers: list[Any] = []
        for start in range(0, len(rows), batch_size):
            part = rows[start : start + batch_size]
            seconds = [pair for _, pair in part if pair is not None]
            batch = dict(self.tokens([text for text, _ in part], seconds or None))
            found = self.head.output(self.model(**batch), batch)
            answers += self.head.answers(found)
        return answers

    def _entities(self, texts: list[str], batch_size: int) -> list[Entities]:
        """The entities of texts of any length, by windows."""
        assert isinstance(self.head, Tokens)
        words = [split_words(text) for text in texts]
        split = Split("texts", texts, None, [[found, [0] * len(found)] for found in words])
        return self.head.entities(split, *self._windowed(split, batch_size))

    def _spans(self, rows: list[tuple[str, str | None]], batch_size: int) -> list[Span]:
        """The answers of contexts of any length to questions, by windows."""
        assert isinstance(self.head, Spans)
        questions, contexts = [text for text, _ in rows], [pair or "" for _, pair in rows]
        split = Split("texts", questions, contexts, [[] for _ in rows])
        return self.head.spans(split, *self._windowed(split, batch_size))

    def _windowed(self, split: Split, batch_size: int) -> tuple[list[Tensor], Encoded]:
        """The outputs of each window of texts, (length, width), and the windows."""
        longest = self.about.get("max_length", usable_positions(self.model.config))
        windows = self.head.windows(split, self.tokenizer, longest)
        outputs: list[Tensor] = []
        for start in range(0, len(windows), batch_size):
            index = np.arange(start, min(start + batch_size, len(windows)))
            batch = collate(windows, index, self.tokenizer.pad_token_id)
            found = forward(self.model, batch, output=self.head.output).logits
            lengths = windows.lengths[index].tolist()
            outputs += [one[:n] for one, n in zip(found, lengths, strict=True)]
        return outputs, windows

    def _rows(
        self, texts: Iterable[Text], pairs: Iterable[str] | None
    ) -> list[tuple[str, str | None]]:
        """(text, None) of each text, or (text, text_pair) of each pair, all of one kind."""
        given: list[Any] = _listed(texts, "texts")
        if pairs is not None:
            seconds = _listed(pairs, "pairs")
            if len(seconds) != len(given):
                raise InputError(
                    f"pairs: there are {len(seconds)} for {len(given)} texts. Give one per text."
                )
            given = list(zip(given, seconds, strict=True))
        if not given:
            raise InputError("texts: is an empty list. Give at least one text.")
        rows = []
        for place, item in enumerate(given):
            try:
                rows.append(_row(item))
                self.check(
                    rows[-1], self.pairs if self.pairs is not None else rows[0][1] is not None
                )
            except InputError as error:
                raise InputError(f"texts[{place}]: {error}") from None
        return rows

    def check(self, row: tuple[str, str | None], pairs: bool) -> None:
        """Reject a text (text, None) or a pair that cannot be classified.

        Args:
            pairs: whether a pair is wanted.

        Raises:
            InputError: it is a single text where a pair is wanted, or the reverse; it holds half of
                a character.
        """
        if (row[1] is not None) != pairs:
            found, many = (
                ("a single text", "pairs") if pairs else ("a pair of texts", "single texts")
            )
            why = "the first is not" if self.pairs is None else f"the model was trained on {many}"
            wanted = "two texts, as (text, text_pair)" if pairs else "one text"
            raise InputError(f"is {found}, but {why}. Give {wanted}.")
        for part in row:
            try:
                (part or "").encode()
            except UnicodeEncodeError:
                raise InputError(
                    "holds half of a character (a lone surrogate). Delete it."
                ) from None


def _listed(given: Any, name: str) -> list[Any]:
    if isinstance(given, str | bytes):
        raise InputError(f"{name}: is one string, not a list. Give a list of texts.")
    if isinstance(given, tuple):
        raise InputError(f"{name}: is a tuple, which is one pair. Give a list of texts or pairs.")
    if isinstance(given, Mapping | Set) or not isinstance(given, Iterable):
        raise InputError(f"{name}: is {_kind(given)}, not a list. Give a list of texts.")
    return list(given)


def _row(item: Any) -> tuple[str, str | None]:
    if isinstance(item, tuple):
        if len(item) != 2:
            raise InputError(f"is a tuple of {len(item)}. Give (text, text_pair).")
        text, pair = item
    else:
        text, pair = item, ""
    for part in (text, pair):
        if not isinstance(part, str):
            raise InputError(
                f"is {_kind(part)}, not a string. Give a string, or a tuple (text, text_pair)."
            )
    return text, pair if isinstance(item, tuple) else None


def _kind(value: Any) -> str:
    return "None" if value is None else f"of type {type(value).__name__}"
