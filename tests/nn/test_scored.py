"""Layers whose mask is learnt: their gradient, their masks, and what of them is trained."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from transformers import BertForSequenceClassification

from lada.errors import LadaError
from lada.nn.compressed import set_bits_
from lada.nn.masked import MaskedLinear
from lada.nn.scored import (
    Scored,
    ScoredEmbedding,
    ScoredLinear,
    follow_scores_,
    kind_of,
    score_,
    score_groups,
    scored_layers,
)
from lada.nn.surgery import inventory
from lada.ops.plan import MaskShare, make_mask_plan

Make = Callable[..., BertForSequenceClassification]


def linear(seed: int = 0) -> tuple[nn.Linear, ScoredLinear]:
    torch.manual_seed(seed)
    dense = nn.Linear(5, 4)
    scored = ScoredLinear.from_linear(dense)
    assert isinstance(scored, ScoredLinear)
    return dense, scored


def random_mask(shape: torch.Size, seed: int = 1) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)) < 0.4


def test_the_gradient_goes_through_the_mask() -> None:
    """That of a mask of numbers: dL/dM = dL/dW * W_0, where an entry is pruned too."""
    dense, scored = linear()
    mask, x = random_mask(dense.weight.shape), torch.randn(3, 5)
    scored.set_masks_(mask)
    scored(x).square().sum().backward()

    numbers = mask.float().requires_grad_(True)
    nn.functional.linear(x, numbers * dense.weight.detach(), dense.bias).square().sum().backward()
    torch.testing.assert_close(scored.scores.grad, numbers.grad)
    assert scored.scores.grad is not None
    assert scored.scores.grad[~mask].all()
    assert scored.weight.grad is None
    assert scored.bias is not None
    assert scored.bias.grad is None


def test_it_computes_as_a_pruned_one() -> None:
    dense, scored = linear()
    other = MaskedLinear.from_linear(dense)
    for seed in range(3):  # entries that were pruned come back with their values
        mask, x = random_mask(dense.weight.shape, seed), torch.randn(3, 5)
        scored.set_masks_(mask)
        fresh = MaskedLinear.from_linear(dense)
        fresh.set_masks_(mask)
        assert torch.equal(scored(x), fresh(x))
        assert torch.equal(scored.weight, dense.weight * mask)
        assert scored.revived("weight") == 0
        assert scored.kept == int(mask.sum())
    assert scored.form() == other.form()
    assert set(scored.state_dict()) == {"weight", "bias", "mask", "scores"}


def test_an_embedding() -> None:
    torch.manual_seed(0)
    table = nn.Embedding(6, 3)
    scored = ScoredEmbedding.from_embedding(table)
    mask, ids = random_mask(table.weight.shape), torch.tensor([[0, 2, 2]])
    scored.set_masks_(mask)
    found = scored(ids)
    assert torch.equal(found, (table.weight * mask)[ids])
    found.sum().backward()
    seen = torch.tensor([1.0, 0, 2, 0, 0, 0])[:, None]
    torch.testing.assert_close(scored.scores.grad, seen * table.weight.detach())


def test_in_few_bits() -> None:
    """The values are those of a pruned layer in as many bits; the scores have gradients."""
    dense, scored = linear()
    plain = MaskedLinear.from_linear(dense)
    mask, x = random_mask(dense.weight.shape), torch.randn(3, 5)
    for layer in (scored, plain):
        layer.set_masks_(mask)
        set_bits_(layer, "int2")
    assert torch.equal(scored(x), plain(x))
    assert not torch.equal(scored(x), nn.functional.linear(x, scored.weight, scored.bias))
    scored(x).sum().backward()
    assert scored.scores.grad is not None
    assert scored.scores.grad.any()


def test_equal_scores_are_told_apart_by_magnitude(make_bert: Make) -> None:
    """Before the training, and where the gradients are the same."""
    model = make_bert()
    names = [m.name for m in inventory(model).matrices]
    score_(model, names, 1.0)
    layers = scored_layers(model)
    for step in range(2):
        shares = [MaskShare(name, layer.weight.numel() // 3) for name, layer in layers.items()]
        follow_scores_(model, shares, proportional=False)
        for share in shares:
            layer = layers[share.name]
            magnitudes = layer.whole.abs()
            assert layer.kept == share.kept
            assert magnitudes[layer.mask].min() >= magnitudes[~layer.mask].max()
            with torch.no_grad():
                layer.scores.sub_(0.02 * (step + 1))


def scored_bert(make_bert: Make) -> BertForSequenceClassification:
    """With random scores, higher in later layers."""
    model = make_bert(num_hidden_layers=3)
    score_(model, [m.name for m in inventory(model).matrices], 3.0)
    torch.manual_seed(1)
    for place, layer in enumerate(scored_layers(model).values()):
        layer.scores.data = torch.randn(layer.scores.shape) + place / 8
    return model


@pytest.mark.parametrize("proportional", [False, True])
def test_masks_follow_the_scores(make_bert: Make, proportional: bool) -> None:
    model = scored_bert(make_bert)
    layers = scored_layers(model)
    plan = make_mask_plan(inventory(make_bert(num_hidden_layers=3)), 3.0, "geometric", 2)
    for round_ in reversed(plan.rounds):  # they may keep more again
        follow_scores_(model, round_.shares, proportional=proportional)
        kept: dict[str, int] = {}
        planned: dict[str, int] = {}
        for share in round_.shares:
            layer = layers[share.name]
            scores = layer.scores.detach()
            assert scores[layer.mask].min() > scores[~layer.mask].max()
            kind = kind_of(share.name)
            kept[kind] = kept.get(kind, 0) + layer.kept
            planned[kind] = planned.get(kind, 0) + share.kept
            assert proportional or layer.kept == share.kept
        assert kept == planned
        assert len(kept) == 1 + 6
    if proportional:
        name = "bert.encoder.layer.{}.output.dense"
        found = [layers[name.format(number)] for number in range(3)]
        asked = [float(layer.scores.sigmoid().mean()) for layer in found]
        fractions = [layer.kept / layer.weight.numel() for layer in found]
        for fraction, ask in zip(fractions, asked, strict=True):
            assert fraction / sum(fractions) == pytest.approx(ask / sum(asked), rel=0.02)
        assert max(fractions) > 1.1 * min(fractions)


def test_only_scores_are_trained(make_bert: Make) -> None:
    model = scored_bert(make_bert)
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    assert trained == {f"{name}.scores" for name in scored_layers(model)}
    (group,) = score_groups(model, 0.5)
    assert (group["lr"], group["weight_decay"]) == (1.5, 0.0)
    assert {id(p) for p in group["params"]} == {id(x.scores) for x in scored_layers(model).values()}
    assert score_groups(make_bert(), 0.5) == []


def test_what_is_no_matrix(make_bert: Make) -> None:
    with pytest.raises(LadaError, match="LayerNorm is a LayerNorm, not Linear or Embedding"):
        score_(make_bert(), ["bert.embeddings.LayerNorm"], 1.0)


def test_the_whole_weight_moves_along() -> None:
    _, scored = linear()
    assert scored.double().whole.dtype == torch.float64
    assert isinstance(scored, Scored)
