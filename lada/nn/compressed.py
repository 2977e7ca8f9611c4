"""The base class of compressed layers: parameters with masks.

The forms: `lada.nn.factors` (the paper's), `lada.nn.masked`, `lada.nn.residual`.

Pruned entries are zero in the parameters themselves: no forward multiplies by a mask. They stay
zero in any training, since the layer sets their gradients to zero as soon as a backward pass has
accumulated them: an optimizer without moments for them then does not change them, weight decay
included. One that has stepped before they were pruned has moments for them, which must be cleared
(`lada.nn.rounds.forget_`). After anything else that writes into the parameters, call
`Compressed.apply_masks_`. Parameter objects and shapes never change.
"""

import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Self

import torch
from torch import Tensor, nn

from lada.ops.bits import GROUP, LARGEST, group_of, straight_through
from lada.ops.memory import MEMORIES


class Compressed(nn.Module, ABC):
    """A layer that represents a weight (m, n) in a smaller form."""

    kind = ""
    """Name of the form in an artifact (docs/format.md)."""

    masks: Mapping[str, str] = MappingProxyType({})
    """The mask, a bool buffer of the same shape, of each parameter that has one."""

    def __init__(self) -> None:
        super().__init__()
        # Whether any entry of the active parts is pruned.
        self.masked = False
        # How many bits the values of a forward pass have, see `lada.ops.bits`; None: all of fp32.
        self.bits: str | None = None
        self._groups: dict[str, int] = dict.fromkeys(self.masks, GROUP)
        # The score that it has a memory for, see `lada.nn.memory`; None: it has no memory.
        self.memory: str | None = None

    def active(self, name: str) -> Tensor:
        """The part of a parameter or mask that the layer uses, as a view."""
        tensor: Tensor = getattr(self, name)
        return tensor

    def used(self, name: str) -> Tensor:
        """The values of `active` that a forward pass computes with: in few bits, if there are."""
        part = self.active(name)
        if self.bits is None:
            return part
        mask = self.active(self.masks[name]) if self.masked else None
        return straight_through(part, self.bits, axis_of(name), mask, self._groups[name])

    def remembered(self, name: str) -> tuple[Tensor, ...]:
        """The memory of a parameter's active part, as views; empty if it has none."""
        if self.memory is None:
            return ()
        width = self.active(name).shape[1]
        parts = MEMORIES[self.memory].parts
        return tuple(getattr(self, f"{name}_{part}")[:, :width] for part in parts)

    def form(self) -> dict[str, Any]:
        """Kind, and all that a reader needs besides the tensors to build the layer."""
        return {"kind": self.kind}

    @abstractmethod
    def product(self) -> Tensor:
        """The weight (m, n) that the layer represents, for inspection; no forward needs it."""

    # Hooks belong to a Parameter object. It may be replaced by an assignment (also by
    # `load_state_dict(assign=True)`), by a move to or from the meta device, and in a copied or
    # unpickled layer: the next three methods cover these cases.

    def register_parameter(self, name: str, param: nn.Parameter | None) -> None:
        """As for any module; if the parameter has a mask, its gradient is masked from now on."""
        super().register_parameter(name, param)
        if param is not None and name in self.masks:
            self._mask_gradient_of(name, param)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        before = {name: self._parameters.get(name) for name in self.masks}
        super()._apply(fn, recurse)
        for name, old in before.items():
            param = self._parameters.get(name)
            if param is not None and param is not old:
                self._mask_gradient_of(name, param)
        return self

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        for name in self.masks:
            param = self._parameters.get(name)
            if param is not None:
                self._mask_gradient_of(name, param)

    def _mask_gradient_of(self, name: str, param: nn.Parameter) -> None:
        """Zero the gradients of pruned entries of a parameter in every backward pass.

        The hook runs on the accumulated gradient, so that all later users (DDP, clipping, the
        optimizer) see zeros. A score that needs the gradients of pruned entries gets them from a
        tensor hook (`Tensor.register_hook`) or from `torch.autograd.grad`, which run before.
        """
        layer = weakref.ref(self)  # a reference cycle would keep large tensors alive

        @torch.no_grad()
        def mask(param: Tensor) -> None:
            owner = layer()
            if owner is not None and owner.masked and param.grad is not None:
                # On a CPU a product takes a third of the time of masked_fill_.
                kept = owner.active(owner.masks[name])
                param.grad[:, : kept.shape[1]].mul_(kept)

        if not param.is_floating_point():
            return  # it is never trained
        # Only a trainable tensor accepts a hook, and a frozen one may be trained later.
        trained = param.requires_grad
        param.requires_grad_(True).register_post_accumulate_grad_hook(mask)
        param.requires_grad_(trained)

    def _load_from_state_dict(
        self, state_dict: Mapping[str, Any], prefix: str, *args: Any, **kwargs: Any
    ) -> None:
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)
        self._update_masked()

    def _update_masked(self) -> None:
        self.masked = not all(bool(self.active(mask).all()) for mask in self.masks.values())
        # Counted here and not in each forward pass: on a GPU that would wait for it.
        self._groups = {
            name: group_of(self.active(mask) if self.masked else None)
            for name, mask in self.masks.items()
        }

    @property
    def kept(self) -> int:
        """Number of unpruned entries."""
        return sum(int(getattr(self, mask).sum()) for mask in self.masks.values())

    @torch.no_grad()
    def set_masks_(self, *masks: Tensor) -> None:
        """Set masks over the active parts, in the order of `masks`, and zero pruned entries.

        What is remembered of pruned entries is zeroed too.
        """
        for (name, own), mask in zip(self.masks.items(), masks, strict=True):
            self.active(own).copy_(mask)
            for part in self.remembered(name):
                part.mul_(mask)
        self._update_masked()
        self.apply_masks_()

    @torch.no_grad()
    def apply_masks_(self) -> None:
        """Set every pruned entry of the active parts to zero."""
        if self.masked:
            for name, mask in self.masks.items():
                self.active(name).mul_(self.active(mask))

    def revived(self, name: str) -> int:
        """The number of pruned entries of a parameter's active part that are not zero."""
        return int(self._count_revived(name)) if self.masked else 0

    def count_revived(self) -> list[Tensor]:
        """The same for each parameter that has a mask, as int64 () on its device."""
        return [self._count_revived(name) for name in self.masks] if self.masked else []

    def _count_revived(self, name: str) -> Tensor:
        part, mask = self.active(name).detach(), self.active(self.masks[name])
        return torch.count_nonzero(part.masked_fill(mask, 0.0))

    @torch.no_grad()
    def take_from_rank_zero_(self) -> None:
        """Copy parameters, masks and memory from process 0 of the default process group."""
        parts = MEMORIES[self.memory].parts if self.memory is not None else ()
        for name, mask in self.masks.items():
            remembered = [getattr(self, f"{name}_{part}") for part in parts]
            for tensor in (
                getattr(self, name).data, getattr(self, mask).view(torch.uint8), *remembered
            ):  # fmt: skip
                torch.distributed.broadcast(tensor, 0)
        self._update_masked()


def axis_of(name: str) -> int:
    """The axis whose indices have scales of their own: columns of a factor, rows of a matrix."""
    return 1 if name.rpartition(".")[2] in ("factor_a", "factor_b") else 0


def set_bits_(model: nn.Module, values: str) -> None:
    """Have the compressed layers of a model compute with the values that a file will have.

    Args:
        values: of the file; what has more than 4 bits is trained in fp32.
    """
    for layer in compressed_layers(model).values():
        layer.bits = values if values in LARGEST else None


def compressed_layers(model: nn.Module) -> dict[str, Compressed]:
    """The compressed layers of a model by name, in the model's order."""
    return {name: m for name, m in model.named_modules() if isinstance(m, Compressed)}
