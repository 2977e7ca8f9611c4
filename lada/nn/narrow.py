"""A student of its teacher's form, but narrower and shallower, that starts from its weights.

`narrow_` projects all states of the teacher on their principal directions (`lada.ops.narrow`). It
is made for families whose layers have four matrices of attention, two of the feed-forward block,
and a norm at the end of both.
"""

from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from lada.nn.families import encoder_of, encoder_prefix, layers_of
from lada.nn.projection import uniform_layers
from lada.ops.narrow import (
    largest_units,
    narrow_norm,
    narrow_scores,
    narrow_values,
    principal_directions,
)
from lada.ops.statistics import Statistics


def _parts(layer: nn.Module) -> tuple[list[tuple[str, nn.Linear]], list[nn.LayerNorm]]:
    """Query, key, value, output, up and down by name, and the two norms of a layer, in order."""
    named = list(layer.named_modules())
    linears = [(name, module) for name, module in named if isinstance(module, nn.Linear)]
    norms = [module for _, module in named if isinstance(module, nn.LayerNorm)]
    assert (len(linears), len(norms)) == (6, 2)
    return linears, norms


def directions_of(
    teacher: PreTrainedModel, statistics: Statistics, width: int
) -> tuple[Tensor, float]:
    """The principal directions of a teacher's hidden states, see `principal_directions`.

    Their places: the input of each layer and of each feed-forward block, and, for what the last
    layer gives, the first tokens that the pooler sees, if there is one.

    Args:
        statistics: what its layers see (`lada.nn.statistics.gather`).
        width: how many.
    """
    place, seconds = layers_of(teacher), []
    layers: Any = teacher.get_submodule(place)
    names = []
    for number, layer in enumerate(layers):
        linears, _ = _parts(layer)
        names += [f"{place}.{number}.{linears[0][0]}", f"{place}.{number}.{linears[4][0]}"]
    for name in [*names, f"{encoder_prefix(teacher)}pooler.dense"]:
        second = statistics.of(name, teacher.device).second
        if second is not None:
            seconds.append(second)
    return principal_directions(seconds, width)


@torch.no_grad()
def narrow_(student: PreTrainedModel, teacher: PreTrainedModel, statistics: Statistics) -> None:
    """Give a student the weights of its teacher, projected to its width, in place.

    All states are projected by the same directions V: every table of embeddings E becomes ``E V``,
    a matrix W between states ``V^T W V``. Student layer m of M has the weights of teacher layer
    ``m N / M``. A head keeps the channels in which scores (without their biases), and outputs,
    change least; the feed-forward block, and the dense layer of the head, the units that add most.
    What is lost: a LayerNorm cannot be projected exactly (`lada.ops.narrow.narrow_norm`), and what
    the layers between add is missing.

    Args:
        student: of the teacher's family, with as many heads, dense; at most as wide, with at most
            as many units, and a number of layers that divides the teacher's.
        teacher: not modified.
        statistics: what its layers see (`lada.nn.statistics.gather`).
    """
    v, kept = directions_of(teacher, statistics, student.config.hidden_size)
    ours, theirs = encoder_of(student), encoder_of(teacher)
    for name, table in theirs.embeddings.named_modules():
        if isinstance(table, nn.Embedding):
            _set_(ours.embeddings.get_submodule(name), table.weight.double() @ v)
        elif isinstance(table, nn.LayerNorm):
            _set_norm_(ours.embeddings.get_submodule(name), table, v, kept)
    place = layers_of(teacher)
    wide: Any = teacher.get_submodule(place)
    narrow: Any = student.get_submodule(place)
    heads = student.config.num_attention_heads
    for layer, number in zip(narrow, uniform_layers(len(wide), len(narrow)), strict=True):
        seen = {
            name: statistics.of(f"{place}.{number - 1}.{name}", teacher.device).second
            for name, _ in _parts(wide[number - 1])[0]
        }
        _narrow_layer_(layer, wide[number - 1], seen, v, kept, heads)
    _narrow_head_(_head(student), _head(teacher), v)


def _narrow_layer_(
    student: nn.Module, teacher: nn.Module, seen: dict[str, Any], v: Tensor, kept: float, heads: int
) -> None:
    linears, norms = _parts(teacher)
    (query, key, value, output, up, down), own_norms = _parts(student)
    q, k, val, out, wide_up, wide_down = (linear for _, linear in linears)
    states, contexts, units = (seen[linears[place][0]].double() for place in (0, 3, 5))
    size = query[1].out_features // heads
    parts = ("q", "q bias", "k", "k bias", "v", "v bias", "o")
    made: dict[str, list[Tensor]] = {part: [] for part in parts}
    scale = (size * heads / q.out_features) ** 0.25  # scores are over the root of the head's size
    for rows in torch.arange(q.out_features).chunk(heads):
        w_q, w_k = q.weight[rows].double(), k.weight[rows].double()
        t_q, t_k = narrow_scores(w_q @ states @ w_q.T, w_k @ states @ w_k.T, size)
        w_o, t_v = narrow_values(v.T @ out.weight[:, rows].double(), contexts[rows][:, rows], size)
        for name, t, linear in (("q", scale * t_q, q), ("k", scale * t_k, k), ("v", t_v, val)):
            made[name].append(t @ linear.weight[rows].double() @ v)
            made[f"{name} bias"].append(t @ linear.bias[rows].double())
        made["o"].append(w_o)
    for name, (_, own) in zip("qkv", (query, key, value), strict=True):
        _set_(own, torch.cat(made[name]), torch.cat(made[f"{name} bias"]))
    _set_(output[1], torch.cat(made["o"], 1), v.T @ out.bias.double())
    projected = v.T @ wide_down.weight.double()
    chosen = largest_units(units.diagonal().clamp_min(0).sqrt(), projected, up[1].out_features)
    _set_(up[1], wide_up.weight[chosen].double() @ v, wide_up.bias[chosen])
    _set_(down[1], projected[:, chosen], v.T @ wide_down.bias.double())
    for narrow, norm in zip(own_norms, norms, strict=True):
        _set_norm_(narrow, norm, v, kept)


def _head(model: PreTrainedModel) -> list[nn.Linear]:
    """The Linear layers outside of all layers, in order: a dense one, if there is, and the last."""
    place = layers_of(model)
    return [
        module
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and not name.startswith(place)
    ]


def _narrow_head_(student: list[nn.Linear], teacher: list[nn.Linear], v: Tensor) -> None:
    *dense, last = teacher
    if not dense:
        _set_(student[0], last.weight.double() @ v, last.bias)
        return
    projected = dense[0].weight.double() @ v
    chosen = largest_units(projected.norm(dim=1), last.weight, student[0].out_features)
    _set_(student[0], projected[chosen], dense[0].bias[chosen])
    _set_(student[1], last.weight[:, chosen], last.bias)


def _set_(layer: Any, weight: Tensor, bias: Tensor | None = None) -> None:
    layer.weight.copy_(weight)
    if bias is not None:
        layer.bias.copy_(bias)


def _set_norm_(own: Any, norm: nn.LayerNorm, v: Tensor, kept: float) -> None:
    _set_(own, narrow_norm(norm.weight, v, kept), v.T @ norm.bias.double())
