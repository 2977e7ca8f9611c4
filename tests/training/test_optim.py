"""The optimizer, its schedule, and what a round makes it forget."""

import copy
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from lada.nn.factors import LOWERINGS, FactorizedEmbedding, FactorizedLinear, Factors
from lada.nn.rounds import forget_
from lada.ops.mask import largest
from lada.ops.schedule import rate
from lada.training.optim import linear_decay, make_adamw


def _random(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


class _Model(nn.Module):
    """A factorized table, two factorized linears, a LayerNorm and a dense linear."""

    def __init__(self) -> None:
        super().__init__()
        self.table = FactorizedEmbedding(_random(11, 4, seed=0), _random(6, 4, seed=1))
        self.first = FactorizedLinear(_random(6, 4, seed=2), _random(6, 4, seed=3), torch.zeros(6))
        self.norm = nn.LayerNorm(6)
        self.second = FactorizedLinear(_random(5, 4, seed=4), _random(6, 4, seed=5), torch.zeros(5))
        self.head = nn.Linear(5, 3)
        with torch.no_grad():
            self.head.weight.copy_(_random(3, 5, seed=6))
            self.head.bias.zero_()

    def forward(self, ids: Tensor) -> Tensor:
        hidden: Tensor = self.norm(self.first(self.table(ids)))
        return self.head(self.second(hidden))


IDS = torch.arange(11).reshape(1, 11)


def _prune(layer: Factors, share: float) -> None:
    a = layer.factor_a.detach()[:, : layer.rank].abs()
    b = layer.factor_b.detach()[:, : layer.rank].abs()
    layer.set_masks_(largest(a, round(share * a.numel())), largest(b, round(share * b.numel())))


def _step(model: _Model, optimizer: torch.optim.Optimizer) -> None:
    optimizer.zero_grad()
    model(IDS).square().sum().backward()
    optimizer.step()


def _adamw(model: nn.Module, **kwargs: Any) -> torch.optim.AdamW:
    return make_adamw(model, **{"lr": 0.01, "weight_decay": 0.01, **kwargs})


class TestGroups:
    def test_no_decay_on_one_dimension(self) -> None:
        model = _Model()
        decayed, free = _adamw(model, weight_decay=0.3).param_groups
        names = {p: name for name, p in model.named_parameters()}
        assert {names[p] for p in decayed["params"]} == {
            "table.factor_a", "table.factor_b", "first.factor_a", "first.factor_b",
            "second.factor_a", "second.factor_b", "head.weight",
        }  # fmt: skip
        assert {names[p] for p in free["params"]} == {
            "first.bias", "second.bias", "norm.weight", "norm.bias", "head.bias",
        }  # fmt: skip
        assert len(decayed["params"]) + len(free["params"]) == len(names)
        assert (decayed["weight_decay"], free["weight_decay"]) == (0.3, 0.0)

    def test_settings_are_passed_on(self) -> None:
        for group in _adamw(_Model(), lr=0.5, betas=(0.8, 0.9), eps=1e-3).param_groups:
            assert (group["lr"], group["betas"], group["eps"]) == (0.5, (0.8, 0.9), 1e-3)
            assert group["fused"]

    def test_frozen_parameters_are_left_out(self) -> None:
        model = _Model()
        model.head.requires_grad_(False)
        params = [p for g in _adamw(model).param_groups for p in g["params"]]
        assert not any(p is q for p in params for q in model.head.parameters())
        assert len(params) == 10

    def test_decay_alone_moves_only_the_decayed(self) -> None:
        model = _Model()
        before = copy.deepcopy(model)
        optimizer = _adamw(model, lr=0.1, weight_decay=0.5)
        for p in model.parameters():
            p.grad = torch.zeros_like(p)
        optimizer.step()
        for name, p in model.named_parameters():
            share = 0.95 if p.ndim > 1 else 1.0
            torch.testing.assert_close(p, before.get_parameter(name) * share)


class TestLinearDecay:
    @pytest.mark.parametrize(
        ("total", "warmup", "expected"),
        [
            # Two steps up: 1/3, 2/3, then 8/8 down to 1/8, and 0 at the end.
            (10, 0.2, [1 / 3, 2 / 3, 1, 7 / 8, 6 / 8, 5 / 8, 4 / 8, 3 / 8, 2 / 8, 1 / 8, 0]),
            (4, 0.0, [1, 3 / 4, 2 / 4, 1 / 4, 0]),
            (4, 0.25, [1 / 2, 1, 2 / 3, 1 / 3, 0]),
            (3, 1.0, [1 / 4, 2 / 4, 3 / 4, 0]),
            (1, 0.1, [1, 0]),
            (5, 0.1, [1, 4 / 5, 3 / 5, 2 / 5, 1 / 5, 0]),
        ],
    )
    def test_by_hand(self, total: int, warmup: float, expected: list[float]) -> None:
        weight = nn.Parameter(torch.zeros(1))
        optimizer = torch.optim.SGD([weight], lr=2.0)
        schedule = linear_decay(optimizer, total, warmup)
        rates = []
        for _ in expected:
            rates.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            schedule.step()
        assert rates == pytest.approx([2.0 * x for x in expected], abs=1e-12)
        # Beyond the end it stays at 0.
        assert optimizer.param_groups[0]["lr"] == 0.0

    def test_the_rate_warms_up_again_where_factors_are_renewed(self) -> None:
        """Also after a resume: a schedule that starts at a later step has the same rates."""
        total, renewals = 300, [40, 80, 200]

        def rates(first: int) -> list[float]:
            optimizer = torch.optim.SGD([{"params": nn.Parameter(torch.zeros(1))}], lr=2.0)
            schedule = linear_decay(optimizer, total, 0.1, renewals)
            schedule.load_state_dict(schedule.state_dict() | {"last_epoch": first - 1})
            found = []
            for _ in range(first, total):
                optimizer.step()
                schedule.step()
                found.append(optimizer.param_groups[0]["lr"])
            return found

        found = rates(0)
        up = int(0.1 * total)
        assert found == [2.0 * rate(step, total, up, renewals) for step in range(total)]
        assert found[100:] == rates(100)
        for start, length in ((40, 20), (80, 50), (200, 50)):
            assert found[start] < found[start - 1] / length
            assert found[start + length] == 2.0 * rate(start + length, total, up)

    def test_each_stage_has_a_rate_of_its_own(self) -> None:
        optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=2.0)
        schedule = linear_decay(optimizer, 14, 0.25, stages=[10])
        rates = []
        for _ in range(15):
            rates.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            schedule.step()
        first = [rate(step, 10, 2) for step in range(10)]
        second = [rate(step, 4, 1) for step in range(4)]
        assert rates == [2.0 * factor for factor in [*first, *second, 0.0]]

    def test_every_group_follows(self) -> None:
        optimizer = _adamw(_Model(), lr=0.4)
        linear_decay(optimizer, 10, 0.1)
        assert [g["lr"] for g in optimizer.param_groups] == [0.2, 0.2]


