"""What a file keeps of a model, and how."""

from torch import Tensor, nn

from lada.nn.compressed import compressed_layers

SMALL = 2**14
"""Matrices of fewer entries are not worth the error of int8: a classifier of few classes."""


def stored_shapes(model: nn.Module) -> dict[str, tuple[int, ...]]:
    """The tensors that a file keeps of a model, and their shapes."""
    return {name: tuple(value.shape) for name, (value, _) in stored(model).items()}


def stored(model: nn.Module) -> dict[str, tuple[Tensor, Tensor | None]]:
    """What a file keeps of a model: the active parts of compressed layers, with their masks."""
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


def how_stored(name: str, value: Tensor, values: str) -> tuple[str, int]:
    """Type of the values, and the axis of the scales: a factor's columns, a matrix's rows."""
    if values == "int8" and (value.dim() != 2 or value.numel() < SMALL):
        values = "fp16"
    return values, 1 if name.endswith((".factor_a", ".factor_b")) else 0
