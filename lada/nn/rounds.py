"""One compression of a student in place, from a round of the plan."""

from torch import Tensor, nn

from lada.nn.compressed import compressed_layers
from lada.nn.factors import Factors
from lada.ops.mask import largest, largest_overall
from lada.ops.plan import Round


def compress_(model: nn.Module, round_: Round, *, lower_rank: str, threshold: str) -> set[str]:
    """Bring every compressed layer of ``model`` to its share of ``round_``.

    Rank first (`Factors.lower_rank_`), then masks over what is left: the smallest magnitudes go
    (LadaBERT section 3.3). An entry that is masked already is the first to stay masked.

    Args:
        lower_rank: "truncate" or "refactorize".
        threshold: "factor": A and B of each layer keep the counts of their share; "global": one
            threshold over the factors of all layers whose shares drop entries, the same total.

    Returns:
        Names of the layers whose factors were computed anew (their values all changed).
    """
    layers = {n: x for n, x in compressed_layers(model).items() if isinstance(x, Factors)}
    renewed = set()
    for share in round_.shares:
        layer = layers[share.name]
        if lower_rank == "refactorize" and share.rank < layer.rank:
            renewed.add(share.name)
        layer.lower_rank_(share.rank, lower_rank)
    # Those that drop entries, or dropped some before and by this share keep all they have.
    shares = [s for s in round_.shares if s.kept < _size(layers[s.name]) or layers[s.name].masked]
    scores = [(_score(layers[s.name], "a"), _score(layers[s.name], "b")) for s in shares]
    if threshold == "global" and shares:
        flat = largest_overall([x for pair in scores for x in pair], sum(s.kept for s in shares))
        masks = list(zip(flat[::2], flat[1::2], strict=True))
    else:
        masks = [
            (largest(a, s.kept_a), largest(b, s.kept_b))
            for s, (a, b) in zip(shares, scores, strict=True)
        ]
    for share, (mask_a, mask_b) in zip(shares, masks, strict=True):
        layers[share.name].set_masks_(mask_a, mask_b)
    return renewed


def _size(layer: Factors) -> int:
    return int(layer.rank * (layer.factor_a.shape[0] + layer.factor_b.shape[0]))


def _score(layer: Factors, side: str) -> Tensor:
    factor, mask = (layer.factor_a, layer.mask_a) if side == "a" else (layer.factor_b, layer.mask_b)
    active = factor.detach()[:, : layer.rank].abs()
    # Below every magnitude, so that a tie at zero never brings a masked entry back.
    return active.masked_fill(~mask[:, : layer.rank], -1.0)
