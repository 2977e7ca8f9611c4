"""Layers whose mask is learnt, and whose weight is not: Static Model Pruning, arXiv 2210.06210.

Every entry of a weight has a score, a parameter. The entries with the highest scores are kept, and
the mask follows the scores before each optimizer step, so that a pruned entry may come back with
its value. A forward pass computes with the pruned weight W = M * W_0. The gradient goes straight
through the mask: dL/dS = dL/dW * W_0, for pruned entries too.

The file of a student has the pruned weights alone, as of `lada.nn.masked`.
"""

import re
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from lada.errors import LadaError
from lada.nn.compressed import compressed_layers
from lada.nn.masked import Masked, MaskedEmbedding, MaskedLinear
from lada.ops.bits import straight_through
from lada.ops.mask import apportioned, largest
from lada.ops.plan import MaskShare, Share
from lada.ops.scored import mean_probability

TIE = 1e-3
"""The largest score before the training, that of the largest entry of a matrix. An optimizer step
changes a score by many times as much, so that this decides between equal scores only."""

EPS = 1e-8
"""Adam's epsilon for scores, as the authors': gradients of scores are as small as 1e-7."""


class _ThroughMask(torch.autograd.Function):
    """The pruned weight, as a function of the scores."""

    @staticmethod
    def forward(ctx: Any, scores: Tensor, pruned: Tensor, whole: Tensor) -> Tensor:
        ctx.save_for_backward(whole)
        return pruned.view_as(pruned)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (whole,) = ctx.saved_tensors
        return gradient * whole, None, None


class Scored(Masked):
    """Base of `ScoredLinear` and `ScoredEmbedding`.

    ``weight`` (m, n) is the pruned one and is not trained; the parameter ``scores`` (m, n) is; the
    buffer ``whole`` (m, n) has the weight as it was, and is in no checkpoint, since students are
    built from the same teacher again.

    Attributes:
        rate: learning rate of the scores over that of other parameters.
    """

    whole: Tensor
    rate = 1.0

    def __init__(self, weight: Tensor, *args: Any):
        super().__init__(weight, *args)
        self.register_buffer("whole", weight.detach().clone(), persistent=False)
        largest_entry = weight.detach().abs().max().clamp_min(torch.finfo(weight.dtype).tiny)
        self.scores = nn.Parameter(TIE * weight.detach().abs() / largest_entry)
        self.requires_grad_(False)
        self.scores.requires_grad_(True)

    def used(self, name: str) -> Tensor:
        """The pruned weight, whose gradient is that of the scores; in few bits, if there are."""
        part: Tensor = _ThroughMask.apply(self.scores, self.weight, self.whole)
        if self.bits is None:
            return part
        mask = self.mask if self.masked else None
        return straight_through(part, self.bits, 0, mask, self._groups[name])

    @torch.no_grad()
    def set_masks_(self, *masks: Tensor) -> None:
        """As of any compressed layer; entries that come back have their values again."""
        self.weight.copy_(self.whole)
        super().set_masks_(*masks)


class ScoredLinear(Scored, MaskedLinear):
    """``y = x (M * W_0)^T + bias``, of which the scores behind M are trained."""


class ScoredEmbedding(Scored, MaskedEmbedding):
    """An embedding of weight ``M * W_0``, of which the scores behind M are trained."""


def score_(model: nn.Module, names: Iterable[str], rate: float) -> None:
    """Replace each named Linear or Embedding by a scored one, in place; nothing is pruned yet.

    All other parameters of the model are frozen.

    Args:
        rate: learning rate of the scores over that of other parameters.

    Raises:
        LadaError: a named layer is neither.
    """
    model.requires_grad_(False)
    for name in names:
        layer = model.get_submodule(name)
        new: Scored
        if isinstance(layer, nn.Embedding):
            new = ScoredEmbedding.from_embedding(layer)  # type: ignore[assignment]
        elif isinstance(layer, nn.Linear):
            new = ScoredLinear.from_linear(layer)  # type: ignore[assignment]
        else:
            raise LadaError(f"model: {name} is a {type(layer).__name__}, not Linear or Embedding")
        new.rate = rate
        model.set_submodule(name, new)


def scored_layers(model: nn.Module) -> dict[str, Scored]:
    """The scored layers of a model by name, in the model's order."""
    return {n: layer for n, layer in compressed_layers(model).items() if isinstance(layer, Scored)}


def score_groups(model: nn.Module, lr: float) -> list[dict[str, Any]]:
    """Groups of an optimizer's parameters: the scores, at their own rate and without decay.

    Args:
        lr: learning rate of other parameters.
    """
    groups: dict[float, list[nn.Parameter]] = {}
    for layer in scored_layers(model).values():
        groups.setdefault(layer.rate, []).append(layer.scores)
    return [
        {"params": scores, "lr": lr * rate, "weight_decay": 0.0, "eps": EPS}
        for rate, scores in groups.items()
    ]


@torch.no_grad()
def follow_scores_(
    model: nn.Module, shares: Iterable[Share | MaskShare], *, proportional: bool
) -> None:
    """Set the masks to the entries with the highest scores, in place.

    Args:
        shares: how many entries each layer keeps, of the plan's round.
        proportional: whether the matrices of one kind, such as the queries of all layers, share
            what they keep together in proportion to `lada.ops.scored.mean_probability` (the source:
            SMP-S); else each keeps its own count (SMP-L).
    """
    layers = scored_layers(model)
    kinds: dict[str, list[Share | MaskShare]] = {}
    for share in shares:
        kinds.setdefault(kind_of(share.name), []).append(share)
    for found in kinds.values():
        counts = [share.kept for share in found]
        if proportional and len(found) > 1:
            scores = [layers[share.name].scores for share in found]
            sizes = [matrix.numel() for matrix in scores]
            means = torch.stack([mean_probability(matrix) for matrix in scores]).tolist()
            wanted = [mean * size for mean, size in zip(means, sizes, strict=True)]
            counts = apportioned(wanted, sum(counts), [1] * len(sizes), sizes)
        for share, count in zip(found, counts, strict=True):
            layer = layers[share.name]
            layer.set_masks_(largest(layer.scores, count))


def kind_of(name: str) -> str:
    """What a matrix is, whatever its layer.

    Example:
        >>> kind_of("bert.encoder.layer.3.attention.self.query")
        'bert.encoder.layer.*.attention.self.query'
    """
    return re.sub(r"\.\d+\.", ".*.", name)
