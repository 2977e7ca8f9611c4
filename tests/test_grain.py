"""method=grain and method.score=grain: whose gradients decide, in any loop and in runs."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from compressing import check_at_target, check_stored, examples
from helpers import Result, record_of, run_in, small_bert
from stopped import check_resumed

import lada
from lada.compression import Compression
from lada.config import ScheduleConfig
from lada.distilling import distillation_loss
from lada.methods.grain import GrainSettings
from lada.methods.groups import DistillConfig
from lada.methods.lada import LadaSettings
from lada.nn.compressed import compressed_layers
from lada.nn.memory import has_memory, separated_parameters
from lada.nn.pretrained import load_tokenizer
from lada.nn.units import UnitLinear

Cli = Callable[..., Result]
STEPS = 20
BOTH = pytest.mark.parametrize("method", [GrainSettings(), LadaSettings(score="grain")],
                               ids=["units", "entries"])  # fmt: skip


def prepared(method: Any, seed: int = 0, **given: Any) -> tuple[Compression, Any]:
    """A compression, and its teacher, which differs from the student from the start."""
    torch.manual_seed(seed)
    teacher = small_bert().eval()
    return lada.prepare(teacher, target=4, steps=STEPS, method=method, **given), teacher


def batches(step: int) -> dict[str, torch.Tensor]:
    return {name: values[8 * (step % 4) :][:8] for name, values in examples().items()}


def loop(c: Compression, teacher: Any, optimizer: Any, start: int = 0, end: int = STEPS) -> Any:
    for step in range(start, end):
        c.before_step(step, optimizer)
        c.distillation_loss(batches(step), teacher=teacher).backward()
        c.after_backward()
        optimizer.step()
        optimizer.zero_grad()
    return {name: value.clone() for name, value in c.model.state_dict().items()}


def adamw(c: Compression) -> torch.optim.AdamW:
    return torch.optim.AdamW(c.model.parameters(), lr=3e-3)


def memory(c: Compression) -> dict[str, torch.Tensor]:
    state = c.model.state_dict()
    return {name: v.clone() for name, v in state.items() if name.endswith("importance")}


@BOTH
def test_in_any_loop(method: Any, tmp_path: Path) -> None:
    """It meets the target, resumes bit-equal, and its file answers as the student does."""
    made, teacher = prepared(method)
    whole = loop(made, teacher, adamw(made))
    check_at_target(made)
    check_stored(made, load_tokenizer(None, ["the soup was not bad"]), tmp_path / "stored")
    assert not any(
        "importance" in name for name in lada.load(tmp_path / "stored").model.state_dict()
    )

    cut, _ = prepared(method)
    optimizer = adamw(cut)
    loop(cut, teacher, optimizer, end=7)
    states = [cut.model.state_dict(), optimizer.state_dict(), cut.state_dict()]
    torch.save([*states, torch.get_rng_state()], tmp_path / "checkpoint")
    again, _ = prepared(method, seed=1)
    optimizer = adamw(again)
    model, moments, rounds, rng = torch.load(tmp_path / "checkpoint", weights_only=True)
    again.model.load_state_dict(model)
    optimizer.load_state_dict(moments)
    again.load_state_dict(rounds)
    torch.set_rng_state(rng)
    found = loop(again, teacher, optimizer, start=7)
    assert found.keys() == whole.keys()
    assert all(torch.equal(value, whole[name]) for name, value in found.items())


@BOTH
def test_the_gradients_are_of_the_predictions_alone(method: Any) -> None:
    """Over accumulated parts: what is remembered is what the predictions' term alone gives."""
    hidden = DistillConfig(hidden=100.0, labels=0.5)
    seen = []
    for alone in (False, True):
        c, teacher = prepared(method, distill=hidden)
        c.before_step(0)
        c.model.eval()
        with torch.no_grad():
            for p in c.model.parameters():
                p.add_(torch.randn(p.shape, generator=torch.Generator().manual_seed(1)) * 0.02)
            for layer in compressed_layers(c.model).values():
                layer.apply_masks_()
        for part in range(2):
            batch = batches(part)
            if alone:
                only = DistillConfig(embedding=0.0, hidden=0.0, attention=0.0, labels=0.5)
                objective, _ = prepared(method, distill=only)
                made = objective._method
                distillation_loss(made, c.model, teacher, batch, None, c._head).backward()
            else:
                c.distillation_loss(batch, teacher=teacher).backward()
        c.after_backward()
        seen.append(memory(c))
    assert len(seen[0]) == len(seen[1]) > 5
    for name, value in seen[0].items():
        torch.testing.assert_close(value, seen[1][name], rtol=1e-3, atol=1e-9)
    assert any(bool(value.any()) for value in seen[0].values())


