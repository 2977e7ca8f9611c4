"""The artifact's folder: round trip, and rejection of what does not match."""

import json
import os
import stat
from pathlib import Path

import numpy as np
import pytest
import stranger
import torch
from safetensors.numpy import load_file
from transformers import BertConfig, BertForSequenceClassification

import lada
from lada.artifact import container, measure
from lada.artifact.codec import encode
from lada.artifact.container import write
from lada.artifact.stored import stored_shapes
from lada.nn.compressed import compressed_layers

LAYER = "bert.encoder.layer.0.attention.self.query"


def form(config: dict) -> dict:
    return config["lada"]["layers"][LAYER]


def edit_config(folder: Path, change) -> None:
    """Change config.json, and let the weights say that they belong to it."""
    config = json.loads((folder / "config.json").read_text())
    change(config)
    (folder / "config.json").write_text(json.dumps(config))
    edit_weights(folder, lambda blobs: None)


def edit_weights(folder: Path, change) -> None:
    file = folder / "model.safetensors"
    blobs = {name: bytes(array) for name, array in load_file(file).items()}
    change(blobs)
    write(file, blobs, json.loads((folder / "config.json").read_text()))


def packed(*shape: int, name: str = "classifier.bias") -> bytes:
    return encode(name, torch.ones(shape), None, "fp16", 0)


def masked() -> bytes:
    mask = torch.tensor([True, False])
    return encode("classifier.bias", torch.ones(2) * mask, mask, "fp16", 0)


