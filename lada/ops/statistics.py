"""What a model's layers see of some examples: what factorizers and scores use besides weights."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor


@dataclass(frozen=True)
class Seen:
    """What one matrix (m, n) sees.

    Attributes:
        second: the mean of ``x x^T`` over its inputs x, (n, n); None: not known.
        counts: of word embeddings: how often each row was looked up, (m,); None: not known.
        gradients: of each row: the mean over examples of its squared gradient, by the loss of the
            example, summed over the row, (m,); None: not known.
    """

    second: Tensor | None = None
    counts: Tensor | None = None
    gradients: Tensor | None = None

    def input_sizes(self) -> Tensor | None:
        """The root mean square of each input, (n,)."""
        return None if self.second is None else self.second.diagonal().clamp_min(0).sqrt()

    def row_sizes(self) -> Tensor | None:
        """The root of each row's count, (m,).

        Rows that were never looked up count as if once, and all others once more: other texts have
        them.
        """
        return None if self.counts is None else (self.counts.float() + 1).sqrt()

    def row_gradients(self) -> Tensor | None:
        """The squared gradients of each row, (m,), not negative.

        Rows of word embeddings count as if looked up once more, with the mean of a look-up: other
        texts have those that had none.

        Example:
            >>> seen = Seen(counts=torch.tensor([3, 1, 0]), gradients=torch.tensor([7.0, 1.0, 0.0]))
            >>> seen.row_gradients().tolist()
            [9.0, 3.0, 2.0]
        """
        if self.gradients is None or self.counts is None:
            return self.gradients
        return self.gradients + self.gradients.sum() / self.counts.sum().clamp_min(1)


NOTHING = Seen()
"""Of a matrix of which nothing is known."""


@dataclass(frozen=True)
class Statistics:
    """What the layers of a model see of some examples.

    Attributes:
        layers: by the name of the layer.
        examples: how many examples it is of.
        tokens: how many tokens they have, without padding.
    """

    layers: Mapping[str, Seen] = field(default_factory=dict)
    examples: int = 0
    tokens: int = 0

    def of(self, name: str, device: torch.device | None = None) -> Seen:
        """What the layer of this name sees, its tensors on ``device``."""
        seen = self.layers.get(name, NOTHING)
        parts = seen.second, seen.counts, seen.gradients
        return Seen(*(x if x is None else x.to(device) for x in parts))

    def of_tokens(self, kept: Tensor) -> "Statistics":
        """The same, where the word embeddings have these rows alone.

        Args:
            kept: numbers of rows, in their new order, (kept,) int64.

        Example:
            >>> seen = Statistics({"words": Seen(counts=torch.tensor([4, 0, 2]))})
            >>> seen.of_tokens(torch.tensor([0, 2])).of("words").counts.tolist()
            [4, 2]
        """
        layers = dict(self.layers)
        for name, seen in self.layers.items():
            if seen.counts is not None:
                gradients = None if seen.gradients is None else seen.gradients[kept]
                layers[name] = replace(seen, counts=seen.counts[kept], gradients=gradients)
        return replace(self, layers=layers)
