"""The memory of layers: what it takes from gradients, and how a round is made from it."""

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from transformers import BertForSequenceClassification

from lada.nn.compressed import Compressed, compressed_layers
from lada.nn.factors import Factors
from lada.nn.memory import give_memory_, has_memory, remember_, remembered_scores
from lada.nn.rounds import compress_
from lada.nn.surgery import inventory, mask_, replace_
from lada.ops.budget import Fractions, exact_ratio
from lada.ops.memory import MEMORIES
from lada.ops.plan import Plan, Share, make_mask_plan, make_plan

Make = Callable[..., BertForSequenceClassification]
IDS = torch.arange(24).reshape(2, 12)
WORD_EMBEDDINGS = "bert.embeddings.word_embeddings"


def student(
    make_bert: Make, score: str = "platon", ranks: bool = True
) -> tuple[BertForSequenceClassification, Plan]:
    """With an empty memory, before its first round."""
    model = make_bert()
    counted = inventory(model)
    if ranks:
        fractions = Fractions(0.4, 0.5, 0.4)
        plan = make_plan(counted, exact_ratio(counted, fractions), fractions, "geometric", 4)
        replace_(model, {s.name: s.rank for s in plan.rounds[0].shares if isinstance(s, Share)})
    else:
        plan = make_mask_plan(counted, 3.0, "geometric", 4)
        mask_(model, [s.name for s in plan.rounds[0].shares])
    give_memory_(model, score, plan)
    return model, plan


def backward(model: BertForSequenceClassification, seed: int = 0, parts: int = 1) -> None:
    """Gradients of another loss for each seed, accumulated over passes."""
    model.zero_grad()
    draw = torch.Generator().manual_seed(seed)
    for _ in range(parts):
        loss = (model(IDS).logits - torch.randn(2, 3, generator=draw)).square().sum()
        (loss / parts).backward()


def scores(model: BertForSequenceClassification) -> dict[str, Tensor]:
    return {
        f"{name}.{part}": score.clone()
        for name, layer in compressed_layers(model).items() if layer.memory
        for part, score in zip(layer.masks, remembered_scores(layer), strict=True)
    }  # fmt: skip


def memory(model: BertForSequenceClassification) -> dict[str, Tensor]:
    names = {part for score in MEMORIES.values() for part in score.parts}
    state = model.state_dict()
    return {k: v.clone() for k, v in state.items() if k.rpartition("_")[2] in names}


@pytest.mark.parametrize("ranks", [True, False])
@pytest.mark.parametrize("score", list(MEMORIES))
def test_only_layers_that_are_pruned_have_one(make_bert: Make, score: str, ranks: bool) -> None:
    model, _ = student(make_bert, score, ranks)
    layers = compressed_layers(model)
    without = {name for name, layer in layers.items() if layer.memory is None}
    assert without == ({WORD_EMBEDDINGS} if ranks else set())
    each = (2 if ranks else 1) * len(MEMORIES[score].parts)
    assert len(memory(model)) == each * (len(layers) - len(without))
    assert not has_memory(layers.values())
    plain, _ = student(make_bert, "product", ranks)
    assert not memory(plain)
    remember_(plain)
    assert model.state_dict().keys() - memory(model).keys() == plain.state_dict().keys()


@pytest.mark.parametrize("ranks", [True, False])
@pytest.mark.parametrize("score", list(MEMORIES))
def test_rounds_by_what_was_remembered(make_bert: Make, score: str, ranks: bool) -> None:
    """Of all accumulated passes; the first round, before any step, is by the product."""
    model, plan = student(make_bert, score, ranks)
    other, _ = student(make_bert, "product", ranks)
    for name, student_ in ((score, model), ("product", other)):
        compress_(student_, plan.rounds[0], lower_rank="truncate", threshold="factor", score=name)
    theirs = other.state_dict()
    assert all(torch.equal(model.state_dict()[name], theirs[name]) for name in theirs)

    products: dict[str, list[Tensor]] = {}
    for step in range(5):
        backward(model, step, parts=2)
        remember_(model)
        for name, layer in compressed_layers(model).items():
            for part in layer.masks:
                param = getattr(layer, part)
                products.setdefault(f"{name}.{part}", []).append((param * param.grad).detach())
        with torch.no_grad():  # a step that moves the weights
            for p in model.parameters():
                if p.grad is not None:
                    p -= 1e-3 * p.grad
    wanted = {}
    for name, found in products.items():
        state = tuple(torch.zeros_like(found[0]) for _ in MEMORIES[score].parts)
        for product in found:
            state = MEMORIES[score].step(state, product)
        wanted[name] = MEMORIES[score].score(state)
    for name, found in scores(model).items():
        torch.testing.assert_close(found, wanted[name][:, : found.shape[1]], msg=name)
    _check_round(model, plan, score, wanted)


