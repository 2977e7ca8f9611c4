"""What is left of a student after each round of a plan."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from transformers import BertForSequenceClassification

from lada.nn.compressed import compressed_layers
from lada.nn.factors import LOWERINGS, Factors
from lada.nn.rounds import compress_
from lada.nn.surgery import inventory, replace_
from lada.ops.budget import Fractions, exact_ratio, solve_default
from lada.ops.plan import Plan, Round, Share, make_plan
from lada.ops.statistics import Seen, Statistics

THRESHOLDS = ("factor", "global", "proportional")
WORD_EMBEDDINGS = "bert.embeddings.word_embeddings"
QUERY = "bert.encoder.layer.0.attention.self.query"
KEY = "bert.encoder.layer.0.attention.self.key"
Make = Callable[..., BertForSequenceClassification]


def _student(
    make_bert: Make, shape: str = "geometric", rounds: int = 4, words: float = 1.0
) -> tuple[BertForSequenceClassification, Plan]:
    """A student at the first round's ranks, on the way to half of the ranks and 40 % of those.

    Args:
        words: density of the word embeddings' factor at the end.
    """
    model = make_bert()
    counted = inventory(model)
    fractions = Fractions(0.4, 0.5, 0.4, words)
    plan = make_plan(counted, exact_ratio(counted, fractions), fractions, shape, rounds)
    replace_(model, {s.name: s.rank for s in plan.rounds[0].shares})
    return model, plan


def _train_a_little(model: BertForSequenceClassification, seed: int) -> None:
    """Move the weights that a training would move."""
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for layer in compressed_layers(model).values():
            for factor in (layer.factor_a, layer.factor_b):
                active = factor[:, : layer.rank]
                active += 0.02 * torch.randn(active.shape, generator=draw)
            layer.apply_masks_()


def _masks(layer: Factors) -> tuple[Tensor, Tensor]:
    return layer.mask_a.clone(), layer.mask_b.clone()


def _ranks_lowered(model: BertForSequenceClassification, round_: Round) -> set[str]:
    layers = compressed_layers(model)
    return {s.name for s in round_.shares if s.rank < layers[s.name].rank}


@pytest.mark.parametrize("shape", ["geometric", "linear", "cubic"])
@pytest.mark.parametrize("how", LOWERINGS)
def test_counts_are_the_shares_at_every_round(make_bert: Make, shape: str, how: str) -> None:
    model, plan = _student(make_bert, shape)
    for i, round_ in enumerate(plan.rounds):
        compress_(model, round_, lower_rank=how, threshold="factor")
        layers = compressed_layers(model)
        assert set(layers) == {s.name for s in round_.shares}
        for share in round_.shares:
            layer = layers[share.name]
            assert layer.rank == int(layer.active_rank) == share.rank
            assert int(layer.mask_a.sum()) == share.kept_a
            assert int(layer.mask_b.sum()) == share.kept_b
            assert int(layer.factor_a.count_nonzero()) == share.kept_a
            assert int(layer.factor_b.count_nonzero()) == share.kept_b
        _train_a_little(model, i)


@pytest.mark.parametrize("shape", ["geometric", "linear", "cubic"])
@pytest.mark.parametrize("how", LOWERINGS)
@pytest.mark.parametrize("threshold", THRESHOLDS[1:])
def test_totals_are_the_shares_with_one_threshold(
    make_bert: Make, shape: str, how: str, threshold: str
) -> None:
    model, plan = _student(make_bert, shape)
    whole = inventory(make_bert()).kept_whole
    for i, round_ in enumerate(plan.rounds):
        compress_(model, round_, lower_rank=how, threshold=threshold)
        layers = compressed_layers(model)
        assert sum(layer.kept for layer in layers.values()) + whole == round_.nonzeros
        counts = [int(p.count_nonzero()) for x in layers.values() for p in (x.factor_a, x.factor_b)]
        assert sum(counts) + whole == round_.nonzeros
        assert {name: layer.rank for name, layer in layers.items()} == {
            s.name: s.rank for s in round_.shares
        }
        # The word embeddings is never pruned.
        table = round_.shares[0]
        assert table.name == WORD_EMBEDDINGS
        assert layers[WORD_EMBEDDINGS].kept == table.kept == table.rank * (40 + 16)
        _train_a_little(model, i)


@pytest.mark.parametrize("threshold", THRESHOLDS)
def test_word_embeddings_have_their_own_density(make_bert: Make, threshold: str) -> None:
    model, plan = _student(make_bert, words=0.5)
    for i, round_ in enumerate(plan.rounds):
        compress_(model, round_, lower_rank="truncate", threshold=threshold)
        table, layer = round_.shares[0], compressed_layers(model)[WORD_EMBEDDINGS]
        assert isinstance(table, Share)
        assert int(layer.mask_a.sum()) == table.kept_a < 40 * table.rank
        assert int(layer.mask_b.sum()) == table.kept_b == 16 * table.rank
        _train_a_little(model, i)
    assert table.kept_a == 20 * table.rank


def test_frequent_tokens_keep_more(make_bert: Make) -> None:
    model, plan = _student(make_bert, rounds=1, words=0.5)
    counts = torch.zeros(40, dtype=torch.int64)
    counts[:10] = 1000
    seen = Statistics({WORD_EMBEDDINGS: Seen(counts=counts)})
    compress_(
        model, plan.rounds[0], lower_rank="truncate", threshold="factor", score="activation",
        statistics=seen,
    )  # fmt: skip
    kept = compressed_layers(model)[WORD_EMBEDDINGS].mask_a.float().mean(1)
    assert kept[:10].mean() > 2 * kept[10:].mean() > 0


@pytest.mark.parametrize("how", LOWERINGS)
@pytest.mark.parametrize("threshold", THRESHOLDS)
def test_masked_entries_are_exactly_zero(make_bert: Make, how: str, threshold: str) -> None:
    model, plan = _student(make_bert)
    for i, round_ in enumerate(plan.rounds):
        compress_(model, round_, lower_rank=how, threshold=threshold)
        for layer in compressed_layers(model).values():
            assert bool((layer.factor_a[~layer.mask_a] == 0.0).all())
            assert bool((layer.factor_b[~layer.mask_b] == 0.0).all())
            assert not layer.mask_a[:, layer.rank :].any()
            assert not layer.mask_b[:, layer.rank :].any()
        _train_a_little(model, i)


@pytest.mark.parametrize("shape", ["geometric", "linear", "cubic"])
@pytest.mark.parametrize("threshold", THRESHOLDS)
def test_masks_are_nested_with_truncation(make_bert: Make, shape: str, threshold: str) -> None:
    model, plan = _student(make_bert, shape, rounds=5)
    before: dict[str, tuple[Tensor, Tensor]] = {}
    for i, round_ in enumerate(plan.rounds):
        compress_(model, round_, lower_rank="truncate", threshold=threshold)
        for name, layer in compressed_layers(model).items():
            now = _masks(layer)
            for was, is_ in zip(before.get(name, now), now, strict=True):
                assert not (is_ & ~was).any(), f"{name}: a dropped entry came back"
            before[name] = now
        _train_a_little(model, i)


def test_kept_entries_keep_their_values_with_truncation(make_bert: Make) -> None:
    model, plan = _student(make_bert)
    for round_ in plan.rounds:
        values = {n: (x.factor_a.detach().clone(), x.factor_b.detach().clone())
                  for n, x in compressed_layers(model).items()}  # fmt: skip
        compress_(model, round_, lower_rank="truncate", threshold="factor")
        for name, layer in compressed_layers(model).items():
            a, b = values[name]
            assert torch.equal(layer.factor_a, a * layer.mask_a)
            assert torch.equal(layer.factor_b, b * layer.mask_b)
            # The smallest magnitudes of the active columns went.
            for factor, mask in ((a, layer.mask_a), (b, layer.mask_b)):
                active, kept = factor[:, : layer.rank].abs(), mask[:, : layer.rank]
                if not kept.all():
                    assert active[kept].min() >= active[~kept].max()


def test_densities_are_in_proportion_to_scores(make_bert: Make) -> None:
    """Of a pruned matrix, and what is pruned are its entries with the lowest scores."""
    model, plan = _student(make_bert, rounds=1)
    (round_,) = plan.rounds
    with torch.no_grad():
        model.get_submodule(QUERY).factor_a.mul_(5.0)
    before = {name: layer.product().clone() for name, layer in compressed_layers(model).items()}
    parts = [getattr(layer, name).detach().abs().double()
             for layer in list(compressed_layers(model).values())[1:]
             for name in ("factor_a", "factor_b")]  # fmt: skip
    compress_(model, round_, lower_rank="truncate", threshold="proportional")
    layers = list(compressed_layers(model).values())[1:]
    kept = [mask.double() for layer in layers for mask in (layer.mask_a, layer.mask_b)]
    unit = torch.cat([part.flatten() for part in parts]).square().mean().sqrt()
    means = torch.stack([(part / unit).sigmoid().mean() for part in parts])
    densities = torch.stack([mask.mean() for mask in kept])
    sizes = torch.tensor([mask.numel() for mask in kept])
    expected = means * sum(s.kept for s in round_.shares[1:]) / (means * sizes).sum()
    assert bool(((densities - expected).abs() <= 1 / sizes + 1e-9).all())
    assert float(densities.max() / densities.min()) > 1.2
    for part, mask in zip(parts, kept, strict=True):
        assert float(part[mask == 1].min()) >= float(part[mask == 0].max())
    assert torch.equal(before[WORD_EMBEDDINGS], compressed_layers(model)[WORD_EMBEDDINGS].product())


def test_one_threshold_is_one_over_all_pruned_layers(make_bert: Make) -> None:
    model, plan = _student(make_bert)
    values = {n: (x.factor_a.detach().abs(), x.factor_b.detach().abs())
              for n, x in compressed_layers(model).items() if n != WORD_EMBEDDINGS}  # fmt: skip
    values = {n: (a.clone(), b.clone()) for n, (a, b) in values.items()}
    compress_(model, plan.rounds[0], lower_rank="truncate", threshold="global")
    layers = compressed_layers(model)
    kept, dropped = [], []
    for name, pair in values.items():
        masks = (layers[name].mask_a, layers[name].mask_b)
        for value, mask in zip(pair, masks, strict=True):
            active, kept_here = value[:, : layers[name].rank], mask[:, : layers[name].rank]
            kept.append(active[kept_here])
            dropped.append(active[~kept_here])
    assert torch.cat(kept).min() >= torch.cat(dropped).max()
    # Unlike a threshold per factor: the shares of single layers differ from the plan's.
    assert any(layers[s.name].kept != s.kept for s in plan.rounds[0].shares)


@pytest.mark.parametrize("threshold", THRESHOLDS)
def test_renewed_are_the_layers_with_a_new_svd(make_bert: Make, threshold: str) -> None:
    model, plan = _student(make_bert)
    other, _ = _student(make_bert)
    seen = 0
    for round_ in plan.rounds:
        lowered = _ranks_lowered(model, round_)
        assert compress_(model, round_, lower_rank="refactorize", threshold=threshold) == lowered
        assert compress_(other, round_, lower_rank="truncate", threshold=threshold) == set()
        seen += len(lowered)
    assert seen > 12


def test_a_whitened_svd_is_the_best_for_the_outputs_of_the_present_product(make_bert: Make) -> None:
    """On inputs X, no matrix of that rank is nearer to ``X W^T`` than its SVD cut at the rank."""
    model, plan = _student(make_bert)
    draw = torch.Generator().manual_seed(1)
    inputs, seen = {}, {}
    for name, layer in compressed_layers(model).items():
        width = layer.factor_b.shape[0]
        if name == WORD_EMBEDDINGS:  # a row for each time that it is looked up, and one more
            counts = torch.randint(0, 9, (len(layer.factor_a),), generator=draw)
            inputs[name] = torch.diag((counts + 1.0).sqrt()).double()
            seen[name] = Seen(counts=counts)
        else:
            x = torch.randn(200, width, generator=draw) * torch.logspace(-1, 1, width)
            inputs[name] = x.double()
            seen[name] = Seen(second=x.T @ x / len(x))
    statistics = Statistics(seen)

    def output(layer: Factors, name: str) -> Tensor:
        weight = layer.product().detach().double()
        return inputs[name] @ (weight if name == WORD_EMBEDDINGS else weight.T)

    lowered = 0
    for i, round_ in enumerate(plan.rounds[1:]):
        _train_a_little(model, i)
        layers = compressed_layers(model)
        before = {name: output(layer, name) for name, layer in layers.items()}
        # All entries of the factors stay: the error is that of the factors alone.
        shares = tuple(
            Share(s.name, s.rank, len(layers[s.name].factor_a) * s.rank,
                  len(layers[s.name].factor_b) * s.rank)
            for s in round_.shares
        )  # fmt: skip
        renewed = compress_(
            model, Round(shares, 0, 1.0), lower_rank="refactorize", threshold="factor",
            factorizer="whitened", statistics=statistics,
        )  # fmt: skip
        for name in renewed:
            layer = layers[name]
            least = torch.linalg.svdvals(before[name])[layer.rank :].norm()
            error = (output(layer, name) - before[name]).norm()
            # Damping counts inputs that hardly occur a little more, and factors are in fp32.
            assert least * (1 - 1e-4) <= error <= least * (1 + 1e-3) + 1e-4 * before[name].norm()
        lowered += len(renewed)
    assert lowered > 12


@pytest.mark.parametrize("how", LOWERINGS)
@pytest.mark.parametrize("threshold", THRESHOLDS)
def test_a_round_done_twice_changes_nothing(make_bert: Make, how: str, threshold: str) -> None:
    model, plan = _student(make_bert)
    for round_ in plan.rounds[:2]:
        compress_(model, round_, lower_rank=how, threshold=threshold)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    assert compress_(model, plan.rounds[1], lower_rank=how, threshold=threshold) == set()
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())


def test_a_masked_entry_is_the_first_to_stay_masked(make_bert: Make) -> None:
    model = make_bert()
    replace_(model, {QUERY: 2})
    layer = compressed_layers(model)[QUERY]
    # Two of A's kept entries are exactly zero, like the masked ones.
    mask = torch.ones(16, 2, dtype=torch.bool)
    mask[:4] = False
    layer.set_masks_(mask, torch.ones(16, 2, dtype=torch.bool))
    layer.factor_a.data[10, 0] = layer.factor_a.data[11, 1] = 0.0
    share = Share(QUERY, 2, 24, 31)
    compress_(model, Round((share,), 0, 1.0), lower_rank="truncate", threshold="factor")
    assert torch.equal(layer.mask_a, mask)


@pytest.mark.parametrize("threshold", THRESHOLDS)
@pytest.mark.parametrize("how", LOWERINGS)
def test_the_count_where_only_early_rounds_prune(make_bert: Make, how: str, threshold: str) -> None:
    """Rounding the rank of the word embeddings down may leave enough for all last ranks."""
    model = make_bert(
        vocab_size=2000, hidden_size=64, num_hidden_layers=1, intermediate_size=128,
        max_position_embeddings=128, num_labels=2,
    )  # fmt: skip
    counted = inventory(model)
    plan = make_plan(counted, 2.86, solve_default(counted, 2.86), "geometric", 8)
    replace_(model, {s.name: s.rank for s in plan.rounds[0].shares})
    for round_ in plan.rounds:
        compress_(model, round_, lower_rank=how, threshold=threshold)
    kept = {name: layer.kept for name, layer in compressed_layers(model).items()}
    assert counted.kept_whole + sum(kept.values()) == plan.rounds[-1].nonzeros
    if threshold == "factor":
        assert kept == {s.name: s.kept for s in plan.rounds[-1].shares}


@pytest.mark.parametrize("threshold", THRESHOLDS)
def test_nothing_to_do(make_bert: Make, threshold: str) -> None:
    model = make_bert()
    replace_(model, {QUERY: 3, KEY: 4})
    before = {k: v.clone() for k, v in model.state_dict().items()}
    shares = (Share(QUERY, 3, 48, 48), Share(KEY, 4, 64, 64))
    done = compress_(model, Round(shares, 0, 1.0), lower_rank="refactorize", threshold=threshold)
    assert done == set()
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
