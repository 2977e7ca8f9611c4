"""Compression in a loop of one's own: rounds, resume, and what happens when a call is forgotten."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from compressing import AT, Rounds, check_at_target, check_stored, compression, examples
from torch import Tensor, nn

import lada
from lada.artifact.classifier import Classifier
from lada.artifact.export import export
from lada.compression import Compression
from lada.errors import LadaError
from lada.nn.compressed import compressed_layers
from lada.nn.pretrained import load_tokenizer

STEPS = 10


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return load_tokenizer(None, ["the soup was not bad at all"])


def adamw(model: nn.Module) -> torch.optim.AdamW:
    return torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.1)


def loop(
    c: Compression, optimizer: torch.optim.Optimizer, start: int = 0, end: int = STEPS
) -> list[float]:
    """Plain training by the student's own loss; gives the losses."""
    batch, losses = examples(), []
    for step in range(start, end):
        c.before_step(step, optimizer)
        part = {name: values[8 * (step % 4) :][:8] for name, values in batch.items()}
        loss = c.model(**part).loss
        loss.backward()
        c.after_backward()
        torch.nn.utils.clip_grad_norm_(c.model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize("ranks", [True, False])
@pytest.mark.parametrize("lower_rank", ["truncate", "refactorize"])
def test_a_plain_loop_ends_at_the_target(
    ranks: bool, lower_rank: str, tokenizer: Any, tmp_path: Path
) -> None:
    c = compression(ranks=ranks, method=Rounds(lower_rank))
    loop(c, adamw(c.model))
    check_at_target(c)
    check_stored(c, tokenizer, tmp_path / "artifact")


@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.Adam, torch.optim.RMSprop])
def test_other_optimizers(kind: Any) -> None:
    c = compression()
    extra = {"momentum": 0.9} if kind is not torch.optim.Adam else {}
    loop(c, kind(c.model.parameters(), lr=1e-3, **extra))
    check_at_target(c)


@pytest.mark.parametrize("cut", [2, 3, 5, 8])
def test_it_resumes_bit_equal_in_the_middle(cut: int, tmp_path: Path) -> None:
    whole = compression()
    losses = loop(whole, adamw(whole.model))
    first = compression()
    optimizer = adamw(first.model)
    loop(first, optimizer, end=cut)
    states = [first.model.state_dict(), optimizer.state_dict(), first.state_dict()]
    torch.save([*states, torch.get_rng_state()], tmp_path / "checkpoint")

    again = compression(seed=1)
    optimizer = adamw(again.model)
    model, moments, rounds, rng = torch.load(tmp_path / "checkpoint", weights_only=True)
    again.model.load_state_dict(model)
    optimizer.load_state_dict(moments)
    again.load_state_dict(rounds)
    torch.set_rng_state(rng)
    assert loop(again, optimizer, start=cut) == losses[cut:]
    assert again.round == whole.round
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, again.model.state_dict()[name]), name


