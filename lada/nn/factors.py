"""Layers whose weight is a product of two factors with masks: LadaBERT Eq. 5.

``W = (M_A * A)(M_B * B)^T`` with A (m, r) and B (n, r). Masked entries are zero in the factors
themselves. Rank is lowered by narrowing to the first ``rank`` columns; the others are zero. A layer
computes with its active columns only.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lada.nn.compressed import Compressed
from lada.ops.factorize import EVEN, Weights, refactorize, weighted_factors

LOWERINGS = ("truncate", "refactorize")


class Factors(Compressed):
    """Base of `FactorizedLinear` and `FactorizedEmbedding`: two factors, masks, active rank.

    Parameters ``factor_a`` (m, R) and ``factor_b`` (n, R); bool buffers ``mask_a``, ``mask_b`` of
    the same shapes; int64 buffer ``active_rank`` (). All are in the state_dict, so a strict load
    restores rank and masks too.
    """

    kind = "factors"
    masks = MappingProxyType({"factor_a": "mask_a", "factor_b": "mask_b"})

    active_rank: Tensor
    mask_a: Tensor
    mask_b: Tensor

    def __init__(self, factor_a: Tensor, factor_b: Tensor):
        super().__init__()
        self.factor_a = nn.Parameter(factor_a)
        self.factor_b = nn.Parameter(factor_b)
        self.register_buffer("mask_a", torch.ones_like(factor_a, dtype=torch.bool))
        self.register_buffer("mask_b", torch.ones_like(factor_b, dtype=torch.bool))
        self.register_buffer("active_rank", torch.tensor(factor_a.shape[1]))
        # The same number as a Python int, since reading the buffer waits for the device.
        self.rank = factor_a.shape[1]

    def active(self, name: str) -> Tensor:
        """The first ``rank`` columns; the others have no gradient and no optimizer state."""
        return super().active(name)[:, : self.rank]

    def form(self) -> dict[str, Any]:
        """Kind and rank."""
        return {"kind": self.kind, "rank": self.rank}

    def _load_from_state_dict(
        self, state_dict: Mapping[str, Any], prefix: str, *args: Any, **kwargs: Any
    ) -> None:
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)
        self.rank = int(self.active_rank)
        self._update_masked()

    def product(self) -> Tensor:
        """``A B^T`` (m, n)."""
        return self.used("factor_a") @ self.used("factor_b").T

    @torch.no_grad()
    def lower_rank_(self, rank: int, how: str, weights: Weights = EVEN) -> None:
        """Lower the rank to ``rank`` in place, by ``how``:

        - ``truncate``: remove the trailing columns. Masks of the others do not change.
        - ``refactorize``: a new SVD of the current product. All values change; masks become dense
          within the rank and must be set again.

        Does nothing if ``rank`` is the current one.

        Args:
            weights: of the errors of ``refactorize``, see `lada.ops.factorize.weighted_factors`.

        Raises:
            ValueError: ``rank`` is above the current one or below 1, or ``how`` is unknown.
        """
        if not 1 <= rank <= self.rank:
            raise ValueError(f"rank {rank} is outside 1..{self.rank}")
        if how not in LOWERINGS:
            raise ValueError(f"lowering {how!r} is not one of {', '.join(LOWERINGS)}")
        if rank == self.rank:
            return
        if how == "refactorize":
            now = self.factor_a[:, : self.rank], self.factor_b[:, : self.rank]
            a, b = refactorize(*now, rank, weights)
            self.factor_a[:, :rank] = a
            self.factor_b[:, :rank] = b
            self.mask_a[:, :rank] = True
            self.mask_b[:, :rank] = True
        self.factor_a[:, rank:] = 0.0
        self.factor_b[:, rank:] = 0.0
        self.mask_a[:, rank:] = False
        self.mask_b[:, rank:] = False
        self.active_rank.fill_(rank)
        self.rank = rank
        self._update_masked()

    @torch.no_grad()
    def take_from_rank_zero_(self) -> None:
        """Copy parameters, masks and rank from process 0 of the default process group."""
        torch.distributed.broadcast(self.active_rank, 0)
        self.rank = int(self.active_rank)
        super().take_from_rank_zero_()

    def extra_repr(self) -> str:
        m, n = self.factor_a.shape[0], self.factor_b.shape[0]
        return f"{m} x {n}, rank {self.rank}, unpruned {self.kept}"


class FactorizedLinear(Factors):
    """``y = (x B) A^T + bias``: a Linear of weight ``A B^T``, as two thin products."""

    def __init__(self, factor_a: Tensor, factor_b: Tensor, bias: Tensor | None):
        super().__init__(factor_a, factor_b)
        self.bias = None if bias is None else nn.Parameter(bias)

    @classmethod
    def from_linear(
        cls, linear: nn.Linear, rank: int, weights: Weights = EVEN
    ) -> "FactorizedLinear":
        """Factors of ``linear.weight`` (m, n) at ``rank``; the bias is copied.

        Args:
            weights: of the errors, see `lada.ops.factorize.weighted_factors`.
        """
        bias = None if linear.bias is None else linear.bias.detach().clone()
        return cls(*weighted_factors(linear.weight, rank, weights), bias)

    @property
    def in_features(self) -> int:
        return int(self.factor_b.shape[0])

    @property
    def out_features(self) -> int:
        return int(self.factor_a.shape[0])

    def forward(self, x: Tensor) -> Tensor:
        """X (..., n) -> (..., m)."""
        thin = F.linear(x, self.used("factor_b").T)
        return F.linear(thin, self.used("factor_a"), self.bias)


class FactorizedEmbedding(Factors):
    """An embedding of weight ``A B^T``: looks up rows of A, then multiplies by B^T.

    The full weight (vocabulary, width) is never formed.
    """

    @classmethod
    def from_embedding(
        cls, embedding: nn.Embedding, rank: int, weights: Weights = EVEN
    ) -> "FactorizedEmbedding":
        """Factors of ``embedding.weight`` (vocabulary, width) at ``rank``, as of a Linear."""
        return cls(*weighted_factors(embedding.weight, rank, weights))

    @property
    def num_embeddings(self) -> int:
        return int(self.factor_a.shape[0])

    @property
    def embedding_dim(self) -> int:
        return int(self.factor_b.shape[0])

    def forward(self, ids: Tensor) -> Tensor:
        """Ids (...) int64 -> (..., width)."""
        if self.bits is None:  # of all columns: a copy of the active ones would take longer
            rows = F.embedding(ids, self.factor_a)[..., : self.rank]
        else:
            rows = F.embedding(ids, self.used("factor_a"))
        return F.linear(rows, self.used("factor_b"))
