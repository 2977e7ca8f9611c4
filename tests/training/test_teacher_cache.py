"""Training from a teacher's kept outputs, and when it is not done."""

import errno
import os
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace as Namespace
from typing import Any

import numpy as np
import pytest
import torch
from helpers import Result, record_of
from transformers import BertConfig, BertForSequenceClassification

from lada.data import outputs
from lada.data.outputs import Layout
from lada.data.tokens import Encoded
from lada.heads import head_named
from lada.run import teacher_cache
from lada.run.live import why_live
from lada.run.machine import Machine
from lada.run.teacher import Teacher
from lada.run.teacher_cache import TOKENS, TeacherCache, _batches
from lada.training import modules
from lada.training.modules import StudentModule

Cli = Callable[..., Result]
GB = 10**9
STATES = Layout(classes=2, states=3, width=8, layers=2, heads=2)
LOGITS = Layout(classes=2)


@pytest.mark.parametrize(
    ("layout", "changed", "words"),
    [
        (STATES, {}, None),
        (LOGITS, {}, None),
        (LOGITS, {"accelerator": "gpu"}, None),
        (LOGITS, {"epochs": 1.0}, None),
        (STATES, {"epochs": 1.0}, "used once"),
        (LOGITS, {"epochs": 0.5}, "used once"),
        (STATES, {"accelerator": "gpu"}, "GPU"),
        (STATES, {"nodes": 2}, "machines"),
        (LOGITS, {"nodes": 2}, "machines"),
        (STATES, {"gb": 1.9}, "teacher_cache.gb is 1.9"),
        (STATES, {"gb": 0.0}, "teacher_cache.gb is 0"),
        (STATES, {"free": 2 * GB}, "the disk has 2 GB free"),
    ],
)
def test_why_live(layout: Layout, changed: dict[str, Any], words: str | None) -> None:
    usual = {"gb": 2.0, "epochs": 3.0, "accelerator": "cpu", "nodes": 1, "free": 100 * GB}
    reason = why_live(layout, 2 * GB, **(usual | changed))
    assert reason is None if words is None else words in str(reason)


def test_every_part_of_the_key_counts(tmp_path: Path) -> None:
    """What the outputs depend on is in the name of their folder."""
    small = {"num_hidden_layers": 1, "hidden_size": 8, "num_attention_heads": 2, "vocab_size": 9}
    names = {0: "no", 1: "yes"}

    def cache(**changed: Any) -> TeacherCache:
        torch.manual_seed(changed.get("weights", 1))
        model = BertForSequenceClassification(BertConfig(**small, intermediate_size=8))
        model.config.id2label = changed.get("labels", names)
        folder = tmp_path / f"{changed.get('weights', 1)}"
        model.save_pretrained(folder)
        ids = np.array([2, 5, 3, 2, changed.get("token", 4), 3], dtype=np.int32)
        starts = np.array(changed.get("starts", [0, 3, 6]), dtype=np.int64)
        first = np.array(changed.get("first", [3, 3]), dtype=np.int32)
        machine = Machine(
            "cpu", changed.get("precision", "fp32"), changed.get("threads", 1), 0, 0, "cpu"
        )
        method = Namespace(hidden=changed.get("hidden", True), maps=changed.get("maps", "scores"))
        rows = Encoded(ids, starts, first, np.zeros(2, dtype=np.int64))
        config = Namespace(paths=Namespace(cache=str(tmp_path)))
        head = head_named("single_label", ("no", "yes"))
        job: Any = Namespace(config=config, method=method, learned=rows, machine=machine, head=head)
        return TeacherCache(job, Teacher(model, folder, {}))

    changes: list[dict[str, Any]] = [
        {}, {"weights": 2}, {"labels": {0: "yes", 1: "no"}}, {"token": 6}, {"starts": [0, 2, 6]},
        {"first": [3, 2]}, {"precision": "bf16"}, {"hidden": False}, {"maps": "probabilities"},
        {"maps": None}, {"threads": 2},
    ]  # fmt: skip
    found = [cache(**change)._folder for change in changes]
    assert len(set(found)) == len(changes)
    assert cache()._folder == found[0]


