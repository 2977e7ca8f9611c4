"""A step whose gradient is NaN or infinite is skipped as if it had not been, up to a limit."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers import Result, record_of

from lada.training.modules import StudentModule
from lada.training.optim import make_adamw

Cli = Callable[..., Result]


def infinite_loss_at(steps: set[int], monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Make the loss infinite at these steps; returns for each step whether any weight changed."""
    original = StudentModule.training_step
    end = StudentModule.on_train_batch_end
    changed: list[bool] = []
    before: dict[str, Any] = {}

    def poisoned(self: StudentModule, batch: Any, index: int) -> Any:
        loss = original(self, batch, index)
        before["bias"] = self.model.classifier.bias.detach().clone()
        # Not by a product: the gradient of inf * loss is inf too.
        return loss * float("inf") if self.global_step in steps else loss

    def note(self: StudentModule, *args: Any) -> None:
        changed.append(not torch.equal(before["bias"], self.model.classifier.bias))
        end(self, *args)

    monkeypatch.setattr(StudentModule, "training_step", poisoned)
    monkeypatch.setattr(StudentModule, "on_train_batch_end", note)
    return changed


def test_skipped_in_bf16(
    train_py: Cli, tiny: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed = infinite_loss_at({2, 7, 15}, monkeypatch)
    result = train_py(*tiny, "trainer.precision=bf16")
    assert result.code == 0, result.err
    assert [i for i, moved in enumerate(changed) if not moved] == [2, 7, 15]
    assert record_of(tmp_path / "out")["artifact"]["scores"]["dev"]["accuracy"] > 0.8


def test_one_more_than_allowed_stops(
    train_py: Cli, tiny: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    infinite_loss_at({2, 7, 15}, monkeypatch)
    result = train_py(*tiny, "trainer.precision=bf16", "trainer.skipped_steps=2")
    assert result.code == 2
    assert "at step 15, after 2 skipped steps" in result.err
    assert "The last good checkpoint is" in result.err


def test_fp32_stops_at_once(
    train_py: Cli, tiny: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    changed = infinite_loss_at({13}, monkeypatch)
    result = train_py(*tiny)
    assert result.code == 2
    assert "NaN or infinite at step 13." in result.err
    assert len(changed) == 13


def test_a_skipped_step_does_not_count_for_adam() -> None:
    """Moments and step counts stay, so the next step is what it would have been."""
    start = torch.nn.Linear(3, 2).state_dict()
    ends = []
    for gradients in ([1.0, 2.0, 3.0], [1.0, 2.0, float("nan"), 3.0]):
        model = torch.nn.Linear(3, 2)
        model.load_state_dict(start)
        optimizer = make_adamw(model, lr=0.1, weight_decay=0.1)
        for value in gradients:
            for p in model.parameters():
                p.grad = torch.full_like(p, value)
            nonfinite = not math.isfinite(value)
            optimizer.found_inf = torch.tensor(float(nonfinite))  # type: ignore[attr-defined]
            optimizer.step()
        assert {float(optimizer.state[p]["step"]) for p in model.parameters()} == {3.0}
        ends.append(list(model.parameters()))
    assert all(torch.equal(a, b) for a, b in zip(*ends, strict=True))
