"""The tensors of a model that a file stores, and how."""

from torch import Tensor, nn

from lada.nn.compressed import axis_of, compressed_layers
from lada.ops.bits import LARGEST

SMALL = 2**14
"""Smaller matrices that are not compressed, such as a classifier of few classes, are not stored as
int8."""


def stored_shapes(model: nn.Module) -> dict[str, tuple[int, ...]]:
    """The tensors of a model that a file stores, and their shapes."""
    return {name: tuple(value.shape) for name, (value, _) in stored(model).items()}


def stored(model: nn.Module) -> dict[str, tuple[Tensor, Tensor | None]]:
    """The tensors that a file stores: of compressed layers the active parts, with their masks."""
    layers = compressed_layers(model)
    out: dict[str, tuple[Tensor, Tensor | None]] = {}
    for name, value in model.state_dict().items():
        owner, _, part = name.rpartition(".")
        if owner not in layers or part == "bias":
            out[name] = value, None
        elif part in layers[owner].masks:
            layer = layers[owner]
            out[name] = layer.active(part), layer.active(layer.masks[part])
    return out


def how_stored(name: str, value: Tensor, values: str, *, compressed: bool) -> tuple[str, int]:
    """Type of the values, and the axis of the scales: columns of a factor, rows of a matrix.

    Args:
        values: requested. Few bits are for what is ``compressed``, which was trained in them; the
            rest is then int8.
    """
    if values in LARGEST and not compressed:
        values = "int8"
    small = value.dim() != 2 or value.numel() < SMALL
    if small and compressed:
        # fp16 as in an older file, where all small matrices were: it is stored again as it was.
        small = bool((value == value.half()).all())
    if values == "int8" and small:
        values = "fp16"
    return values, axis_of(name)
