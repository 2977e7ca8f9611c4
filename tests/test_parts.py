"""Runs whose factors and scores look at examples, from the command line and in any loop."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import Result, record_of, small_bert
from stopped import check_resumed
from torch import Tensor

import lada
from lada.data.tokens import Encoded
from lada.methods import Context
from lada.methods.lada import LadaSettings
from lada.methods.pruning import PruningSettings
from lada.nn.compressed import compressed_layers
from lada.run.identity import statistics_key
from lada.run.machine import Machine

Cli = Callable[..., Result]
PARTS = ["method.factorizer=whitened", "method.score=activation", "method.examples=100"]
FISHER = "method.factorizer=fisher_whitened"


def files(folder: Path) -> list[Path]:
    return sorted((folder / "cache/statistics").glob("*.safetensors"))


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        PARTS,
        ["method=factorization_kd", *(PARTS[0], PARTS[2])],
        ["method=pruning_kd", *PARTS[1:]],
        [FISHER, *PARTS[1:], "method.lower_rank=refactorize"],
    ],
    ids=["lada", "factorization_kd", "pruning_kd", "fisher"],
)
def test_stopped_and_resumed(
    words: list[str], train_py: Cli, tiny: list[str], tmp_path: Path
) -> None:
    """It ends bit-equal, from statistics that are gathered once."""
    args = [*tiny, *words]
    written = []

    def stopped() -> None:
        (file,), (again,) = (files(tmp_path / name) for name in ("whole", "cut"))
        assert again.name == file.name and again.read_bytes() == file.read_bytes()
        written.append(again.stat().st_mtime_ns)

    check_resumed(train_py, args, tmp_path, stopped=stopped)
    (again,) = files(tmp_path / "cut")
    assert [again.stat().st_mtime_ns] == written
    assert record_of(tmp_path / "cut")["seconds"]["statistics"] >= 0


@pytest.mark.slow
def test_the_parts_decide_the_result(train_py: Cli, tiny: list[str], tmp_path: Path) -> None:
    found = []
    ways = {"paper": [], "score": PARTS[1:], "both": PARTS, "fisher": [FISHER, *PARTS[1:]]}
    for name, words in ways.items():
        done = train_py(*tiny, *words, f"paths.outputs={tmp_path / name}")
        assert done.code == 0, done.err
        (weights,) = (tmp_path / name).rglob("model.safetensors")
        found.append(weights.read_bytes())
        record = record_of(tmp_path / name)
        assert record["reached"] == pytest.approx(5, rel=0.005)
    assert len(set(found)) == len(ways)
    assert len(files(tmp_path)) == 2  # with gradients, and without


def test_gradients_are_of_these_labels(tmp_path: Path) -> None:
    """Other labels are other statistics; where there are no gradients, labels do not matter."""
    examples = Encoded(
        np.arange(6, dtype=np.int32),
        np.array([0, 3, 6]),
        np.array([3, 3], dtype=np.int32),
        np.array([0, 1]),
    )
    others = replace(examples, labels=np.array([1, 0]))
    folder = tmp_path / "teacher"
    small_bert().save_pretrained(folder)

    def key(of: Encoded, *, gradients: bool) -> str:
        machine = Machine("cpu", "fp32", 1, 0, 0, "cpu")
        return statistics_key(folder, of, 2, machine, gradients=gradients)

    assert key(examples, gradients=False) == key(others, gradients=False)
    keys = {key(examples, gradients=True), key(others, gradients=True)}
    assert len(keys | {key(examples, gradients=False)}) == 3


@pytest.mark.slow
def test_a_corrupt_file_is_made_again(
    train_py: Cli, tiny: list[str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert train_py(*tiny, *PARTS).code == 0
    (file,) = files(tmp_path)
    whole = file.read_bytes()
    file.write_bytes(whole[:-10])
    assert train_py(*tiny, *PARTS, "resume=never").code == 0
    assert "is corrupt and is made again" in caplog.text
    assert file.read_bytes() == whole


def test_what_looks_at_no_example_is_told(train_py: Cli, tiny: list[str]) -> None:
    done = train_py(*tiny, "method.examples=10")
    assert done.code == 2 and done.err.count("\n") == 1
    assert "method.examples=10: is not used" in done.err


def batch(seed: int) -> dict[str, Tensor]:
    ids = torch.randint(1, 40, (4, 8), generator=torch.Generator().manual_seed(seed))
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}


@pytest.mark.parametrize(
    "method",
    [LadaSettings(factorizer="whitened", score="activation"), PruningSettings(score="activation")],
)
def test_in_any_loop(method: LadaSettings) -> None:
    teacher = small_bert()
    made = lada.prepare(teacher, target=2, steps=20, method=method, batches=map(batch, range(3)))
    plain = lada.prepare(teacher, target=2, steps=20, method=type(method)())
    for compression in (made, plain):
        for step in range(20):
            compression.before_step(step)
    assert made.finished and made.ratio == plain.ratio
    differ = [not torch.equal(a, b) for a, b in zip(
        made.model.state_dict().values(), plain.model.state_dict().values(), strict=True)
    ]  # fmt: skip
    assert any(differ)
    with pytest.raises(lada.LadaError, match=r"looks at examples, and there are none. Give lada"):
        lada.prepare(teacher, target=2, steps=20, method=method).before_step(0)
    with pytest.raises(lada.LadaError, match="batches: have no tokens"):
        lada.prepare(teacher, target=2, steps=20, method=method, batches=[])
    with pytest.raises(lada.LadaError, match="batches: are not used by these settings"):
        lada.prepare(teacher, target=2, steps=20, batches=[batch(0)])


def test_gradients_in_any_loop() -> None:
    teacher, method = small_bert(), LadaSettings(factorizer="fisher")
    batches = [batch(seed) | {"labels": torch.tensor([0, 1, 1, 0])} for seed in range(3)]
    made = lada.prepare(teacher, target=2, steps=20, method=method, batches=batches)
    plain = lada.prepare(teacher, target=2, steps=20)
    for name, layer in compressed_layers(made.model).items():
        assert not torch.allclose(layer.product(), compressed_layers(plain.model)[name].product())
    assert all(p.grad is None for p in teacher.parameters())
    with pytest.raises(lada.LadaError, match="batches: have no labels, which"):
        lada.prepare(teacher, target=2, steps=20, method=method, batches=[batch(0)])


def test_kinds_without_labels_have_no_gradients() -> None:
    context = Context(target=5.0, kind="embedding")
    LadaSettings(factorizer="whitened").check(context)
    with pytest.raises(lada.LadaError, match=r"=fisher: uses .* task.kind=embedding has no labels"):
        LadaSettings(factorizer="fisher").check(context)
