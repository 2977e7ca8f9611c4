"""Layers that are pruned by units: what they remember, and what a pruned unit leaves."""

from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import PreTrainedModel

from lada.methods.families import serves
from lada.nn.capture import forward
from lada.nn.families import FAMILIES
from lada.nn.memory import remember_, separated_parameters
from lada.nn.rounds import forget_
from lada.nn.surgery import inventory
from lada.nn.units import UnitLinear, prune_units_, unit_groups, units_
from tests.families import batch, tiny

SERVED = [name for name in FAMILIES if serves("grain", name) is None]
ALPHA = 0.3


def student(family: str = "bert") -> tuple[PreTrainedModel, list[Any]]:
    model = tiny(family)
    groups = unit_groups(model)
    units_(model, groups, ALPHA)
    return model, groups


def logits(model: PreTrainedModel, seed: int = 0) -> Tensor:
    return forward(model, batch(model, rows=3 + seed)).logits


def test_which_families_have_units() -> None:
    least = {"bert", "roberta", "xlm-roberta", "camembert", "electra", "ernie", "distilbert"}
    assert least <= set(SERVED)
    assert "modernbert" not in SERVED


@pytest.mark.parametrize("family", SERVED)
def test_all_matrices_of_layers_are_in_a_group(family: str) -> None:
    model = tiny(family)
    groups = unit_groups(model)
    layers = 1 if FAMILIES[family].shared else 2
    assert [g.kind for g in groups] == ["qk", "vo", "ffn"] * layers
    names = [name for group in groups for name, _ in group.matrices]
    left = {m.name for m in inventory(model).matrices if not m.embedding} - set(names)
    assert len(names) == len(set(names)) == 6 * layers
    assert all("embedding" in name for name in left)  # those of electra and albert
    assert all(group.length == 16 for group in groups)
    assert [group.units for group in groups] == [16, 16, 32] * layers


@pytest.mark.parametrize("family", SERVED)
def test_a_pruned_unit_has_no_effect(family: str) -> None:
    """Attention and feed-forward blocks give what they give without it, biases included."""
    model, groups = student(family)
    for module in model.modules():
        if isinstance(module, UnitLinear) and module.bias is not None:
            torch.nn.init.normal_(module.bias)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2, weight_decay=0.1)

    def step() -> None:
        optimizer.zero_grad()
        logits(model).square().sum().backward()
        remember_(model)
        optimizer.step()

    step()
    prune_units_(model, groups, 2, keep=sum(g.units for g in groups) // 2)
    forget_(optimizer, model, ())
    for _ in range(3):
        step()
    with torch.no_grad():
        found = logits(model)
        for group in groups:
            (first, _), (second, _) = group.matrices
            kept = model.get_submodule(first).units
            assert torch.equal(kept, model.get_submodule(second).units)
            for name, axis in group.matrices:
                layer = model.get_submodule(name)
                lines = layer.weight if axis == 0 else layer.weight.T
                assert not lines[~kept].any() and lines[kept].any(1).all()
                if axis == 0:
                    assert not layer.bias[~kept].any()
                    assert layer.bias[kept].all() or not kept.any()
                    layer.bias[~kept] += 5.0
    torch.testing.assert_close(logits(model), found, rtol=1e-4, atol=1e-4)
    assert sum(int(model.get_submodule(g.matrices[0][0]).units.sum()) for g in groups) == (
        sum(g.units for g in groups) // 2
    )


def written_out(model: PreTrainedModel, gradients: dict[str, Tensor]) -> dict[str, list[float]]:
    """What one step adds for each unit of the first layer, entry by entry."""
    place = "bert.encoder.layer.0."
    paths = {"qk": "attention.self.query", "vo": "attention.output.dense", "ffn": "output.dense"}
    out: dict[str, list[float]] = {}
    for kind, path in paths.items():
        weight, bias = (model.get_parameter(f"{place}{path}.{part}") for part in ("weight", "bias"))
        of_weight = weight.detach() * gradients[f"{place}{path}.weight"]
        if kind == "qk":
            of_bias = bias.detach() * gradients[f"{place}{path}.bias"]
            sums = [float(row.sum() + b) for row, b in zip(of_weight, of_bias, strict=True)]
        else:
            sums = [float(column.sum()) for column in of_weight.T]
        if kind == "vo":
            kept = model.get_submodule(f"{place}{path}").units.tolist()
            heads = [sum(kept[:8]) / 8, sum(kept[8:]) / 8]
            sums = [s * float(torch.tanh(torch.tensor(heads[k // 8] / ALPHA)))
                    for k, s in enumerate(sums)]  # fmt: skip
        out[kind] = [abs(s) for s in sums]
    return out


def test_importance_is_of_the_gradients_given() -> None:
    model, groups = student()
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, UnitLinear):
                module.bias.normal_()
                module.weight.mul_(20.0)  # so that which token is looked at matters
    names = separated_parameters(model)
    assert len(names) == 2 * (2 + 1 + 1)
    wanted: dict[str, list[float]] = {}
    for seed in range(4):
        if seed == 2:
            prune_units_(model, groups, 2, keep=90)
            for kind, group in zip(("qk", "vo", "ffn"), groups, strict=False):
                kept = model.get_submodule(group.matrices[0][0]).units.tolist()
                wanted[kind] = [w * k for w, k in zip(wanted[kind], kept, strict=True)]
        model.zero_grad()
        found = torch.autograd.grad(logits(model, seed)[:, 0].sum(), list(names.values()))
        separated = dict(zip(names, found, strict=True))
        logits(model, seed).square().sum().backward()  # another loss, which must not count
        remember_(model, separated)
        for kind, step in written_out(model, separated).items():
            before = wanted.get(kind, [0.0] * len(step))
            wanted[kind] = [0.998 * b + 0.002 * s for b, s in zip(before, step, strict=True)]
    for kind, group in zip(("qk", "vo", "ffn"), groups, strict=False):
        found = model.get_submodule(group.matrices[0][0]).importance
        assert float(found.max()) > 0
        torch.testing.assert_close(found, torch.tensor(wanted[kind]), rtol=1e-3, atol=1e-9)


def test_a_nonfinite_step_is_not_remembered() -> None:
    model, groups = student()
    logits(model).sum().backward()
    remember_(model)
    layer = model.get_submodule(groups[0].matrices[0][0])
    before = layer.importance.clone()
    names = separated_parameters(model)
    remember_(model, {name: torch.full_like(p, torch.nan) for name, p in names.items()})
    assert before.any() and torch.equal(layer.importance, before)