class TestForget:
    def _trained(self) -> tuple[_Model, torch.optim.AdamW]:
        model = _Model()
        optimizer = _adamw(model)
        for _ in range(3):
            _step(model, optimizer)
        return model, optimizer

    def test_renewed_layers_lose_all_state(self) -> None:
        model, optimizer = self._trained()
        forget_(optimizer, model, {"first"})
        assert model.first.factor_a not in optimizer.state
        assert model.first.factor_b not in optimizer.state
        others = [p for n, p in model.named_parameters() if not n.startswith("first.factor")]
        assert all(float(optimizer.state[p]["step"]) == 3.0 for p in others)
        _step(model, optimizer)
        assert float(optimizer.state[model.first.factor_a]["step"]) == 1.0
        assert float(optimizer.state[model.second.factor_a]["step"]) == 4.0

    def test_a_renewed_layer_steps_like_a_fresh_one(self) -> None:
        model, optimizer = self._trained()
        model.first.lower_rank_(3, "refactorize")
        forget_(optimizer, model, ["first"])
        fresh = copy.deepcopy(model)
        _step(fresh, _adamw(fresh))
        _step(model, optimizer)
        assert torch.equal(model.first.factor_a, fresh.first.factor_a)
        assert torch.equal(model.first.factor_b, fresh.first.factor_b)

    def test_other_layers_forget_only_what_was_dropped(self) -> None:
        model, optimizer = self._trained()
        before = copy.deepcopy(optimizer.state_dict()["state"])
        index = {p: i for i, p in enumerate(p for g in optimizer.param_groups for p in g["params"])}
        model.first.lower_rank_(3, "truncate")
        for layer in (model.first, model.second):
            _prune(layer, 0.5)
        forget_(optimizer, model, set())
        for layer in (model.table, model.first, model.second):
            pairs = ((layer.factor_a, layer.mask_a), (layer.factor_b, layer.mask_b))
            for param, mask in pairs:
                now, was = optimizer.state[param], before[index[param]]
                assert float(now["step"]) == 3.0
                for key in ("exp_avg", "exp_avg_sq"):
                    assert torch.equal(now[key], was[key] * mask)
                    assert bool((was[key][:, :3] != 0).all())
        for name in ("head.weight", "norm.weight", "first.bias"):
            param = model.get_parameter(name)
            for key, value in optimizer.state[param].items():
                assert torch.equal(value, before[index[param]][key])

    def test_before_the_first_step_there_is_nothing_to_forget(self) -> None:
        model = _Model()
        optimizer = _adamw(model)
        forget_(optimizer, model, {"first"})
        assert not optimizer.state


