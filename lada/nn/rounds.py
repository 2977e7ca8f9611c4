"""One round of compression of a student and of its optimizer state, in place."""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from lada.nn.compressed import Compressed, compressed_layers
from lada.nn.factors import FactorizedEmbedding, Factors
from lada.nn.memory import has_memory, remembered_scores
from lada.nn.units import UnitLinear
from lada.ops.budget import LEAST_KEPT
from lada.ops.factorize import EVEN
from lada.ops.factorizers import FACTORIZERS
from lada.ops.mask import largest, largest_overall, proportional_counts
from lada.ops.memory import MEMORIES
from lada.ops.plan import MaskShare, Round, Share
from lada.ops.scores import SCORES
from lada.ops.statistics import Seen, Statistics

NONE_SEEN = Statistics()


def compress_(
    model: nn.Module,
    round_: Round,
    *,
    lower_rank: str,
    threshold: str,
    factorizer: str = "svd",
    score: str = "magnitude",
    statistics: Statistics = NONE_SEEN,
) -> set[str]:
    """Compress every compressed layer of ``model`` to its share of ``round_``.

    The rank is lowered first (`Factors.lower_rank_`), then the remaining entries with the smallest
    scores are pruned (LadaBERT section 3.3). Pruned entries are never restored before others.

    Args:
        lower_rank: "truncate" or "refactorize".
        factorizer: of `lada.ops.factorizers.FACTORIZERS`, with "refactorize".
        score: of `lada.ops.scores.SCORES` or `lada.ops.memory.MEMORIES`; one of these is computed
            from the layers' memory (`lada.nn.memory`), and is "product" while that is empty.
        statistics: what the layers see, for factorizers and scores that use it.
        threshold: "factor": each part of each layer (A and B, or the matrix itself) keeps the count
            of its share; "global": a common threshold over all layers that are pruned, with the
            same total; "proportional": each part has a density in proportion to its mean score
            (`lada.ops.mask.proportional_counts`), with the same total, and keeps at least what a
            plan may (`lada.ops.budget.LEAST_KEPT`). Factors of word embeddings keep the count of
            their share: by it they have another density than all others.

    An optimizer that has stepped before has moments for entries that are pruned now: clear them
    (`forget_`), or the next steps change pruned entries.

    Returns:
        Names of the layers whose factors were recomputed (all their values changed).
    """
    layers = compressed_layers(model)
    renewed = set()
    for share in round_.shares:
        layer = layers[share.name]
        if isinstance(share, Share):
            assert isinstance(layer, Factors)
            if lower_rank == "refactorize" and share.rank < layer.rank:
                renewed.add(share.name)
            weights = EVEN
            if share.name in renewed:
                seen = statistics.of(share.name, layer.factor_a.device)
                weights = FACTORIZERS[factorizer](seen)
            layer.lower_rank_(share.rank, lower_rank, weights)
    # Those that are pruned, or were pruned before and keep all their entries by this share.
    shares = [s for s in round_.shares if s.kept < _size(layers[s.name]) or layers[s.name].masked]
    if score in MEMORIES and not has_memory(layers.values()):
        score = "product"  # which is invariant under scaled factors too, and needs no data
    device = next(model.parameters()).device
    words = [s for s in shares if isinstance(layers[s.name], FactorizedEmbedding)]
    others = [s for s in shares if s not in words]
    for group, how in ((others, threshold), (words, "factor")):
        scores = [_scores(layers[s.name], score, statistics.of(s.name, device)) for s in group]
        for share, masks in zip(group, _masks(scores, group, how), strict=True):
            layers[share.name].set_masks_(*masks)
    return renewed


@torch.no_grad()
def forget_(optimizer: torch.optim.Optimizer, model: nn.Module, renewed: Iterable[str]) -> None:
    """Clear the optimizer state of the entries that a round changed.

    Layers in ``renewed`` were recomputed: all their state is cleared, with the step count (cleared
    moments with a kept step count would multiply the next steps). In the other layers only pruned
    entries changed: their moments become zero, those of the others stay. So do the biases of
    pruned units.
    """
    anew = set(renewed)

    def clear(param: Tensor, kept: Tensor) -> None:
        for value in optimizer.state.get(param, {}).values():
            if isinstance(value, Tensor) and value.shape == param.shape:
                value.masked_fill_(~kept, 0.0)

    for name, layer in compressed_layers(model).items():
        for part, mask_name in layer.masks.items():
            param, mask = getattr(layer, part), getattr(layer, mask_name)
            if name in anew:
                optimizer.state.pop(param, None)
                continue
            clear(param, mask)
        if isinstance(layer, UnitLinear) and layer.axis == 0 and layer.bias is not None:
            clear(layer.bias, layer.units)


def _masks(
    scores: Sequence[Sequence[Tensor]], shares: Sequence[Share | MaskShare], threshold: str
) -> list[list[Tensor]]:
    """The masks of the parts of some layers, by their scores; see `compress_`."""
    if threshold == "global" and shares:
        flat = largest_overall([x for part in scores for x in part], sum(s.kept for s in shares))
        found = iter(flat)
        return [[next(found) for _ in part] for part in scores]
    counts = [s.counts for s in shares]
    if threshold == "proportional" and shares:
        counts = _proportional(scores, counts)
    return [
        [largest(score, count) for score, count in zip(part, own, strict=True)]
        for own, part in zip(counts, scores, strict=True)
    ]


def _size(layer: Compressed) -> int:
    return sum(layer.active(name).numel() for name in layer.masks)


def _proportional(
    scores: Sequence[Sequence[Tensor]], counts: Sequence[tuple[int, ...]]
) -> list[tuple[int, ...]]:
    """The counts of all parts in proportion to their scores, with the same sum."""
    flat, planned = [x for part in scores for x in part], [n for own in counts for n in own]
    least = [min(n, max(1, round(LEAST_KEPT * x.numel())))
             for x, n in zip(flat, planned, strict=True)]  # fmt: skip
    found = iter(proportional_counts(flat, sum(planned), least))
    return [tuple(next(found) for _ in own) for own in counts]


@torch.no_grad()
def _scores(layer: Compressed, score: str, seen: Seen) -> list[Tensor]:
    if score in MEMORIES:
        found = remembered_scores(layer)
    else:
        found = SCORES[score]([layer.active(name) for name in layer.masks], seen)
    # Below every score, so that a tie never restores a pruned entry.
    return [
        part.masked_fill(~layer.active(mask), -torch.inf)
        for part, mask in zip(found, layer.masks.values(), strict=True)
    ]
