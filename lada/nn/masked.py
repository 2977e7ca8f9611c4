"""Layers with a pruned weight: plain pruning without factors."""

from types import MappingProxyType

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lada.nn.compressed import Compressed


class Masked(Compressed):
    """Base of `MaskedLinear` and `MaskedEmbedding`: ``weight`` (m, n) and its ``mask``."""

    kind = "masked"
    masks = MappingProxyType({"weight": "mask"})

    mask: Tensor

    def __init__(self, weight: Tensor):
        super().__init__()
        self.weight = nn.Parameter(weight)
        self.register_buffer("mask", torch.ones_like(weight, dtype=torch.bool))

    def product(self) -> Tensor:
        """The weight (m, n) itself."""
        return self.used("weight")

    def extra_repr(self) -> str:
        m, n = self.weight.shape
        return f"{m} x {n}, unpruned {self.kept}"


class MaskedLinear(Masked):
    """``y = x W^T + bias`` with a pruned W (m, n)."""

    def __init__(self, weight: Tensor, bias: Tensor | None):
        super().__init__(weight)
        self.bias = None if bias is None else nn.Parameter(bias)

    @classmethod
    def from_linear(cls, linear: nn.Linear) -> "MaskedLinear":
        """Copies of ``linear``'s weight and bias, nothing pruned."""
        bias = None if linear.bias is None else linear.bias.detach().clone()
        return cls(linear.weight.detach().clone(), bias)

    def forward(self, x: Tensor) -> Tensor:
        """X (..., n) -> (..., m)."""
        return F.linear(x, self.used("weight"), self.bias)


class MaskedEmbedding(Masked):
    """An embedding with a pruned weight (m, n)."""

    @classmethod
    def from_embedding(cls, embedding: nn.Embedding) -> "MaskedEmbedding":
        """A copy of ``embedding``'s weight, nothing pruned."""
        return cls(embedding.weight.detach().clone())

    def forward(self, ids: Tensor) -> Tensor:
        """Ids (...) int64 -> (..., n)."""
        return F.embedding(ids, self.used("weight"))
