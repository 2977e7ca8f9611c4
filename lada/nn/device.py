"""The device of a model."""

from typing import TypeVar

import torch
from torch import nn

M = TypeVar("M", bound=nn.Module)


def move_(model: M, device: torch.device | str | None, dtype: torch.dtype | None = None) -> M:
    """``model.to(device, dtype)``: in place, and the model again; None changes nothing.

    Type checkers do not accept ``to`` of a transformers model: it is wrapped (`functools.wraps`),
    so that they miss its ``self``. Called as that of any module, its type is right.
    """
    return model.to(device=device, dtype=dtype)
