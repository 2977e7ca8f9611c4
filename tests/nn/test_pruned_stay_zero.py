"""Pruned entries stay exactly zero, whatever trains the layers and wherever they come from."""

import copy
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from transformers import Adafactor

from lada.nn.compressed import Compressed, compressed_layers
from lada.nn.factors import FactorizedEmbedding, FactorizedLinear
from lada.nn.masked import MaskedEmbedding, MaskedLinear
from lada.nn.residual import ResidualLinear
from lada.nn.rounds import compress_, forget_
from lada.ops.mask import largest
from lada.ops.plan import Round, Share

IDS = torch.arange(11).reshape(1, 11)


class Model(nn.Module):
    """Every kind of layer; `shared` is applied twice, as in MiniALBERT."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.table = FactorizedEmbedding.from_embedding(nn.Embedding(11, 8), 6)
        self.types = MaskedEmbedding.from_embedding(nn.Embedding(2, 8))
        self.shared = FactorizedLinear.from_linear(nn.Linear(8, 8), 6)
        self.norm = nn.LayerNorm(8)
        self.rest = ResidualLinear.from_linear(nn.Linear(8, 8), 4)
        self.last = MaskedLinear.from_linear(nn.Linear(8, 5, bias=False))

    def forward(self, ids: Tensor) -> Tensor:
        """Ids (batch, length) -> (batch, length, 5)."""
        states = self.table(ids) + self.types(ids % 2)
        for _ in range(2):
            states = self.norm(self.shared(states).tanh())
        out: Tensor = self.last(self.rest(states))
        return out


def pruned() -> Model:
    """With lower ranks, and half of what is left pruned."""
    model = Model()
    for layer in compressed_layers(model).values():
        prune_(layer)
    return model


def prune_(layer: Compressed, share: float = 0.5) -> None:
    if hasattr(layer, "lower_rank_") and layer.rank > 3:
        layer.lower_rank_(3, "truncate")
    active = [layer.active(name).detach().abs() for name in layer.masks]
    layer.set_masks_(*(largest(part, round(share * part.numel())) for part in active))


def step_(model: nn.Module, optimizer: torch.optim.Optimizer, parts: int = 2) -> None:
    """One step from several backward passes."""
    optimizer.zero_grad()
    for part in range(parts):
        (model(IDS).float() - part).square().mean().backward()
    optimizer.step()


def check(model: nn.Module, before: dict[str, Tensor]) -> None:
    """Zero where pruned and beyond the rank; all that is kept and has a gradient has moved."""
    layers = compressed_layers(model)
    assert len(layers) == 5
    for name, layer in layers.items():
        for part, mask_name in layer.masks.items():
            values, mask = getattr(layer, part), getattr(layer, mask_name)
            assert not mask.all()
            assert not values[~mask].any(), (name, part)
            assert layer.revived(part) == 0
            assert not torch.equal(values, before[f"{name}.{part}"].to(values)), (name, part)


def copies(model: nn.Module) -> dict[str, Tensor]:
    return {name: p.detach().clone() for name, p in model.named_parameters()}


OPTIMIZERS: dict[str, Callable[[Any], torch.optim.Optimizer]] = {
    "AdamW": lambda p: torch.optim.AdamW(p, lr=0.1, weight_decay=0.5),
    "AdamW fused": lambda p: torch.optim.AdamW(p, lr=0.1, weight_decay=0.5, fused=True),
    "AdamW amsgrad": lambda p: torch.optim.AdamW(p, lr=0.1, amsgrad=True),
    "Adam": lambda p: torch.optim.Adam(p, lr=0.1, weight_decay=0.5),
    "SGD": lambda p: torch.optim.SGD(p, lr=0.1, weight_decay=0.5),
    "SGD momentum": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True),
    "RMSprop": lambda p: torch.optim.RMSprop(p, lr=0.1, momentum=0.9, centered=True),
    "NAdam": lambda p: torch.optim.NAdam(p, lr=0.1),
    "RAdam": lambda p: torch.optim.RAdam(p, lr=0.1),
    "Adamax": lambda p: torch.optim.Adamax(p, lr=0.1),
    "Adagrad": lambda p: torch.optim.Adagrad(p, lr=0.1),
    "Adadelta": lambda p: torch.optim.Adadelta(p, lr=1.0),
    "Adafactor": lambda p: Adafactor(list(p), weight_decay=0.1),
    "Rprop": lambda p: torch.optim.Rprop(p, lr=0.1),
    "ASGD": lambda p: torch.optim.ASGD(p, lr=0.1),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_by_any_optimizer_that_treats_entries_one_by_one(name: str) -> None:
    model = pruned()
    optimizer, before = OPTIMIZERS[name](model.parameters()), copies(model)
    for _ in range(4):
        step_(model, optimizer)
    check(model, before)


def _reloaded(model: Model) -> Model:
    fresh = Model()
    fresh.load_state_dict(model.state_dict())
    return fresh


def _assigned(model: Model) -> Model:
    fresh = Model().to("meta")
    fresh.load_state_dict(model.state_dict(), assign=True)
    return fresh


def _by_way_of_meta(model: Model) -> Model:
    state = copy.deepcopy(model.state_dict())
    fresh = model.to("meta").to_empty(device="cpu")
    fresh.load_state_dict(state)
    return fresh


def _pickled(model: Model) -> Model:
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    found: Model = torch.load(file, weights_only=False)
    return found


def _frozen_copy(model: Model) -> Model:
    return copy.deepcopy(model.requires_grad_(False)).requires_grad_(True)


def _new_parameters(model: Model) -> Model:
    for layer in compressed_layers(model).values():
        for name in layer.masks:
            setattr(layer, name, nn.Parameter(getattr(layer, name).detach().clone()))
    return model


def _new_layers(model: Model) -> Model:
    """The layers' shallow copies in the place of the layers, which are gone."""
    for name, layer in compressed_layers(model).items():
        model.set_submodule(name, copy.copy(layer))
    return model


