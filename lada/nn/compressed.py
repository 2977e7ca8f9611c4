"""What every layer of a smaller form has in common: parameters with masks, and their upkeep.

The forms: `lada.nn.factors` (the paper's), `lada.nn.masked`, `lada.nn.residual`.

Masked entries are zero in the parameters themselves: no forward multiplies by a mask. Under an
optimizer they stay so where their gradients are masked (`Compressed.mask_gradients_`) and its
moments of them are zero; after whatever else changes the parameters, `Compressed.apply_masks_`.
Parameter objects and shapes never change.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn


class Compressed(nn.Module, ABC):
    """A layer that stands for a weight (m, n) in a smaller form."""

    kind = ""
    """Name of the form in an artifact (docs/format.md)."""

    masks: Mapping[str, str] = MappingProxyType({})
    """The mask, a bool buffer of the same shape, of each parameter that has one."""

    def __init__(self) -> None:
        super().__init__()
        # Whether any entry of the active parts is dropped.
        self.masked = False

    def active(self, name: str) -> Tensor:
        """The part of a parameter or mask that the layer computes with, as a view."""
        tensor: Tensor = getattr(self, name)
        return tensor

    def form(self) -> dict[str, Any]:
        """Kind, and what a reader needs beside the tensors to build the layer."""
        return {"kind": self.kind}

    @abstractmethod
    def product(self) -> Tensor:
        """The weight (m, n) that the layer stands for. For inspection; no forward needs it."""

    def _load_from_state_dict(
        self, state_dict: Mapping[str, Any], prefix: str, *args: Any, **kwargs: Any
    ) -> None:
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)
        self._look_at_masks()

    def _look_at_masks(self) -> None:
        self.masked = not all(bool(self.active(mask).all()) for mask in self.masks.values())

    @property
    def kept(self) -> int:
        """Entries that the masks keep."""
        return sum(int(getattr(self, mask).sum()) for mask in self.masks.values())

    @torch.no_grad()
    def set_masks_(self, *masks: Tensor) -> None:
        """Take masks over the active parts, in the order of `masks`, and zero what they drop."""
        for name, mask in zip(self.masks.values(), masks, strict=True):
            self.active(name).copy_(mask)
        self._look_at_masks()
        self.apply_masks_()

    @torch.no_grad()
    def apply_masks_(self) -> None:
        """Set every masked entry of the active parts to zero."""
        if self.masked:
            # A product with the mask takes a third of the time of masked_fill_ on a CPU.
            for name, mask in self.masks.items():
                self.active(name).mul_(self.active(mask))

    @torch.no_grad()
    def mask_gradients_(self) -> None:
        """Zero the gradients of masked entries, so that clipping sees the norm of the real ones."""
        if self.masked:
            for name, mask in self.masks.items():
                gradient = getattr(self, name).grad
                if gradient is not None:
                    kept = self.active(mask)
                    gradient[:, : kept.shape[1]].mul_(kept)

    @torch.no_grad()
    def take_from_rank_zero_(self) -> None:
        """Take parameters and masks from process 0 of the default process group."""
        for name, mask in self.masks.items():
            for tensor in (getattr(self, name).data, getattr(self, mask).view(torch.uint8)):
                torch.distributed.broadcast(tensor, 0)
        self._look_at_masks()


def compressed_layers(model: nn.Module) -> dict[str, Compressed]:
    """The compressed layers of a model by the name of the layer, in the model's order."""
    return {name: m for name, m in model.named_modules() if isinstance(m, Compressed)}
