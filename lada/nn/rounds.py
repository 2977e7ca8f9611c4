"""One compression of a student in place, from a round of the plan, and of its optimizer's state."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from lada.nn.compressed import Compressed, compressed_layers
from lada.nn.factors import Factors
from lada.ops.mask import largest, largest_overall
from lada.ops.plan import Round, Share


def compress_(model: nn.Module, round_: Round, *, lower_rank: str, threshold: str) -> set[str]:
    """Bring every compressed layer of ``model`` to its share of ``round_``.

    Rank first (`Factors.lower_rank_`), then masks over what is left: the smallest magnitudes go
    (LadaBERT section 3.3). An entry that is masked already is the first to stay masked.

    Args:
        lower_rank: "truncate" or "refactorize".
        threshold: "factor": each part of each layer (A and B, or the matrix itself) keeps the count
            of its share; "global": one threshold over all layers whose shares drop entries, the
            same total.

    An optimizer that has stepped before has moments of what is pruned now: clear them
    (`forget_`), or the next steps move pruned entries.

    Returns:
        Names of the layers whose factors were computed anew (their values all changed).
    """
    layers = compressed_layers(model)
    renewed = set()
    for share in round_.shares:
        layer = layers[share.name]
        if isinstance(share, Share):
            assert isinstance(layer, Factors)
            if lower_rank == "refactorize" and share.rank < layer.rank:
                renewed.add(share.name)
            layer.lower_rank_(share.rank, lower_rank)
    # Those that drop entries, or dropped some before and by this share keep all they have.
    shares = [s for s in round_.shares if s.kept < _size(layers[s.name]) or layers[s.name].masked]
    scores = [_scores(layers[s.name]) for s in shares]
    if threshold == "global" and shares:
        flat = largest_overall([x for part in scores for x in part], sum(s.kept for s in shares))
        found = iter(flat)
        masks = [[next(found) for _ in part] for part in scores]
    else:
        masks = [
            [largest(score, count) for score, count in zip(part, s.counts, strict=True)]
            for s, part in zip(shares, scores, strict=True)
        ]
    for share, part in zip(shares, masks, strict=True):
        layers[share.name].set_masks_(*part)
    return renewed


@torch.no_grad()
def forget_(optimizer: torch.optim.Optimizer, model: nn.Module, renewed: Iterable[str]) -> None:
    """Clear the optimizer's memory of what a round changed.

    Layers in ``renewed`` were computed anew: all their state goes, the step count with it
    (moments without their step count would multiply the next steps). In the other layers only
    the dropped entries changed: their moments become zero, those of the rest stay.
    """
    anew = set(renewed)
    for name, layer in compressed_layers(model).items():
        for part, mask_name in layer.masks.items():
            param, mask = getattr(layer, part), getattr(layer, mask_name)
            if name in anew:
                optimizer.state.pop(param, None)
                continue
            for value in optimizer.state.get(param, {}).values():
                if isinstance(value, Tensor) and value.shape == param.shape:
                    value.masked_fill_(~mask, 0.0)


def _size(layer: Compressed) -> int:
    return sum(layer.active(name).numel() for name in layer.masks)


def _scores(layer: Compressed) -> list[Tensor]:
    # Below every magnitude, so that a tie at zero never brings a masked entry back.
    return [
        layer.active(name).detach().abs().masked_fill(~layer.active(mask), -1.0)
        for name, mask in layer.masks.items()
    ]