class TestMasks:
    @settings(max_examples=25)
    @given(
        share=st.floats(0.0, 1.0),
        rank=st.integers(1, 4),
        steps=st.integers(1, 6),
        decay=st.sampled_from([0.0, 0.01, 0.5]),
        seed=st.integers(0, 1000),
    )
    def test_masked_weights_stay_zero_and_the_rest_is_plain_adamw(
        self, share: float, rank: int, steps: int, decay: float, seed: int
    ) -> None:
        """The loss is a sum over active entries, so that each is a problem of its own."""
        a, b = _random(7, 4, seed=seed), _random(5, 4, seed=seed + 1)
        goal_a, goal_b = _random(7, 4, seed=seed + 2), _random(5, 4, seed=seed + 3)
        layer = FactorizedLinear(a.clone(), b.clone(), None)
        layer.lower_rank_(rank, "truncate")
        _prune(layer, share)
        mask_a, mask_b = layer.mask_a.clone(), layer.mask_b.clone()
        dense_a, dense_b = nn.Parameter(a.clone()), nn.Parameter(b.clone())
        ours = make_adamw(layer, lr=0.05, weight_decay=decay)
        theirs = torch.optim.AdamW(
            [dense_a, dense_b], lr=0.05, weight_decay=decay, eps=1e-6, fused=False, foreach=False
        )
        for _ in range(steps):
            for optimizer, x, y in (
                (ours, layer.factor_a, layer.factor_b), (theirs, dense_a, dense_b)
            ):  # fmt: skip
                optimizer.zero_grad()
                error_a, error_b = (x - goal_a)[:, :rank], (y - goal_b)[:, :rank]
                (error_a.square().sum() + error_b.square().sum()).backward()
                optimizer.step()
            assert bool((layer.factor_a[~mask_a] == 0.0).all())
            assert bool((layer.factor_b[~mask_b] == 0.0).all())
        torch.testing.assert_close(layer.factor_a[mask_a], dense_a[mask_a], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(layer.factor_b[mask_b], dense_b[mask_b], rtol=1e-4, atol=1e-5)
        assert torch.equal(layer.mask_a, mask_a)
        assert torch.equal(layer.mask_b, mask_b)

    @pytest.mark.parametrize("how", LOWERINGS)
    def test_training_through_the_forward_keeps_zeros(self, how: str) -> None:
        """In dropped entries and in columns beyond the rank, which no mask is applied to."""
        model = _Model()
        optimizer = _adamw(model, lr=0.05, weight_decay=0.1)
        layers = {"first": model.first, "second": model.second}
        for rank, share in ((4, 0.8), (3, 0.5), (2, 0.5), (2, 0.2)):
            lowered = {name for name, layer in layers.items() if layer.rank > rank}
            for layer in layers.values():
                layer.lower_rank_(rank, how)
                _prune(layer, share)
            forget_(optimizer, model, lowered if how == "refactorize" else set())
            for _ in range(3):
                _step(model, optimizer)
                for layer in layers.values():
                    assert bool((layer.factor_a[~layer.mask_a] == 0.0).all())
                    assert bool((layer.factor_b[~layer.mask_b] == 0.0).all())
            assert int(model.first.mask_a.sum()) == round(share * 6 * rank)
            assert int(model.second.mask_a.sum()) == round(share * 5 * rank)
