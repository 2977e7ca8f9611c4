"""compile=true: rounds change ranks, and no round makes torch compile again or give up."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers import Result, record_of
from torch._dynamo.testing import CompileCounterWithBackend
from torch._dynamo.utils import counters

from lada.nn import pretrained
from lada.training.modules import StudentModule

Cli = Callable[..., Result]


@pytest.mark.slow
def test_ten_rounds(
    train_py: Cli, tiny: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The backend that makes machine code takes minutes on a small CPU; what is traced is the same.
    graphs = CompileCounterWithBackend("aot_eager")
    compile_ = torch.nn.Module.compile
    monkeypatch.setattr(
        torch.nn.Module, "compile", lambda self, **kw: compile_(self, **kw, backend=graphs)
    )
    ranks: list[tuple[int, ...]] = []
    found: list[int] = []
    end = StudentModule.on_train_batch_end

    def note(self: StudentModule, *args: Any) -> None:
        from lada.nn.compressed import compressed_layers

        ranks.append(tuple(layer.rank for layer in compressed_layers(self.model).values()))
        found.append(graphs.frame_count)
        end(self, *args)

    monkeypatch.setattr(StudentModule, "on_train_batch_end", note)
    torch._dynamo.reset()
    counters.clear()
    # One layer: tracing is what takes the time, a layer after the other.
    config = pretrained.BertConfig
    one = {"num_hidden_layers": 1}
    monkeypatch.setattr(pretrained, "BertConfig", lambda **given: config(**(given | one)))
    args = [
        f"paths.teachers={tmp_path}/teachers",
        "teacher.epochs=8",
        "compile=true",
        "schedule.rounds=10",
        "optim.epochs=3",
        "target=7.5x",
    ]
    result = train_py(*tiny, *args)
    assert result.code == 0, result.err
    assert len(set(ranks)) >= 8  # the rounds did change ranks
    assert found[0] >= 1
    first_looks = len(found) // 4
    assert found[-1] == found[first_looks] <= 8, found
    assert not counters["recompile_limit"]
    assert record_of(tmp_path / "out")["artifact"]["scores"]["dev"]["accuracy"] > 0.8
