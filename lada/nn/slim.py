"""A compressed model without the parts that pruning emptied: for inference, not for training.

Zeros inside a matrix save bytes but no time. Removing a rank component, or an inner unit of a
feed-forward block, that has only zeros saves both.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.activations import ACT2FN

from lada.nn.compressed import Compressed, compressed_layers
from lada.nn.factors import Factors
from lada.nn.families import Family, family_of
from lada.nn.surgery import LAYERS


@torch.no_grad()
def slim_(model: PreTrainedModel) -> dict[str, int]:
    """Remove empty rank components and empty feed-forward units, in place.

    Outputs stay the same up to rounding. An inner unit whose row before the activation is empty
    has a constant output, which is added to the bias after it. Layers change their shapes, so the
    model no longer fits its config: do not save or train it.

    Returns:
        How many "directions" (rank components) and "units" were removed.
    """
    units = sum(_drop_units_(*block) for block in _feed_forward(model))
    directions = 0
    for name, layer in compressed_layers(model).items():
        if isinstance(layer, Factors):
            a, b = layer.active("factor_a"), layer.active("factor_b")
            kept = (a != 0).any(0) & (b != 0).any(0)
            if not bool(kept.any()):
                kept[0] = True  # a layer needs rank 1
            if not bool(kept.all()):
                directions += int((~kept).sum())
                parts = {"factor_a": a[:, kept], "factor_b": b[:, kept]}
                model.set_submodule(name, _like(layer, parts))
    return {"directions": directions, "units": units}


def _like(layer: Any, changed: Mapping[str, Tensor], bias: Tensor | None = None) -> Any:
    """A layer of the same kind with other parts."""
    linear, embedding = LAYERS[layer.kind]
    parts = [changed.get(name, layer.active(name)).clone() for name in layer.masks]
    if isinstance(layer, embedding):
        return embedding(*parts)
    bias = layer.bias if bias is None else bias
    return linear(*parts, None if bias is None else bias.clone())


def _cut(layer: Compressed, side: int, kept: Tensor, bias: Tensor | None) -> Any:
    """A linear layer without some outputs (side 0) or inputs (side 1)."""
    parts = {}
    for name in layer.masks:
        part = layer.active(name)
        if name in SIDES:
            parts[name] = part[kept] if SIDES[name] == side else part
        else:
            parts[name] = part[kept] if side == 0 else part[:, kept]
    return _like(layer, parts, bias)


def _live(layer: Compressed, side: int) -> Tensor:
    """Outputs (side 0) or inputs (side 1) that have an entry which is not zero."""
    found = [
        (part != 0).any(1 if name in SIDES else 1 - side)
        for name, part in ((name, layer.active(name)) for name in layer.masks)
        if SIDES.get(name, side) == side
    ]
    return torch.stack(found).any(0)


SIDES = {"factor_a": 0, "factor_b": 1}
"""Parts whose rows belong to one side of the weight: A to the outputs, B to the inputs."""


def _feed_forward(model: PreTrainedModel) -> list[tuple[nn.Module, Family, Any]]:
    """The modules with a compressed feed-forward block, the row of the family, its activation.

    A family with another block than two matrices has none, and neither has a BiLSTM.
    """
    row = family_of(model.config)
    known = getattr(model.config, "hidden_act", None) or getattr(model.config, "activation", None)
    if not row.up or known is None:
        return []
    activation = ACT2FN[known] if isinstance(known, str) else known
    return [
        (module, row, activation)
        for module in model.modules()
        if _is_compressed(module, row.up) and _is_compressed(module, row.down)
    ]


def _is_compressed(module: nn.Module, path: str) -> bool:
    try:
        return isinstance(module.get_submodule(path), Compressed)
    except AttributeError:
        return False


def _drop_units_(layer: nn.Module, row: Family, activation: Any) -> int:
    up: Any = layer.get_submodule(row.up)
    down: Any = layer.get_submodule(row.down)
    live = _live(up, 0)  # the others are always the activation of their bias
    kept = live & _live(down, 1)
    if bool(kept.all()) or not bool(kept.any()):
        return 0
    own: Any = up.bias
    up_bias = live.new_zeros(len(live), dtype=torch.float32) if own is None else own
    constant = activation(up_bias) * ~live
    bias = down.product() @ constant
    if down.bias is not None:
        bias = bias + down.bias
    layer.set_submodule(row.up, _cut(up, 0, kept, up_bias[kept]))
    layer.set_submodule(row.down, _cut(down, 1, kept, bias))
    return int((~kept).sum())
