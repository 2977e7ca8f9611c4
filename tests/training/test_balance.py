"""Terms that are balanced by the norms of their gradients."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers import Result
from stopped import check_resumed
from torch import Tensor, nn

import lada
from lada.config import DistillConfig
from lada.errors import LadaError
from lada.methods.objectives import TERMS
from lada.nn.compressed import compressed_layers
from lada.nn.gradients import gradient_norm
from lada.nn.masked import MaskedLinear
from lada.ops.balance import LARGEST, multipliers
from lada.training.balance import EVERY, Balance
from lada.training.modules import StudentModule
from tests.families import tiny as tiny_model

Cli = Callable[..., Result]
ONE = torch.ones(())


def masked() -> MaskedLinear:
    torch.manual_seed(0)
    layer = MaskedLinear.from_linear(nn.Linear(3, 2))
    layer.set_masks_(torch.tensor([[True, False, True], [False, True, True]]))
    return layer


def test_a_norm_is_that_of_what_is_trained() -> None:
    """By backward, which leaves pruned entries without a gradient; frozen parameters have none."""
    layer = masked()
    frozen = nn.Linear(2, 2).requires_grad_(False)
    model, x = nn.Sequential(layer, frozen), torch.randn(4, 3)
    value = model(x).square().sum()
    found = gradient_norm(model, value)
    assert all(p.grad is None for p in model.parameters())
    value.backward()  # the graph is still there
    squares = [p.grad.square().sum() for p in layer.parameters() if p.grad is not None]
    torch.testing.assert_close(found, torch.stack(squares).sum().sqrt())
    raw = torch.autograd.grad(model(x).square().sum(), list(layer.parameters()))
    assert float(found) < float(torch.nn.utils.get_total_norm(raw))
    assert float(gradient_norm(model, torch.tensor(3.0))) == 0.0


def test_norms_that_say_nothing_change_nothing() -> None:
    before = torch.tensor([2.0, 3.0, 4.0, 5.0])
    norms = torch.tensor([8.0, 0.0, torch.nan, 1e-6])
    assert multipliers(norms, torch.tensor(4.0), before).tolist() == [0.5, 3.0, 4.0, LARGEST]
    for reference in (0.0, torch.nan, torch.inf):
        assert torch.equal(multipliers(norms, torch.tensor(reference), before), before)


def terms_of(model: nn.Module, x: Tensor) -> dict[str, tuple[float, Tensor]]:
    out = model(x)
    return {
        "prediction": (1.0, out.sum()),
        "hidden": (3.0, 40 * out.square().sum()),
        "attention": (0.5, 0.2 * out.abs().sum()),
    }


def test_gradients_are_as_long_as_the_weights_say() -> None:
    model, x = masked(), torch.randn(4, 3)
    terms, balance = terms_of(model, x), Balance([0, 7])
    balance.measure_(model, terms, ONE)
    unit = gradient_norm(model, terms["prediction"][1])
    for name, (weight, term) in terms.items():
        norm = gradient_norm(model, weight * balance.of(name) * term)
        torch.testing.assert_close(norm, weight * unit)
    known = dict(zip(TERMS, balance.multipliers.tolist(), strict=True))
    assert (known["embedding"], known["labels"]) == (1.0, 1.0)  # there are no such terms
    before = balance.multipliers.clone()
    balance.measure_(model, terms_of(model, x), torch.zeros(()))  # no example of its own
    assert torch.equal(balance.multipliers, before)


def test_when_it_measures() -> None:
    balance = Balance([0, 7, 150])
    assert [step for step in range(2 * EVERY + 1) if balance.is_due(step)] == [0, 7, 100, 150, 200]


@pytest.mark.slow
def test_a_run_and_its_resumption(
    tiny: list[str], train_py: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It measures on one part of a step alone, and what it found is in checkpoints."""
    seen: list[tuple[int, list[float]]] = []
    measure, step = Balance.measure_, StudentModule.training_step

    def note(self: Balance, *args: Any) -> None:
        measure(self, *args)
        seen[-1][1].extend(self.multipliers.tolist())

    def count(self: StudentModule, *args: Any) -> Tensor:
        seen.append((self.global_step, []))
        return step(self, *args)

    monkeypatch.setattr(Balance, "measure_", note)
    monkeypatch.setattr(StudentModule, "training_step", count)
    check_resumed(train_py, [*tiny, "distill.balance=gradients", "trainer.accumulate=2"], tmp_path)
    measured = [at for at, found in seen if found]
    whole = measured[: measured.index(0, 1)]  # of the run that was not stopped
    assert len(set(whole)) == len(whole) > 1
    parts = [at for at, _ in seen]
    assert all(parts.count(at) >= 2 for at in whole)
    found = torch.tensor([found for _, found in seen if found])
    assert bool((found > 0).all() and (found <= LARGEST).all())
    assert bool((found[:, :3] != 1).all() and (found[:, 3] == 1).all())  # there are no labels


def test_it_is_for_runs_and_for_more_than_one_term() -> None:
    with pytest.raises(LadaError, match=r"^distill\.balance=gradients: the predictions are the on"):
        DistillConfig(balance="gradients", embedding=0, attention=0, hidden=0)
    model = tiny_model("bert")
    with pytest.raises(LadaError, match=r"^distill\.balance=gradients: measures gradients in the"):
        lada.prepare(model, target=2, distill=DistillConfig(balance="gradients"))
    assert not compressed_layers(model)