class TestForgotten:
    """Each call that was left out is an error that names it, at each place."""

    def test_no_call_at_all(self, tokenizer: Any, tmp_path: Path) -> None:
        c = compression()
        with pytest.raises(LadaError, match=r"round 1 of 3 .* Call compression\.before_step"):
            c.after_backward()
        with pytest.raises(LadaError, match="round 1 of 3"):
            lada.save(c.model, tokenizer, tmp_path / "artifact", {"task": "demo"})
        assert not (tmp_path / "artifact").exists()

    def test_the_optimizer_steps_past_a_round(self) -> None:
        c = compression()
        optimizer = adamw(c.model)
        c.before_step(0, optimizer)
        for _ in range(AT[1]):
            c.model(**examples(8)).loss.backward()
            optimizer.step()
        with pytest.raises(LadaError, match="round 2 of 3 was due before step 3"):
            optimizer.step()
        with pytest.raises(LadaError, match="round 2 of 3"):
            c.after_backward()

    def test_steps_of_an_optimizer_that_was_not_given(self) -> None:
        c = compression()
        c.before_step(0)
        with pytest.raises(LadaError, match="round 2 of 3 was due before step 3"):
            c.before_step(5)

    def test_saved_or_exported_with_moments_that_were_not_cleared(
        self, tokenizer: Any, tmp_path: Path
    ) -> None:
        c = compression(ranks=False)
        optimizer = adamw(c.model)
        c.model(**examples()).loss.backward()
        optimizer.step()
        for step in AT:
            c.before_step(step)  # without the optimizer, which has moments
        c.model(**examples()).loss.backward()
        optimizer.step()
        names = "|".join(compressed_layers(c.model))
        says = rf"pruned entries of ({names}) are not zero.*before_step"
        with pytest.raises(LadaError, match=says):
            lada.save(c.model, tokenizer, tmp_path / "artifact", {"task": "demo"})
        classifier = Classifier(c.model, tokenizer, ("bad", "good"), {})  # type: ignore[arg-type]
        with pytest.raises(LadaError, match=says):
            export(classifier, "onnx", tmp_path / "onnx")
        with pytest.raises(LadaError, match=says):
            c.before_step(AT[-1] + 1, optimizer)

    def test_a_written_entry_is_named_with_its_layer(self) -> None:
        c = compression()
        for step in AT:
            c.before_step(step)
        name, layer = next((n, m) for n, m in compressed_layers(c.model).items() if m.masked)
        part, mask = next(iter(layer.masks.items()))
        with torch.no_grad():
            rows, columns = torch.nonzero(~layer.active(mask), as_tuple=True)
            layer.active(part)[rows[0], columns[0]] = 1e-3
        with pytest.raises(LadaError, match=f"1 pruned entries of {name} are not zero"):
            c.before_step(7)
        layer.apply_masks_()
        assert c.before_step(7) == []

    def test_the_state_of_the_model_alone_was_loaded(self) -> None:
        c = compression()
        loop(c, adamw(c.model), end=5)
        again = compression()
        again.load_state_dict(c.state_dict())
        with pytest.raises(LadaError, match=r"has rank \d+.*Load the model's state"):
            again.before_step(5)

    def test_a_step_before_a_round_that_was_done(self) -> None:
        c = compression()
        c.before_step(0)
        c.before_step(1)
        c.before_step(2)
        c.before_step(3)
        with pytest.raises(LadaError, match="round 2 was done before step 3"):
            c.before_step(1)


@pytest.mark.parametrize(
    ("at", "says"), [((0, 3), "has 2 steps"), ((1, 2, 3), "rise from 0"), ((0, 3, 3), "rise")]
)
def test_wrong_steps(at: tuple[int, ...], says: str) -> None:
    c = compression()
    with pytest.raises(LadaError, match=says):
        Compression(c.model, Rounds(), c.plan, at)


@pytest.mark.parametrize("name", ["target", "at", "ratios", "round"])
def test_a_state_of_another_plan_is_rejected_by_name(name: str) -> None:
    c = compression()
    state = c.state_dict()
    other = {"target": 5.0, "at": [0, 1, 2], "ratios": [1.0, 2.0, 3.0]}
    changed = {k: v for k, v in state.items() if k != name}
    if name in other:
        changed[name] = other[name]
    with pytest.raises(LadaError, match=name):
        c.load_state_dict(changed)


class _Watching(Rounds):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[dict[str, Tensor]] = []

    def watch_(self, student: Any, gradients: Mapping[str, Tensor]) -> None:
        self.seen.append(dict(gradients))


def test_scores_see_whole_gradients_of_all_backward_passes() -> None:
    """Also of pruned entries, whose own gradients are zero by then."""
    method = _Watching()
    c = compression(dropout=0.0, ranks=False, method=method)
    for step in AT:
        c.before_step(step)
    batch = examples(8)
    name, layer = next((n, m) for n, m in compressed_layers(c.model).items() if "query" in n)
    (part,) = layer.masks
    param = getattr(layer, part)
    expected = torch.zeros_like(param)
    for half in (slice(0, 4), slice(4, 8)):
        loss = c.model(**{k: v[half] for k, v in batch.items()}).loss
        expected += torch.autograd.grad(loss, param, retain_graph=True)[0]
        loss.backward()
    c.after_backward()
    (seen,) = method.seen
    torch.testing.assert_close(seen[f"{name}.{part}"], expected)
    pruned = ~getattr(layer, layer.masks[part])
    assert seen[f"{name}.{part}"][pruned].any()
    assert not param.grad[pruned].any()
    c.model(**batch).loss.backward()
    c.before_step(AT[-1] + 1)
    c.after_backward()
    assert not torch.equal(method.seen[1][f"{name}.{part}"], expected)  # not added to those before
