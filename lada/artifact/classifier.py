"""A loaded artifact: model, tokenizer and label names together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel


@dataclass(frozen=True)
class Answer:
    """A label and its probability."""

    label: str
    probability: float


class Classifier:
    """Answers text. ``model`` is a torch module, in eval mode, on the CPU.

    >>> classifier = lada.load("outputs/.../artifact")          # doctest: +SKIP
    >>> classifier("the soup was not bad at all")                # doctest: +SKIP
    Answer(label='positive', probability=0.97)
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: Any,
        labels: tuple[str, ...],
        about: dict[str, Any],
    ):
        self.model = model
        self.tokenizer = tokenizer
        self.labels = labels
        self.about = about

    def __call__(self, text: str, text_pair: str | None = None) -> Answer:
        """The most probable label of one text, or of a pair of texts."""
        return self.classify([text], None if text_pair is None else [text_pair])[0]

    def tokens(
        self, texts: Sequence[str], pairs: Sequence[str] | None = None
    ) -> Mapping[str, Tensor]:
        """The model's input for texts (or pairs), padded to the longest: (rows, length) int64."""
        found: Mapping[str, Tensor] = self.tokenizer(
            list(texts),
            None if pairs is None else list(pairs),
            truncation=True,
            max_length=self.about.get("max_length", self.model.config.max_position_embeddings),
            padding=True,
            return_tensors="pt",
        )
        # Not all tokenizers give types: a model takes them as zeros then, and so it was trained.
        return {"token_type_ids": torch.zeros_like(found["input_ids"]), **found}

    @torch.no_grad()
    def classify(
        self, texts: Sequence[str], pairs: Sequence[str] | None = None, batch_size: int = 32
    ) -> list[Answer]:
        """The most probable label of each text (or pair), in order.

        Raises:
            ValueError: texts and pairs differ in number.
        """
        if pairs is not None and len(pairs) != len(texts):
            raise ValueError(f"{len(texts)} texts but {len(pairs)} pairs")
        answers: list[Answer] = []
        for start in range(0, len(texts), batch_size):
            part = slice(start, start + batch_size)
            batch = self.tokens(texts[part], None if pairs is None else pairs[part])
            probs = self.model(**batch).logits.softmax(-1)
            best = probs.max(-1)
            for p, i in zip(best.values.tolist(), best.indices.tolist(), strict=True):
                answers.append(Answer(self.labels[i], p))
        return answers
