"""Linear layers that are pruned by whole rows or columns: the units of `lada.ops.units`."""

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from lada.nn.families import family_of, layers_of
from lada.nn.masked import MaskedLinear
from lada.ops.units import UnitGroup, choose_units, size_of_heads, smoothed

SCORED: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"qk": ("weight", "bias"), "vo": ("weight",), "ffn": ("weight",)}
)
"""The parameters of a group's first matrix whose ``w dL/dw`` make its importance, by its kind."""


class UnitLinear(MaskedLinear):
    """``y = x W^T + bias`` with a W (m, n) whose rows or columns are pruned as a whole.

    It is stored as a `MaskedLinear`, with zeros in the biases of pruned rows. One of the two
    matrices of each group of units has the group's ``importance`` (units,), a buffer in fp32.

    Args:
        axis: 0: rows are pruned; 1: columns.
        scored: the parameters whose ``w dL/dw`` make the importance; none: it has no importance.
        heads: that the units are split over, for `lada.ops.units.size_of_heads`; 0: none.
        alpha: see there.
    """

    importance: Tensor | None

    def __init__(
        self,
        weight: Tensor,
        bias: Tensor | None,
        axis: int,
        scored: Sequence[str] = (),
        heads: int = 0,
        alpha: float = 0.0,
    ):
        super().__init__(weight, bias)
        self.axis = axis
        self.scored = tuple(part for part in scored if part != "bias" or bias is not None)
        self._heads = heads
        self._alpha = alpha
        empty = torch.zeros(weight.shape[axis], device=weight.device) if scored else None
        self.register_buffer("importance", empty)

    @property
    def units(self) -> Tensor:
        """Which units are not pruned: (units,) bool."""
        return self.mask.any(1 - self.axis)

    def set_units_(self, kept: Tensor) -> None:
        """Prune all but these units, (units,) bool, and forget the importance of the others.

        The biases of pruned rows become zero. They stay so without a mask: both lines of the unit
        are zero, so that their gradients are, once an optimizer has no moments for them.
        """
        shape = (-1, 1) if self.axis == 0 else (1, -1)
        self.set_masks_(kept.view(shape).expand_as(self.mask))
        if self.axis == 0 and self.bias is not None:
            self.bias.data.mul_(kept)
        if self.importance is not None:
            self.importance.mul_(kept)

    def square_sums(self) -> Tensor:
        """Of the rows or columns, (units,) fp32."""
        return self.weight.detach().float().square().sum(1 - self.axis)

    @torch.no_grad()
    def remember_(self, gradients: Mapping[str, Tensor | None], finite: Tensor) -> None:
        """Take the gradients of an optimizer step into the importance.

        Args:
            gradients: by parameter; None: zero.
            finite: () bool, whether the step is made.
        """
        assert self.importance is not None
        product = torch.zeros_like(self.importance)
        for part in self.scored:
            if (gradient := gradients[part]) is not None:
                change = (getattr(self, part) * gradient).to(product)
                product += change if part == "bias" else change.sum(1 - self.axis)
        if self._heads:
            product *= size_of_heads(self.units, self._heads, self._alpha)
        found = smoothed(self.importance, product)
        torch.where(finite, found, self.importance, out=self.importance)

    @torch.no_grad()
    def take_from_rank_zero_(self) -> None:
        """Copy parameters, masks and importance from process 0 of the default process group."""
        super().take_from_rank_zero_()
        if self.importance is not None:
            torch.distributed.broadcast(self.importance, 0)


def unit_groups(model: PreTrainedModel) -> list[UnitGroup]:
    """The units of a dense model, layer by layer; a layer that is applied again counts once."""
    row = family_of(model.config)
    found = []
    for name in _layers(model):
        query, key, value, output = (f"{name}.{path}" for path in row.attention)
        up, down = f"{name}.{row.up}", f"{name}.{row.down}"
        for kind, first, second, axis in (
            ("qk", query, key, 0),
            ("vo", output, value, 1),
            ("ffn", down, up, 1),
        ):
            linear: Any = model.get_submodule(first)
            shape = linear.weight.shape
            matrices = (first, axis), (second, 0)
            found.append(UnitGroup(kind, matrices, shape[axis], shape[1 - axis]))
    return found


def _layers(model: PreTrainedModel) -> Iterator[str]:
    """Names of the modules that have an attention and a feed-forward block."""
    row, place = family_of(model.config), layers_of(model)
    for name, _ in model.get_submodule(place).named_modules(prefix=place):
        try:
            for path in (*row.attention, row.up, row.down):
                model.get_submodule(f"{name}.{path}")
        except AttributeError:
            continue
        yield name


def units_(model: PreTrainedModel, groups: Sequence[UnitGroup], alpha: float) -> None:
    """Replace the matrices of groups by `UnitLinear` layers, in place; nothing is pruned yet.

    The first matrix of each group has the importance.
    """
    for group in groups:
        for place, (name, axis) in enumerate(group.matrices):
            linear = model.get_submodule(name)
            assert isinstance(linear, nn.Linear)
            bias = None if linear.bias is None else linear.bias.detach().clone()
            weight = linear.weight.detach().clone()
            parts = SCORED[group.kind] if place == 0 else ()
            heads = model.config.num_attention_heads if group.kind == "vo" else 0
            model.set_submodule(name, UnitLinear(weight, bias, axis, parts, heads, alpha))


def prune_units_(model: nn.Module, groups: Sequence[UnitGroup], heads: int, keep: int) -> None:
    """Prune all but ``keep`` units of a model in place, see `lada.ops.units.choose_units`.

    Scores are the importance; while no gradient was seen, square sums of the lines that have one.
    """
    layers: list[list[Any]] = [
        [model.get_submodule(name) for name, _ in group.matrices] for group in groups
    ]
    scored = [first for first, _ in layers]
    seen = any(bool(layer.importance.any()) for layer in scored)
    scores = [
        (layer.importance if seen else layer.square_sums()).masked_fill(~layer.units, -torch.inf)
        for layer in scored
    ]
    pairs = [(place, place + 1) for place, group in enumerate(groups) if group.kind == "qk"]
    for both, kept in zip(layers, choose_units(scores, pairs, heads, keep), strict=True):
        for layer in both:
            layer.set_units_(kept)
