"""Every kind of layer, and files of older versions."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import stranger
import torch
from helpers import check_same_model
from safetensors import safe_open

import lada
from lada.artifact import measure
from lada.artifact.export import dense_model, export
from lada.artifact.inspect import inspect
from lada.nn.compressed import Compressed, compressed_layers
from lada.nn.masked import MaskedEmbedding, MaskedLinear
from lada.nn.residual import ResidualLinear
from lada.nn.slim import slim_

WORD_EMBEDDINGS = "bert.embeddings.word_embeddings"
QUERY = "bert.encoder.layer.0.attention.self.query"
UP = "bert.encoder.layer.0.intermediate.dense"
DOWN = "bert.encoder.layer.0.output.dense"
OLD = Path(__file__).parent / "version_1.0"


@pytest.fixture
def mixed(student):
    """A student with layers of all kinds: dense, factors, masked, residual."""
    student = dense_model(student)
    layers: dict[str, Compressed] = {
        WORD_EMBEDDINGS: MaskedEmbedding.from_embedding(student.get_submodule(WORD_EMBEDDINGS)),
        UP: MaskedLinear.from_linear(student.get_submodule(UP)),
        DOWN: MaskedLinear.from_linear(student.get_submodule(DOWN)),
        QUERY: ResidualLinear.from_linear(student.get_submodule(QUERY), 4),
    }
    random = torch.Generator().manual_seed(2)
    for name, layer in layers.items():
        student.set_submodule(name, layer)
        layer.set_masks_(
            *(torch.rand(layer.active(p).shape, generator=random) < 0.3 for p in layer.masks)
        )
    return student


def logits(model) -> torch.Tensor:
    ids = torch.randint(0, 2000, (3, 12), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        return model.eval()(input_ids=ids).logits


@pytest.mark.parametrize("values", ["fp32", "fp16", "int8"])
def test_round_trip(mixed, tokenizer, tmp_path: Path, values: str) -> None:
    folder = tmp_path / "artifact"
    lada.save(mixed, tokenizer, folder, {}, values=values)
    loaded = lada.load(folder).model
    before, after = logits(mixed), logits(loaded)
    off = {"fp32": 0.0, "fp16": 1e-3, "int8": 3e-2}[values]
    assert (before - after).abs().max() <= off * before.abs().max()
    theirs = compressed_layers(loaded)
    for name, layer in compressed_layers(mixed).items():
        assert type(theirs[name]) is type(layer)
        assert theirs[name].form() == layer.form()
        for mask in layer.masks.values():
            assert torch.equal(theirs[name].active(mask), layer.active(mask))
    config = json.loads((folder / "config.json").read_text())
    assert config["lada"]["version"] == "2.0"
    for name, value in stranger.tensors(folder / "model.safetensors").items():
        assert np.array_equal(value, loaded.state_dict()[name].numpy())
    loaded.save_pretrained(tmp_path / "again")
    check_same_model(folder, tmp_path / "again")
    assert measure(folder)["nonzeros"] == sum(stranger.kept(folder / "model.safetensors").values())


def test_dense_and_inspect(mixed, tokenizer, tmp_path: Path) -> None:
    lada.save(mixed, tokenizer, tmp_path / "artifact", {})
    classifier = lada.load(tmp_path / "artifact")
    export(classifier, "dense", tmp_path / "dense")
    kinds = {part.name: part.kind for part in inspect(tmp_path / "artifact")}
    assert (kinds[UP], kinds[QUERY]) == ("masked", "residual")
    assert kinds["classifier.weight"] == "dense"


def test_units_that_pruning_emptied(mixed) -> None:
    up, down = mixed.get_submodule(UP), mixed.get_submodule(DOWN)
    mask = up.mask.clone()
    mask[[3, 9]] = False
    up.set_masks_(mask)
    mask = down.mask.clone()
    mask[:, 20] = False
    down.set_masks_(mask)
    before = logits(mixed)
    found = slim_(mixed)
    assert found["units"] >= 3
    assert mixed.get_submodule(UP).weight.shape == (64 - found["units"], 32)
    assert mixed.get_submodule(DOWN).weight.shape == (32, 64 - found["units"])
    torch.testing.assert_close(logits(mixed), before, atol=1e-5, rtol=1e-4)


def test_a_file_of_version_1_0() -> None:
    """It was written once and is never written again: old files always load."""
    found = json.loads((OLD / "expected.json").read_text())
    classifier = lada.load(OLD)
    with safe_open(str(OLD / "model.safetensors"), framework="np") as opened:
        assert json.loads(opened.metadata()["lada"])["version"] == "1.0"
    batch = dict(classifier.tokens(found["texts"]))
    with torch.no_grad():
        answers = classifier.model(**batch).logits
    torch.testing.assert_close(answers, torch.tensor(found["logits"]), atol=1e-4, rtol=1e-4)
    parts = inspect(OLD)
    assert {part.layouts for part in parts} == {"all", "bitmask", "gaps"}
    assert {part.values for part in parts if part.kind == "factors"} == {
        "fp16",
        "fp16+int8",
        "int8+fp16",
    }


def test_a_file_of_version_1_2() -> None:
    """As that of 1.0; a student that is no BERT."""
    folder = OLD.with_name("version_1.2")
    found = json.loads((folder / "expected.json").read_text())
    classifier = lada.load(folder)
    assert classifier.model.config.lada["version"] == "1.2"
    with torch.no_grad():
        answers = classifier.model(**classifier.tokens(found["texts"], found["pairs"])).logits
    torch.testing.assert_close(answers, torch.tensor(found["logits"]), atol=1e-4, rtol=1e-4)


def test_a_file_of_version_2_0() -> None:
    """As that of 1.0; with the files of its tokenizer, and the tensor of docs/format.md."""
    folder = OLD.with_name("version_2.0")
    found = json.loads((folder / "expected.json").read_text())
    classifier = lada.load(folder)
    assert classifier.model.config.lada["version"] == "2.0"
    assert sorted(classifier.model.config.lada["files"]) == [
        "tokenizer.json",
        "tokenizer_config.json",
    ]
    with torch.no_grad():
        answers = classifier.model(**classifier.tokens(found["texts"])).logits
    torch.testing.assert_close(answers, torch.tensor(found["logits"]), atol=1e-4, rtol=1e-4)


def test_a_file_of_version_1_0_is_written_again_as_it_was(tmp_path: Path) -> None:
    lada.load(OLD).model.save_pretrained(tmp_path / "again")
    ours, theirs = ({n: v.tobytes() for n, v in stranger.tensors(d / "model.safetensors").items()}
                    for d in (tmp_path / "again", OLD))  # fmt: skip
    assert ours == theirs
    assert json.loads((tmp_path / "again/config.json").read_text())["lada"]["version"] == "1.0"


@pytest.mark.parametrize("version", ["4.0", "20.0", "0.9", "1", "2.x", 1, 2.0, None, ["1.0"]])
def test_another_major_version_is_rejected(tmp_path: Path, version) -> None:
    shutil.copytree(OLD, tmp_path / "other")
    file = tmp_path / "other/config.json"
    config = json.loads(file.read_text())
    config["lada"]["version"] = version
    file.write_text(json.dumps(config))
    with pytest.raises(lada.LadaError, match=r"version .* cannot be read, only up to 3\.1"):
        lada.load(tmp_path / "other")


def test_small_factors_are_whole_numbers(student, tokenizer, tmp_path: Path) -> None:
    lada.save(student, tokenizer, tmp_path / "artifact", {})
    factors = [part for part in inspect(tmp_path / "artifact") if part.kind == "factors"]
    assert factors and {part.values for part in factors} == {"int8"}
