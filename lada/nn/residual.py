"""Layers whose weight is a product of two factors plus a sparse residual: ``A B^T + S``.

Form: Li et al. 2023, "LoSparse: Structured Compression of Large Language Models based on Low-Rank
and Sparse Approximation", arXiv 2306.11222, Eq. 5. Factors and residual have separate masks.

No built-in method makes them: pruned factors of the same size have smaller errors
(experiments/ablation). Files may have them, since version 1.1 of the format.
"""

from types import MappingProxyType
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lada.nn.factors import FactorizedEmbedding, FactorizedLinear, Factors
from lada.ops.factorize import EVEN, Weights, weighted_factors


class Residual(Factors):
    """Base of `ResidualLinear` and `ResidualEmbedding`: two factors and a residual (m, n)."""

    kind = "residual"
    masks = MappingProxyType({**Factors.masks, "rest": "mask_rest"})

    mask_rest: Tensor

    def __init__(self, factor_a: Tensor, factor_b: Tensor, rest: Tensor, *args: Any):
        super().__init__(factor_a, factor_b, *args)
        self.rest = nn.Parameter(rest)
        self.register_buffer("mask_rest", torch.ones_like(rest, dtype=torch.bool))

    def active(self, name: str) -> Tensor:
        """All of the residual, and the first ``rank`` columns of a factor."""
        if name in ("rest", "mask_rest"):
            tensor: Tensor = getattr(self, name)
            return tensor
        return super().active(name)

    def product(self) -> Tensor:
        """``A B^T + S`` (m, n)."""
        return super().product() + self.used("rest")


def _split(weight: Tensor, rank: int, weights: Weights) -> tuple[Tensor, Tensor, Tensor]:
    """Factors, and the residual: together they are the weight, at any rank."""
    a, b = weighted_factors(weight, rank, weights)
    return a, b, weight.detach() - a @ b.T


class ResidualLinear(Residual, FactorizedLinear):
    """``y = (x B) A^T + x S^T + bias``."""

    @classmethod
    def from_linear(cls, linear: nn.Linear, rank: int, weights: Weights = EVEN) -> "ResidualLinear":
        """Factors of the weight (m, n) at ``rank``, a dense residual; the bias is copied."""
        bias = None if linear.bias is None else linear.bias.detach().clone()
        return cls(*_split(linear.weight, rank, weights), bias)

    def forward(self, x: Tensor) -> Tensor:
        """X (..., n) -> (..., m)."""
        return super().forward(x) + F.linear(x, self.used("rest"))


class ResidualEmbedding(Residual, FactorizedEmbedding):
    """An embedding of weight ``A B^T + S``: looks up A and S; the weight is never formed."""

    @classmethod
    def from_embedding(
        cls, embedding: nn.Embedding, rank: int, weights: Weights = EVEN
    ) -> "ResidualEmbedding":
        """Factors of the weight at ``rank``, and a dense residual."""
        return cls(*_split(embedding.weight, rank, weights))

    def forward(self, ids: Tensor) -> Tensor:
        """Ids (...) int64 -> (..., n)."""
        return super().forward(ids) + F.embedding(ids, self.used("rest"))