def _inferred(model: Model) -> Model:
    with torch.inference_mode():
        fresh = _reloaded(model)
        fresh(IDS)
    return copy.deepcopy(fresh)


def _compiled(model: Model) -> Model:
    model.compile(backend="aot_eager")
    return model


WAYS: dict[str, Callable[[Model], Model]] = {
    "deepcopy": copy.deepcopy,
    "torch.save": _pickled,
    "state_dict": _reloaded,
    "state_dict, assigned": _assigned,
    "by way of meta": _by_way_of_meta,
    "frozen, copied, trained": _frozen_copy,
    "new parameters": _new_parameters,
    "shallow copies": _new_layers,
    "inference mode": _inferred,
    "float64": lambda model: model.double(),
    "bfloat16": lambda model: model.to(torch.bfloat16),
    "compiled": _compiled,
}


@pytest.mark.parametrize("way", WAYS)
def test_however_the_layers_came(way: str) -> None:
    model = WAYS[way](pruned())
    optimizer, before = torch.optim.AdamW(model.parameters(), lr=0.1), copies(model)
    for _ in range(3):
        step_(model, optimizer)
    check(model, before)


def test_a_copy_and_its_source_have_masks_of_their_own() -> None:
    model = pruned()
    other = copy.deepcopy(model)
    other.last.set_masks_(~model.last.mask)
    for trained in (model, other):
        step_(trained, torch.optim.SGD(trained.parameters(), lr=0.1))
    assert torch.equal(model.last.weight != 0, model.last.mask)
    assert not other.last.weight[model.last.mask].any()


@pytest.fixture
def group(tmp_path: Path) -> Iterator[None]:
    store = f"file://{tmp_path / 'store'}"
    torch.distributed.init_process_group("gloo", init_method=store, rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


@pytest.mark.parametrize("views", [False, True])
def test_under_ddp(group: None, views: bool) -> None:
    model = pruned()
    before = copies(model)
    wrapped = DistributedDataParallel(model, gradient_as_bucket_view=views)
    optimizer = torch.optim.AdamW(wrapped.parameters(), lr=0.1)
    for _ in range(3):
        step_(wrapped, optimizer)
    check(model, before)


def test_clipping_sees_the_kept_entries_alone() -> None:
    model = pruned()
    model(IDS).square().sum().backward()
    kept = [
        getattr(layer, part).grad[getattr(layer, mask)].norm()
        for layer in compressed_layers(model).values()
        for part, mask in layer.masks.items()
    ]
    others = [
        p.grad.norm()
        for name, p in model.named_parameters()
        if name.endswith("bias") or name.startswith("norm.")
    ]
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    torch.testing.assert_close(norm, torch.stack([*kept, *others]).norm())


@pytest.mark.parametrize("name", ["AdamW", "SGD momentum", "Adafactor", "RMSprop"])
@pytest.mark.parametrize("stepped", [False, True])
@pytest.mark.parametrize("lower_rank", ["truncate", "refactorize"])
def test_an_optimizer_from_before_a_round(name: str, stepped: bool, lower_rank: str) -> None:
    """One that has stepped needs `forget_`; without it its moments move what was pruned."""

    def trained(*, forget: bool) -> Model:
        model = Model()
        optimizer = OPTIMIZERS[name](model.parameters())
        if stepped:
            for _ in range(2):
                step_(model, optimizer)
        shares = tuple(
            Share(n, 3, layer.factor_a.shape[0], layer.factor_b.shape[0])
            for n, layer in (("table", model.table), ("shared", model.shared))
        )
        round_ = Round(shares, 0, 1.0)
        renewed = compress_(model, round_, lower_rank=lower_rank, threshold="factor")
        if forget:
            forget_(optimizer, model, renewed)
        for _ in range(2):
            step_(model, optimizer)
        return model

    parts = ("factor_a", "factor_b")
    model = trained(forget=True)
    for layer in (model.table, model.shared):
        for part in parts:
            assert layer.revived(part) == 0
            assert not getattr(layer, part)[:, 3:].any()
            assert getattr(layer, part)[:, :3].any()
    kept = trained(forget=False)
    counts = [layer.revived(part) for layer in (kept.table, kept.shared) for part in parts]
    assert any(counts) == (stepped and name != "Adafactor")
