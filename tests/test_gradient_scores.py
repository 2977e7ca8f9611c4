"""Runs whose scores remember gradients, from the command line and in any loop."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from compressing import examples
from helpers import Result, run_in, small_bert
from safetensors import safe_open
from stopped import check_resumed, outcome, under

import lada
from lada.compression import Compression
from lada.config import ScheduleConfig
from lada.methods.lada import LadaSettings
from lada.methods.pruning import PruningSettings
from lada.nn.compressed import compressed_layers
from lada.nn.memory import has_memory
from lada.nn.pretrained import load_tokenizer

Cli = Callable[..., Result]
STEPS = 20
SCORES = ("movement", "platon")


def prepared(method: Any, seed: int = 0) -> Compression:
    torch.manual_seed(seed)
    return lada.prepare(small_bert(), target=4, steps=STEPS, method=method)


def adamw(c: Compression) -> torch.optim.AdamW:
    return torch.optim.AdamW(c.model.parameters(), lr=3e-3)


def loop(c: Compression, optimizer: torch.optim.Optimizer, start: int = 0, end: int = STEPS) -> Any:
    batch = examples()
    for step in range(start, end):
        c.before_step(step, optimizer)
        part = {name: values[8 * (step % 4) :][:8] for name, values in batch.items()}
        c.model(**part).loss.backward()
        c.after_backward()
        torch.nn.utils.clip_grad_norm_(c.model.parameters(), 0.1)
        optimizer.step()
        optimizer.zero_grad()
    return {name: value.clone() for name, value in c.model.state_dict().items()}


@pytest.mark.parametrize("kind", [LadaSettings, PruningSettings])
@pytest.mark.parametrize("score", SCORES)
def test_in_any_loop(kind: Any, score: str, tmp_path: Path) -> None:
    """It resumes bit-equal, and its file is one of the same size as without a memory."""
    made = prepared(kind(score=score))
    whole = loop(made, adamw(made))
    plain = prepared(kind(score="product"))
    other = loop(plain, adamw(plain))
    assert any(not torch.equal(value, whole[name]) for name, value in other.items())
    assert made.finished and made.ratio == plain.ratio

    cut = prepared(kind(score=score))
    optimizer = adamw(cut)
    loop(cut, optimizer, end=7)
    assert not cut.finished
    states = [cut.model.state_dict(), optimizer.state_dict(), cut.state_dict()]
    torch.save([*states, torch.get_rng_state()], tmp_path / "checkpoint")
    again = prepared(kind(score=score), seed=1)
    optimizer = adamw(again)
    model, moments, rounds, rng = torch.load(tmp_path / "checkpoint", weights_only=True)
    again.model.load_state_dict(model)
    optimizer.load_state_dict(moments)
    again.load_state_dict(rounds)
    torch.set_rng_state(rng)
    found = loop(again, optimizer, start=7)
    assert found.keys() == whole.keys() > other.keys()
    assert all(torch.equal(value, whole[name]) for name, value in found.items())

    tokenizer = load_tokenizer(None, ["the soup was not bad at all"])
    names = []
    for c, folder in ((made, tmp_path / "made"), (plain, tmp_path / "plain")):
        lada.save(c.model, tokenizer, folder, {"task": "demo", "max_length": 16}, values="fp32")
        with safe_open(folder / "model.safetensors", "pt") as file:
            names.append(set(file.keys()))
        batch = {k: v for k, v in examples().items() if k != "labels"}
        with torch.no_grad():
            wanted = c.model.eval()(**batch).logits
            torch.testing.assert_close(lada.load(folder).model(**batch).logits, wanted)
    assert names[0] == names[1]


def test_the_memory_stays_after_the_last_round() -> None:
    made = prepared(LadaSettings(score="platon"))
    optimizer = adamw(made)
    end = made.at[-1] + 1
    before = loop(made, optimizer, end=end)
    after = loop(made, optimizer, start=end)
    parts = [name for name in after if name.endswith(("_importance", "_uncertainty"))]
    assert parts and any(bool(after[name].any()) for name in parts)
    assert all(torch.equal(after[name], before[name]) for name in parts)


@pytest.mark.parametrize("forgotten", [False, True])
def test_forgotten_gradients(forgotten: bool) -> None:
    made = prepared(LadaSettings(score="movement"))
    assert made.before_step(0) == [0]
    made.model(**examples(8)).loss.backward()
    if forgotten:
        says = (
            r"^method\.score=movement: round 2 .*Call compression\.after_backward\(\) before every"
        )
        with pytest.raises(lada.LadaError, match=says):
            made.before_step(made.at[1])
        return
    made.after_backward()
    assert has_memory(compressed_layers(made.model).values())
    assert made.before_step(made.at[1]) == [1]


@pytest.mark.parametrize("score", SCORES)
def test_settings_that_do_not_fit(score: str) -> None:
    says = rf"^method\.score={score}: .*Give method\.lower_rank=truncate"
    with pytest.raises(lada.LadaError, match=says):
        LadaSettings(score=score, lower_rank="refactorize")
    given = {"target": 4, "method": PruningSettings(score=score)}
    with pytest.raises(lada.LadaError, match=r"schedule\.rounds=1 prunes before the first"):
        lada.prepare(small_bert(), schedule=ScheduleConfig(rounds=1), **given)
    assert len(lada.prepare(small_bert(), schedule=ScheduleConfig(rounds=2), **given).at) == 2


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        ["method.score=platon", "trainer.accumulate=4"],
        ["method.score=movement"],
        ["method=pruning", "method.score=platon", "method.threshold=global"],
    ],
    ids=["accumulated", "movement", "pruning"],
)
def test_stopped_and_resumed(
    words: list[str], train_py: Cli, tiny: list[str], tmp_path: Path
) -> None:
    """Between two rounds, it ends bit-equal; it is not what the product makes."""
    args = [*tiny, *words]
    parts = ("_moved",) if "method.score=movement" in words else ("_importance", "_uncertainty")

    def stopped() -> None:
        last = max((run_in(tmp_path / "cut") / "checkpoints").glob("step-*.ckpt"))
        state = torch.load(last, weights_only=True)["state_dict"]
        for part in parts:
            assert any(bool(value.any()) for name, value in state.items() if name.endswith(part))

    check_resumed(train_py, args, tmp_path, 8, stopped)
    product = [w if "score" not in w else "method.score=product" for w in words]
    done = train_py(*under(tmp_path / "product", [*tiny, *product]))
    assert done.code == 0, done.err
    first, second = (outcome(tmp_path / name) for name in ("product", "whole"))
    assert first[0] != second[0]
    assert first[2]["reached"] == second[2]["reached"]