def _check_round(
    model: BertForSequenceClassification, plan: Plan, score: str, wanted: dict[str, Tensor]
) -> None:
    layers = compressed_layers(model)
    before = {name: [getattr(x, m).clone() for m in x.masks.values()] for name, x in layers.items()}
    compress_(model, plan.rounds[1], lower_rank="truncate", threshold="factor", score=score)
    for share in plan.rounds[1].shares:
        layer = layers[share.name]
        if layer.memory is None:
            continue
        for (part, mask), old, count in zip(
            layer.masks.items(), before[share.name], share.counts, strict=True
        ):
            kept = layer.active(mask)
            allowed = old[:, : kept.shape[1]]
            assert int(kept.sum()) == count
            assert not (kept & ~allowed).any()
            values = wanted[f"{share.name}.{part}"][:, : kept.shape[1]]
            pruned = allowed & ~kept
            assert pruned.any()
            # Equal scores of rounding only: the reference rounds elsewhere.
            assert values[kept].min() >= values[pruned].max() - 1e-5 * values.abs().max()
            for remembered in layer.remembered(part):
                assert not remembered[~kept].any()


def test_one_threshold_for_all(make_bert: Make) -> None:
    """Also of negative scores; nothing that was pruned comes back before what was not."""
    model, plan = student(make_bert, "movement", ranks=False)
    how = {"lower_rank": "truncate", "threshold": "global", "score": "movement"}
    compress_(model, plan.rounds[0], **how)
    layers: dict[str, Compressed] = compressed_layers(model)
    before = {name: layer.mask.clone() for name, layer in layers.items()}
    backward(model)
    remember_(model)
    found = {name: score.clone() for name, score in scores(model).items()}
    compress_(model, plan.rounds[1], **how)
    kept, pruned = [], []
    for name, layer in layers.items():
        assert not (layer.mask & ~before[name]).any()
        kept.append(found[f"{name}.weight"][layer.mask])
        pruned.append(found[f"{name}.weight"][before[name] & ~layer.mask])
    assert torch.cat(kept).min() >= torch.cat(pruned).max()
    assert torch.cat(kept).min() < 0


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_nonfinite_step_is_not_remembered(make_bert: Make, bad: float) -> None:
    model, _ = student(make_bert)
    backward(model)
    remember_(model)
    before = memory(model)
    model.classifier.weight.grad[0, 0] = bad  # of a part that has no memory
    remember_(model)
    assert all(torch.equal(value, before[name]) for name, value in memory(model).items())


def test_a_loss_that_leaves_layers_out(make_bert: Make) -> None:
    """Their importance falls as by a gradient of zero."""
    model, _ = student(make_bert)
    other = copy.deepcopy(model)
    for step, one in ((0, model), (0, other)):
        backward(one, step)
        remember_(one)
    for layer in compressed_layers(model).values():
        for part in layer.masks:
            getattr(layer, part).grad = None
    for layer in compressed_layers(other).values():
        for part in layer.masks:
            getattr(layer, part).grad.zero_()
    remember_(model)
    remember_(other)
    theirs = memory(other)
    assert all(torch.equal(value, theirs[name]) for name, value in memory(model).items())
    model.zero_grad()
    remember_(model)  # without any gradient there was no step
    assert all(torch.equal(value, theirs[name]) for name, value in memory(model).items())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_it_is_saved_and_copied(make_bert: Make, dtype: torch.dtype) -> None:
    model, _ = student(make_bert)
    backward(model)
    remember_(model)
    assert all(value.dtype == torch.float32 for value in memory(model).values())
    model.to(dtype)
    again, _ = student(make_bert)
    again.to(dtype).load_state_dict(model.state_dict())
    for one in (model, again, copied := copy.deepcopy(model)):
        backward(one, 1)
        remember_(one)
    assert has_memory(compressed_layers(copied).values())
    for other in (again, copied):
        theirs = memory(other)
        assert all(torch.equal(value, theirs[name]) for name, value in memory(model).items())


def test_what_a_lower_rank_drops_is_not_scored(make_bert: Make) -> None:
    model, _ = student(make_bert)
    backward(model)
    remember_(model)
    layer = next(x for x in compressed_layers(model).values() if x.memory)
    assert isinstance(layer, Factors)
    rank = layer.rank - 2
    before = [score[:, :rank].clone() for score in remembered_scores(layer)]
    layer.lower_rank_(rank, "truncate")
    for found, wanted in zip(remembered_scores(layer), before, strict=True):
        assert torch.equal(found, wanted)