def test_the_pass_has_every_row_once_in_small_batches() -> None:
    lengths = np.array([3, 512, 5, 1, 90, 512, 64] * 30)
    batches = list(_batches(lengths))
    assert sorted(np.concatenate(batches)) == list(range(len(lengths)))
    assert all(len(rows) * lengths[rows].max() <= TOKENS for rows in batches)
    assert len(batches) < 20


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, float]]:
    """The terms of the loss of every step."""
    found: list[dict[str, float]] = []
    original = StudentModule.log_terms

    def note(self: StudentModule, terms: dict[str, torch.Tensor], batch_idx: int) -> None:
        found.append({name: float(term.detach()) for name, term in terms.items()})
        original(self, terms, batch_idx)

    monkeypatch.setattr(StudentModule, "log_terms", note)
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    ("maps", "precision", "close"),
    [
        ("scores", "fp32", 2e-3),
        ("probabilities", "fp32", 2e-3),
        ("values", "fp32", 2e-3),
        ("scores", "bf16", 2e-2),
    ],
)
def test_losses_are_the_live_ones(
    train_py: Cli,
    tiny: list[str],
    tmp_path: Path,
    told: list[dict[str, float]],
    maps: str,
    precision: str,
    close: float,
) -> None:
    args = [*tiny, f"distill.maps={maps}", f"trainer.precision={precision}"]
    assert train_py(*args, f"paths.outputs={tmp_path}/live", "teacher_cache.gb=0").code == 0
    live = told.copy()
    told.clear()
    assert train_py(*args, f"paths.outputs={tmp_path}/kept").code == 0
    assert record_of(tmp_path / "live")["teacher_outputs"] == "live"
    assert record_of(tmp_path / "kept")["teacher_outputs"] == "kept outputs"
    assert len(live) == len(told) > 20
    assert set(live[0]) == {"loss", "prediction", "embedding", "hidden", "attention"}
    for one, other in zip(live[:3], told[:3], strict=True):
        assert one == pytest.approx(other, rel=close, abs=1e-5)


@pytest.mark.slow
def test_written_once_for_all_runs(
    train_py: Cli, tiny: list[str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    args = [*tiny, "callbacks.progress=lines"]
    assert train_py(*args).code == 0
    assert "writing its outputs" in caplog.text
    files = list((tmp_path / "cache/teacher").rglob("*.float*"))
    assert {file.name for file in files} == {"logits.float32", "hidden.float16", "maps.float16"}
    written = {file: file.stat().st_mtime_ns for file in files}
    caplog.clear()
    assert train_py(*args, "optim.lr=2e-3").code == 0
    assert "stored outputs found" in caplog.text
    assert {file: file.stat().st_mtime_ns for file in files} == written
    # A truncated one is made again, the same.
    content = files[0].read_bytes()
    files[0].write_bytes(content[:-1])
    caplog.clear()
    assert train_py(*args, "optim.lr=3e-3").code == 0
    assert "writing its outputs" in caplog.text
    assert files[0].read_bytes() == content
    assert not [f for f in (tmp_path / "cache/teacher").iterdir() if f.name.startswith(".")]


def test_logits_alone(
    train_py: Cli, tiny: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = []
    original = modules.forward

    def forward(model: Any, *args: Any, **kwargs: Any) -> Any:
        if "hidden" in kwargs:  # not where the teacher is fine-tuned, nor in a validation check
            models.append(model)
        return original(model, *args, **kwargs)

    monkeypatch.setattr(modules, "forward", forward)
    assert train_py(*tiny, "distill=prediction", "optim.epochs=1").code == 0
    (file,) = (tmp_path / "cache/teacher").rglob("*.float*")
    assert file.name == "logits.float32"
    rows = record_of(tmp_path)["data"]["train"]["rows"]
    assert file.stat().st_size == 8 * rows  # 4 bytes a class and row
    assert len({id(model) for model in models}) == 1  # the student


def test_no_room(
    train_py: Cli,
    tiny: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(
        teacher_cache.shutil, "disk_usage", lambda place: usage(10**12, 10**12, 1000)
    )
    assert train_py(*tiny, "callbacks.progress=lines").code == 0
    assert "runs with the student (its outputs take" in caplog.text
    assert record_of(tmp_path)["teacher_outputs"] == "live"
    assert not list((tmp_path / "cache/teacher").rglob("*.float*"))


def test_disk_that_fills_up(
    train_py: Cli, tiny: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    written = outputs._write

    def write(*args: Any) -> None:
        calls.append(args)
        if len(calls) > 40:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written(*args)

    with monkeypatch.context() as patch:
        patch.setattr(outputs, "_write", write)
        result = train_py(*tiny)
    assert result.code == 2
    assert "No space left" in result.err
    assert len(result.err.strip().splitlines()) == 1
    assert not list((tmp_path / "cache/teacher").rglob("*.float*"))
    assert train_py(*tiny).code == 0


def test_too_large_for_float16(
    train_py: Cli, tiny: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = teacher_cache.forward

    def forward(*args: Any, **kwargs: Any) -> Any:
        found = original(*args, **kwargs)
        found.hidden[1].view(-1)[0] = 1e5
        return found

    monkeypatch.setattr(teacher_cache, "forward", forward)
    assert train_py(*tiny).code == 0
    assert record_of(tmp_path)["teacher_outputs"] == "live"
    assert not list((tmp_path / "cache/teacher").rglob("*.float*"))
