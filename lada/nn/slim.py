"""A compressed BERT without what pruning emptied: for running it, not for training on.

Zeros inside a matrix save bytes and no time. A rank direction, or an inner unit of a feed-forward
block, of which nothing is left can be taken out whole, and saves both.
"""

from typing import Any

import torch
from torch import Tensor
from transformers import BertForSequenceClassification

from lada.nn.compressed import FactorizedLinear, Factors, factor_layers


@torch.no_grad()
def slim_(model: BertForSequenceClassification) -> dict[str, int]:
    """Take out empty rank directions and empty feed-forward units, in place.

    Outputs stay the same up to rounding. An inner unit whose row before the activation is empty
    always gives the same number, which goes to the bias after it. Layers change their shapes, so
    the model no longer fits its config: neither save nor train it.

    Returns:
        How many "directions" and "units" were taken out.
    """
    units = sum(_drop_units_(layer) for layer in model.bert.encoder.layer)
    directions = 0
    for name, factors in factor_layers(model).items():
        a, b = (f[:, : factors.rank] for f in (factors.factor_a, factors.factor_b))
        kept = (a != 0).any(0) & (b != 0).any(0)
        if not bool(kept.any()):
            kept[0] = True  # a layer of rank 0 is none
        if not bool(kept.all()):
            directions += int((~kept).sum())
            model.set_submodule(name, _like(factors, a[:, kept], b[:, kept]))
    return {"directions": directions, "units": units}


def _like(layer: Factors, a: Tensor, b: Tensor, bias: Tensor | None = None) -> Factors:
    """A layer of the same kind with other factors."""
    if isinstance(layer, FactorizedLinear):
        bias = layer.bias if bias is None else bias
        return FactorizedLinear(a.clone(), b.clone(), None if bias is None else bias.clone())
    return type(layer)(a.clone(), b.clone())


def _drop_units_(layer: Any) -> int:
    up, down = layer.intermediate.dense, layer.output.dense
    if not (isinstance(up, FactorizedLinear) and isinstance(down, FactorizedLinear)):
        return 0
    up_a, up_b = up.factor_a[:, : up.rank], up.factor_b[:, : up.rank]
    down_a, down_b = down.factor_a[:, : down.rank], down.factor_b[:, : down.rank]
    silent = ~(up_a != 0).any(1)  # always the activation of its bias
    kept = ~silent & (down_b != 0).any(1)
    if bool(kept.all()) or not bool(kept.any()):
        return 0
    up_bias = up_a.new_zeros(len(up_a)) if up.bias is None else up.bias
    constant = layer.intermediate.intermediate_act_fn(up_bias) * silent
    bias = down_a @ (down_b.T @ constant)
    bias = bias if down.bias is None else bias + down.bias
    layer.intermediate.dense = _like(up, up_a[kept], up_b, up_bias[kept])
    layer.output.dense = _like(down, down_a, down_b[kept], bias)
    return int((~kept).sum())