@pytest.mark.parametrize("values", ["fp32", "fp16", "int8"])
def test_round_trip(student, tokenizer, tmp_path: Path, values: str) -> None:
    folder = tmp_path / "artifact"
    lada.save(student, tokenizer, folder, {"task": "demo", "max_length": 16}, values=values)
    loaded = lada.load(folder)
    ids = torch.randint(0, 2000, (3, 12), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        before, after = student(input_ids=ids).logits, loaded.model(input_ids=ids).logits
    off = {"fp32": 0.0, "fp16": 1e-3, "int8": 3e-2}[values]
    assert (before - after).abs().max() <= off * before.abs().max()
    assert loaded.labels == ("bad", "good")
    assert loaded.about["task"] == "demo"
    theirs = compressed_layers(loaded.model)
    for name, layer in compressed_layers(student).items():
        assert theirs[name].rank == layer.rank
        assert theirs[name].factor_a.shape[1] == layer.rank
        assert torch.equal(theirs[name].mask_a, layer.mask_a[:, : layer.rank])
        assert torch.equal(theirs[name].mask_b, layer.mask_b[:, : layer.rank])
    for name, value in loaded.model.state_dict().items():
        assert not value.is_floating_point() or value.dtype == torch.float32, name
    found = stranger.tensors(folder / "model.safetensors")
    assert found.keys() == stored_shapes(loaded.model).keys()
    for name, value in found.items():
        assert np.array_equal(value, loaded.model.state_dict()[name].numpy())


def test_a_dense_model(tokenizer, tmp_path: Path) -> None:
    """No compressed layer at all: int8 alone makes it four times smaller."""
    torch.manual_seed(0)
    config = BertConfig(vocab_size=2000, hidden_size=64, num_hidden_layers=1, num_attention_heads=2,
                        intermediate_size=256, max_position_embeddings=64)  # fmt: skip
    model = BertForSequenceClassification(config).eval()
    lada.save(model, tokenizer, tmp_path / "artifact", {})
    loaded = lada.load(tmp_path / "artifact").model
    for name, value in model.state_dict().items():
        error = (value - loaded.state_dict()[name]).norm()
        assert error <= 0.01 * value.norm(), name
    sizes = measure(tmp_path / "artifact")
    assert sizes["nonzeros"] == sizes["parameters"] == model.num_parameters()
    assert 3.3 < 4 * model.num_parameters() / sizes["stored_bytes"] < 5


def test_answers_text(folder: Path) -> None:
    classifier = lada.load(folder)
    answer = classifier("the soup was not bad")
    assert answer.label in ("bad", "good")
    assert 0.5 <= answer.probability <= 1
    many = classifier.classify(["a b c " * k for k in range(1, 40)], batch_size=7)
    alone = [classifier("a b c " * k) for k in range(1, 40)]
    assert [a.label for a in many] == [a.label for a in alone]
    assert [a.probability for a in many] == pytest.approx([a.probability for a in alone], abs=1e-5)
    with pytest.raises(ValueError, match="there are 1 for 2 texts"):
        classifier.classify(["a", "b"], ["c"])


def test_measure_counts_what_is_stored(student, folder: Path) -> None:
    sizes = measure(folder)
    kept = sum(layer.kept for layer in compressed_layers(student).values())
    factors = {id(p) for layer in compressed_layers(student).values()
               for p in (layer.factor_a, layer.factor_b)}  # fmt: skip
    whole = sum(p.numel() for p in student.parameters() if id(p) not in factors)
    assert sizes["nonzeros"] == kept + whole
    assert sizes["stored_bytes"] == (folder / "model.safetensors").stat().st_size
    assert sizes["folder_bytes"] == sum(f.stat().st_size for f in folder.iterdir())


def test_is_written_whole_or_not_at_all(student, tokenizer, tmp_path: Path, monkeypatch) -> None:
    def fail(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tokenizer, "save_pretrained", fail)
    with pytest.raises(lada.LadaError, match=r"cannot be written .No space left on device."):
        lada.save(student, tokenizer, tmp_path / "deep/artifact", {})
    assert not (tmp_path / "deep/artifact").exists()
    assert list((tmp_path / "deep").iterdir()) == []


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_permissions_are_those_of_the_umask(student, tokenizer, tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        lada.save(student, tokenizer, tmp_path / "saved", {})
        lada.load(tmp_path / "saved").model.save_pretrained(tmp_path / "alone")
        lada.artifact.accept(tmp_path / "saved", ["tokenizer.json"])
    finally:
        os.umask(before)
    for folder in (tmp_path / "saved", tmp_path / "alone"):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o777 & ~umask
        for file in folder.iterdir():
            assert stat.S_IMODE(file.stat().st_mode) == 0o666 & ~umask, file


def test_an_existing_folder_is_kept(student, tokenizer, folder: Path) -> None:
    before = (folder / "config.json").read_bytes()
    with pytest.raises(lada.LadaError, match="exists already"):
        lada.save(student, tokenizer, folder, {})
    assert (folder / "config.json").read_bytes() == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop("classifier.bias"), "classifier.bias"),
        (lambda t: t.pop(f"{LAYER}.factor_b"), f"{LAYER}.factor_b"),
        (lambda t: t.update(extra=packed(1)), "extra does not belong to the model"),
        (lambda t: t.update({"classifier.bias": packed(3)}), "classifier.bias is (3,)"),
        (
            lambda t: t.update({"classifier.bias": packed(2, name="other")}),
            "classifier.bias is corrupt",
        ),
        (lambda t: t.update({"classifier.bias": b"123"}), "classifier.bias is corrupt"),
        (
            lambda t: t.update({f"{LAYER}.factor_a": packed(32, 40)}),
            f"{LAYER}.factor_a is (32, 40)",
        ),
        (lambda t: t.update({"classifier.bias": masked()}), "classifier.bias has pruned entries"),
    ],
)
def test_weights_that_do_not_agree_are_rejected(folder: Path, change, message: str) -> None:
    edit_weights(folder, change)
    with pytest.raises(lada.LadaError) as caught:
        lada.load(folder)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.pop("lada"), "no part 'lada'"),
        (lambda c: c["lada"].update(version="4.0"), "version '4.0'"),
        (lambda c: c["lada"].pop("version"), "version None"),
        (lambda c: c["lada"].update(layers=[1]), "layers"),
        (lambda c: form(c).update(rank="8"), "rank '8' is not a whole number"),
        (lambda c: form(c).update(kind="magic"), "kind 'magic' is not one of factors"),
        (lambda c: form(c).update(rank=10**9), "allows 1..32"),
        (lambda c: form(c).update(rank=0), "allows 1..32"),
        (
            lambda c: c["lada"]["layers"].update({"bert.nothing": {"kind": "factors", "rank": 2}}),
            "no layer bert.nothing",
        ),
        (
            lambda c: c["lada"]["layers"].update({"bert.pooler": {"kind": "factors", "rank": 2}}),
            "not a matrix",
        ),
        (lambda c: c.update(hidden_size=10**12), "hidden_size is 1000000000000, but must be"),
        (lambda c: c.update(hidden_size=-32), "hidden_size is -32, but must be"),
        (lambda c: c.update(hidden_size="32"), "hidden_size"),
        (lambda c: c.update(vocab_size=10**15), "vocab_size is 1000000000000000, but"),
        (lambda c: c.update(vocab_size=10**9), "word_embeddings"),
        (lambda c: c.update(num_hidden_layers=10**9), "layers"),
        (lambda c: c.update(num_hidden_layers=3), "layer.2"),
        (lambda c: c.update(num_hidden_layers=1), "layer.1"),
        (lambda c: c.update(num_attention_heads=3), "heads"),
        (lambda c: c.update(num_attention_heads=0), "num_attention_heads is 0, but must be"),
        (lambda c: c.update(max_position_embeddings=10**12), "position_embeddings"),
        (lambda c: c.update(hidden_act="os.mkdir"), "no such model"),
        (lambda c: c.update(id2label={"0": "a"}), "classifier"),
        (lambda c: c.update(id2label=3), "config.json"),
        (lambda c: c.update(id2label={"5": "a", "7": "b"}), "id2label"),
        (lambda c: c["lada"].pop("about"), "'about'"),
        (lambda c: c["lada"].update(about=3), "'about'"),
        (lambda c: c["lada"]["about"].update(max_length="x"), "max_length 'x'"),
        (lambda c: c["lada"]["about"].update(max_length=10**6), "2..32"),
        (lambda c: c["lada"].pop("values"), "values None"),
        (lambda c: c["lada"].update(values="int5"), "values 'int5'"),
    ],
)
def test_configs_that_do_not_agree_are_rejected(folder: Path, change, message: str) -> None:
    edit_config(folder, change)
    with pytest.raises(lada.LadaError) as caught:
        lada.load(folder)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_another_config_is_rejected(folder: Path) -> None:
    """The same tensors with another number of heads would be another model."""
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"transformers_version": "9.9"}))
    lada.load(folder)
    for change in ({"num_attention_heads": 4}, {"id2label": {"0": "good", "1": "bad"}}):
        (folder / "config.json").write_text(json.dumps(config | change))
        with pytest.raises(lada.LadaError, match="belongs to another config"):
            lada.load(folder)


def test_what_unpacks_to_too_much_is_rejected(folder: Path, monkeypatch) -> None:
    monkeypatch.setattr(container, "ALLOWANCE", 1000)
    monkeypatch.setattr(container, "EXPANSION", 1)
    with pytest.raises(lada.LadaError, match="would unpack to"):
        lada.load(folder)


def test_truncated_files_are_rejected(folder: Path, tmp_path: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(lada.LadaError, match=r"model\.safetensors"):
        lada.load(folder)
    (folder / "config.json").write_text("{")
    with pytest.raises(lada.LadaError, match="is not JSON"):
        lada.load(folder)
    with pytest.raises(lada.LadaError, match="no such folder"):
        lada.load(tmp_path / "nowhere")


def test_a_folder_asks_for_no_foreign_kernel(folder: Path) -> None:
    edit_config(folder, lambda c: c.update(attn_implementation="kernels-community/flash-attn"))
    assert lada.load(folder).model.config._attn_implementation == "sdpa"
    edit_config(folder, lambda c: c.update(_attn_implementation="kernels-community/flash-attn"))
    assert lada.load(folder).model.config._attn_implementation == "sdpa"
