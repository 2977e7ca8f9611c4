"""The artifact's folder: round trip, and refusal of whatever does not agree."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import BertConfig, BertForSequenceClassification

import lada
from lada.artifact import measure
from lada.nn.compressed import factor_layers
from lada.nn.pretrained import load_tokenizer
from lada.nn.rounds import compress_
from lada.nn.surgery import inventory, replace_
from lada.ops.budget import make_plan, solve_default

LAYER = "bert.encoder.layer.0.attention.self.query"


@pytest.fixture
def student() -> BertForSequenceClassification:
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=2000,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=32,
        id2label={0: "bad", 1: "good"},
        label2id={"bad": 0, "good": 1},
    )
    model = BertForSequenceClassification(config).eval()
    counted = inventory(model)
    plan = make_plan(counted, 4.0, solve_default(counted, 4.0), "geometric", 3)
    replace_(model, {s.name: s.rank for s in plan.rounds[0].shares})
    for round_ in plan.rounds:
        compress_(model, round_, lower_rank="truncate", threshold="factor")
    return model


@pytest.fixture
def tokenizer():
    return load_tokenizer(None, ["the soup was not bad at all"])


@pytest.fixture
def folder(student, tokenizer, tmp_path: Path) -> Path:
    lada.save(student, tokenizer, tmp_path / "artifact", {"task": "demo", "max_length": 16})
    return tmp_path / "artifact"


def edit_config(folder: Path, change) -> None:
    config = json.loads((folder / "config.json").read_text())
    change(config)
    (folder / "config.json").write_text(json.dumps(config))


def edit_weights(folder: Path, change) -> None:
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors")


def test_round_trip_is_exact(student, folder: Path) -> None:
    loaded = lada.load(folder)
    ids = torch.randint(0, 2000, (3, 12), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        assert torch.equal(student(input_ids=ids).logits, loaded.model(input_ids=ids).logits)
    assert loaded.labels == ("bad", "good")
    assert loaded.record["task"] == "demo"
    theirs = factor_layers(loaded.model)
    for name, layer in factor_layers(student).items():
        assert theirs[name].rank == layer.rank
        assert theirs[name].factor_a.shape[1] == layer.rank
        assert torch.equal(theirs[name].mask_a, layer.mask_a[:, : layer.rank])


def test_answers_text(folder: Path) -> None:
    classifier = lada.load(folder)
    answer = classifier("the soup was not bad")
    assert answer.label in ("bad", "good")
    assert 0.5 <= answer.probability <= 1
    many = classifier.classify(["a b c " * k for k in range(1, 40)], batch_size=7)
    alone = [classifier("a b c " * k) for k in range(1, 40)]
    assert [a.label for a in many] == [a.label for a in alone]
    assert [a.probability for a in many] == pytest.approx([a.probability for a in alone], abs=1e-5)
    with pytest.raises(ValueError, match="2 texts but 1 pairs"):
        classifier.classify(["a", "b"], ["c"])


def test_measure_counts_what_is_stored(student, folder: Path) -> None:
    sizes = measure(folder)
    kept = sum(layer.kept for layer in factor_layers(student).values())
    factors = {id(p) for layer in factor_layers(student).values()
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
        (lambda t: t.update(extra=torch.zeros(1)), "extra"),
        (lambda t: t.update({"classifier.bias": torch.zeros(3)}), "classifier.bias"),
        (lambda t: t.update({f"{LAYER}.factor_a": torch.zeros(32, 40)}), f"{LAYER}.factor_a"),
    ],
)
def test_weights_that_do_not_agree_are_refused(folder: Path, change, message: str) -> None:
    edit_weights(folder, change)
    with pytest.raises(lada.LadaError) as caught:
        lada.load(folder)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.pop("lada"), "no part 'lada'"),
        (lambda c: c["lada"].update(format=99), "format 99"),
        (lambda c: c["lada"].update(ranks=[1]), "ranks"),
        (lambda c: c["lada"]["ranks"].update({LAYER: "8"}), "whole numbers"),
        (lambda c: c["lada"]["ranks"].update({LAYER: 10**9}), "allows 1..32"),
        (lambda c: c["lada"]["ranks"].update({LAYER: 0}), "allows 1..32"),
        (lambda c: c["lada"]["ranks"].update({"bert.nothing": 2}), "no layer bert.nothing"),
        (lambda c: c["lada"]["ranks"].update({"bert.pooler": 2}), "not a matrix"),
    ],
)
def test_configs_that_do_not_agree_are_refused(folder: Path, change, message: str) -> None:
    edit_config(folder, change)
    with pytest.raises(lada.LadaError) as caught:
        lada.load(folder)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_torn_files_are_refused(folder: Path, tmp_path: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(lada.LadaError, match=r"model\.safetensors"):
        lada.load(folder)
    (folder / "config.json").write_text("{")
    with pytest.raises(lada.LadaError, match="is no JSON"):
        lada.load(folder)
    with pytest.raises(lada.LadaError, match="cannot be read"):
        lada.load(tmp_path / "nowhere")
