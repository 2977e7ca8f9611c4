"""Students that are trained in few bits, and their files."""

from collections.abc import Callable
from pathlib import Path

import pytest
import stranger
import torch
from helpers import Result, record_of, run_in, small_bert
from stopped import check_resumed
from torch import Tensor
from transformers import AutoModelForSequenceClassification

import lada
from lada.artifact.container import version_for
from lada.methods.lada import LadaSettings
from lada.nn.compressed import compressed_layers
from lada.nn.pretrained import load_tokenizer
from lada.ops.bits import LARGEST

Cli = Callable[..., Result]


def batch(seed: int) -> dict[str, Tensor]:
    ids = torch.randint(1, 2000, (4, 8), generator=torch.Generator().manual_seed(seed))
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}


def trained(
    values: str, method: str | LadaSettings = "lada"
) -> tuple[lada.Compression, dict[str, Tensor]]:
    """A student of 20 steps, and a batch."""
    torch.manual_seed(0)
    teacher = small_bert()
    made = lada.prepare(teacher, target=2, steps=20, method=method, values=values)
    optimizer = torch.optim.AdamW(made.model.parameters(), lr=1e-3)
    for step in range(20):
        made.before_step(step, optimizer)
        made.distillation_loss(batch(step), teacher=teacher).backward()
        made.after_backward()
        optimizer.step()
        optimizer.zero_grad()
    return made, batch(99)


ABOUT = {"max_length": 16, "pairs": False}


@pytest.mark.parametrize(
    "method",
    ["lada", LadaSettings(word_density=0.3), "pruning_kd", "factorization", "xtc"],
    ids=["lada", "pruned words", "pruning_kd", "factorization", "xtc"],
)
@pytest.mark.parametrize("values", list(LARGEST))
def test_the_file_has_what_was_trained(
    values: str, method: str | LadaSettings, tmp_path: Path
) -> None:
    """Layer by layer, to the last bit; and a reader that shares no code has the same."""
    if method == "factorization":  # its labels are another loss
        made = lada.prepare(small_bert(), target=2, steps=20, method=method, values=values)
        for step in range(20):
            made.before_step(step)
    else:
        made, _ = trained(values, method)
    layers = compressed_layers(made.model)
    masters = {name: layer.active(part).clone() for name, layer in layers.items()
               for part in list(layer.masks)[:1]}  # fmt: skip
    lada.save(made.model, load_tokenizer(None, ["a b"]), tmp_path / "x", ABOUT, values=values)
    found = lada.load(tmp_path / "x").model
    tensors = stranger.tensors(tmp_path / "x/model.safetensors")
    for name, layer in compressed_layers(found).items():
        with torch.no_grad():
            assert torch.equal(layer.product(), layers[name].product())
        for part in layer.masks:
            expected = layer.active(part).detach().numpy()
            assert (tensors[f"{name}.{part}"] == expected).all()
        assert layer.bits is None
        part = next(iter(layer.masks))
        assert not torch.equal(layer.active(part), masters[name])
    assert found.config.lada["values"] == values
    assert found.config.lada["version"] == "2.2"


def test_answers_are_those_of_the_student(tmp_path: Path) -> None:
    made, given = trained("int2")
    lada.save(made.model, load_tokenizer(None, ["a b"]), tmp_path / "x", ABOUT, values="int2")
    found = AutoModelForSequenceClassification.from_pretrained(tmp_path / "x")
    with torch.no_grad():
        expected, ours = made.model.eval()(**given).logits, found(**given).logits
    torch.testing.assert_close(ours, expected, rtol=0.02, atol=0.005)  # fp16 of the other tensors
    found.save_pretrained(tmp_path / "y")
    again = stranger.tensors(tmp_path / "y/model.safetensors")
    for name, tensor in stranger.tensors(tmp_path / "x/model.safetensors").items():
        assert (again[name] == tensor).all()


def test_versions() -> None:
    assert version_for(["factors", "few bits"]) == "1.4"
    assert version_for(["factors", "few bits", "files", "lada-roberta"]) == "2.2"
    assert version_for(["factors", "few bits", "files", "task"]) == "3.1"
    assert version_for(["factors", "files", "task"]) == "3.0"
    assert version_for(["factors", "lada-roberta", "files"]) == "2.1"


def test_what_has_no_few_bits_is_told(tiny: list[str], train_py: Cli, tmp_path: Path) -> None:
    done = train_py(*tiny[:-1], "artifact=int4", "method=kd", "target=none")
    assert done.code == 2 and done.err.count("\n") == 1
    assert "artifact.values=int4: method=kd trains matrices that are not stored" in done.err
    with pytest.raises(lada.LadaError, match="values='int5': choose one of int8, "):
        lada.prepare(small_bert(), target=2, steps=20, values="int5")
    with pytest.raises(lada.LadaError, match="values=int4: the model has no compressed matrix"):
        lada.save(small_bert(), load_tokenizer(None, ["a b"]), tmp_path / "x", ABOUT, values="int4")


SMALLER = ["artifact=int2", "target=2.5x"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "words", [SMALLER, [*SMALLER, "method.lower_rank=refactorize"]]
)  # fmt: skip
def test_a_run_that_is_stopped_and_resumed(
    words: list[str], train_py: Cli, tiny: list[str], tmp_path: Path
) -> None:
    args = [word for word in tiny if not word.startswith("target")] + words
    check_resumed(train_py, args, tmp_path)
    artifact = run_in(tmp_path / "whole") / "artifact"
    found = lada.load(artifact)
    assert found.model.config.lada["values"] == "int2"
    large = {name for name, blob in stranger.packed(artifact / "model.safetensors").items()
             if blob[9] == 5}  # fmt: skip
    assert large == {f"{name}.{part}" for name, layer in compressed_layers(found.model).items()
                     for part in layer.masks}  # fmt: skip
    record = record_of(tmp_path / "whole")
    assert record["artifact"]["scores"]["dev"]["accuracy"] > 0.6
    assert record["artifact"]["stored_bytes"] < 60_000
