"""The memory of compressed layers: state of scores from gradients (`lada.ops.memory`).

It is in buffers of the layers, in fp32, and so in checkpoints; files of artifacts have factors and
masks alone.
"""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from lada.nn.compressed import Compressed, compressed_layers
from lada.nn.units import UnitLinear
from lada.ops.memory import MEMORIES
from lada.ops.plan import MaskShare, Plan, Share


def give_memory_(model: nn.Module, score: str, plan: Plan) -> None:
    """Give an empty memory to every layer that a round of ``plan`` prunes.

    Args:
        score: of `lada.ops.memory.MEMORIES`, or one without a memory, for which nothing is done.
    """
    if score not in MEMORIES:
        return
    layers = compressed_layers(model)
    shares = [share for round_ in plan.rounds for share in round_.shares]
    for name in {share.name: None for share in shares if _prunes(share, layers[share.name])}:
        layer = layers[name]
        layer.memory = score
        for param in layer.masks:
            for part in MEMORIES[score].parts:
                empty = torch.zeros_like(getattr(layer, param), dtype=torch.float32)
                layer.register_buffer(f"{param}_{part}", empty.detach())


def _prunes(share: Share | MaskShare, layer: Compressed) -> bool:
    shapes = [getattr(layer, param).shape for param in layer.masks]
    size: int = sum(m * (share.rank if isinstance(share, Share) else n) for m, n in shapes)
    return share.kept < size


def separated_parameters(model: nn.Module) -> dict[str, nn.Parameter]:
    """The parameters whose scores use the gradients of the predictions' loss alone, by name."""
    found: dict[str, nn.Parameter] = {}
    for name, layer in compressed_layers(model).items():
        if isinstance(layer, UnitLinear):
            parts: Iterable[str] = layer.scored
        else:
            separated = layer.memory is not None and MEMORIES[layer.memory].separated
            parts = layer.masks if separated else ()
        found |= {f"{name}.{part}": getattr(layer, part) for part in parts}
    return found


@torch.no_grad()
def remember_(model: nn.Module, separated: Mapping[str, Tensor] | None = None) -> None:
    """Take the gradients of an optimizer step into the memory of the layers that have one.

    Call it when gradients are complete: accumulated, averaged over processes, not clipped. Those of
    pruned entries are zero by then; pruned entries are not scored. If any gradient of the model is
    NaN or infinite, the memory stays as it is, as the step is skipped.

    Args:
        separated: gradients of the predictions' loss, for `separated_parameters`, complete too;
            None or empty: those of the whole loss are used.
    """
    separated = separated or {}
    layers = {name: layer for name, layer in compressed_layers(model).items() if remembers(layer)}
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    if not layers or not gradients:
        return
    # A tensor, so that a step on a GPU does not wait for it.
    finite = torch.nn.utils.get_total_norm([*gradients, *separated.values()]).isfinite()
    apart = separated_parameters(model) if separated else {}
    for name, layer in layers.items():
        found = {
            part: separated.get(f"{name}.{part}") if f"{name}.{part}" in apart else p.grad
            for part, p in layer.named_parameters(recurse=False)
        }
        if isinstance(layer, UnitLinear):
            layer.remember_(found, finite)
            continue
        memory = MEMORIES[str(layer.memory)]
        for part in layer.masks:
            state, weight = layer.remembered(part), layer.active(part)
            gradient = found[part]
            if gradient is None:  # the loss of this step does not depend on it
                product = torch.zeros_like(weight)
            else:
                product = weight * gradient[:, : weight.shape[1]]
            for old, new in zip(state, memory.step(state, product.to(state[0])), strict=True):
                torch.where(finite, new, old, out=old)


def remembers(layer: Compressed) -> bool:
    """Whether a layer has a memory of gradients."""
    return bool(layer.scored) if isinstance(layer, UnitLinear) else layer.memory is not None


def has_memory(layers: Iterable[Compressed]) -> bool:
    """Whether any layer remembers a gradient that is not zero."""
    parts = (p for layer in layers for p in _remembered(layer))
    return any(bool(part.any()) for part in parts)


def _remembered(layer: Compressed) -> list[Tensor]:
    if isinstance(layer, UnitLinear):
        return [layer.importance] if layer.importance is not None else []
    return [part for name in layer.masks for part in layer.remembered(name)]


def remembered_scores(layer: Compressed) -> list[Tensor]:
    """The scores of a layer's active parts, in the order of its masks."""
    assert layer.memory is not None
    score = MEMORIES[layer.memory].score
    return [score(layer.remembered(name)) for name in layer.masks]