@BOTH
def test_another_loss_counts_as_a_whole(method: Any) -> None:
    """Unless its part is separated; what was separated in a step does not count in the next."""
    seen = []
    for separated in (None, 0, 1):
        c, _ = prepared(method)
        c.before_step(0)
        c.model.eval()
        for step in range(2):
            c.model.zero_grad()
            logits = c.model(**batches(0)).logits
            first, second = logits[:, 0].sum(), logits[:, 1].square().sum()
            if separated == step:
                c.separate(first)
            (first + second).backward()
            c.after_backward()
        seen.append(memory(c))
    whole, one, two = seen
    names = [name for name, value in whole.items() if bool(value.any())]
    assert names
    assert any(not torch.allclose(whole[n], one[n], rtol=1e-3) for n in names)
    for name in names:  # the steps commute but for the smoothing
        torch.testing.assert_close(one[name], two[name], rtol=0.01, atol=1e-6)


def test_only_this_score_costs_a_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    original = torch.autograd.grad

    def counted(*args: Any, **kwargs: Any) -> Any:
        calls.append(1)
        return original(*args, **kwargs)

    monkeypatch.setattr(torch.autograd, "grad", counted)
    for method, least in ((LadaSettings(score="platon"), 0), (LadaSettings(score="grain"), 1)):
        c, teacher = prepared(method)
        loop(c, teacher, adamw(c))
        assert len(calls) == least * c.at[-1]  # none after the last round
    calls.clear()
    c, teacher = prepared(
        LadaSettings(score="grain"), distill=DistillConfig(embedding=0.0, hidden=0.0, attention=0.0)
    )
    loop(c, teacher, adamw(c))
    assert not calls  # the whole loss is of the predictions
    assert c.finished and has_memory(compressed_layers(c.model).values())


def test_settings_that_do_not_fit() -> None:
    with pytest.raises(lada.LadaError, match=r"^method=grain: .* schedule\.rounds=1 prunes before"):
        prepared(GrainSettings(), schedule=ScheduleConfig(rounds=1))
    c, _ = prepared(GrainSettings())
    c.before_step(0)
    c.model(**examples(8)).loss.backward()
    with pytest.raises(lada.LadaError, match=r"^method=grain: round 2 .*after_backward"):
        c.before_step(c.at[1])
    assert not separated_parameters(prepared(LadaSettings())[0].model)


def test_few_bits(tmp_path: Path) -> None:
    made, teacher = prepared(GrainSettings(), values="int4")
    loop(made, teacher, adamw(made))
    lada.save(made.model, load_tokenizer(None, ["a b"]), tmp_path / "x",
              {"max_length": 16, "pairs": False}, values="int4")  # fmt: skip
    found = compressed_layers(lada.load(tmp_path / "x").model)
    with torch.no_grad():
        for name, layer in compressed_layers(made.model).items():
            assert torch.equal(found[name].product(), layer.product())


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        ["method=grain", "schedule.shape=cubic"],
        ["method=grain", "trainer.accumulate=4", "method.factorizer=whitened"],
        ["method.score=grain"],
    ],
    ids=["units", "accumulated", "entries"],
)  # fmt: skip
def test_stopped_and_resumed(
    words: list[str], train_py: Cli, tiny: list[str], tmp_path: Path
) -> None:
    def stopped() -> None:
        last = max((run_in(tmp_path / "cut") / "checkpoints").glob("step-*.ckpt"))
        state = torch.load(last, weights_only=True)["state_dict"]
        assert any(bool(v.any()) for name, v in state.items() if name.endswith("importance"))

    check_resumed(train_py, [*tiny, *words], tmp_path, 8, stopped)
    record = record_of(tmp_path / "whole")
    assert record["reached"] == pytest.approx(5, rel=0.005)
    layers = compressed_layers(lada.load(run_in(tmp_path / "whole") / "artifact").model)
    if words[0] != "method=grain":
        return
    for name, layer in layers.items():
        if "embeddings" in name:
            continue
        rows, columns = layer.mask.any(1), layer.mask.any(0)
        assert torch.equal(layer.mask, rows[:, None] & columns[None])
        assert not layer.weight[~layer.mask].any()
    assert not any(isinstance(layer, UnitLinear) for layer in layers.values())
