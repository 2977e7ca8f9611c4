"""Artifacts of students that are no BERT."""

import json
from pathlib import Path

import numpy as np
import pytest
import stranger
import torch
from helpers import check_same_model, small_bert
from transformers import AutoModel, AutoModelForSequenceClassification, pipeline
from transformers import BertForSequenceClassification as Bert

import lada
from lada.artifact import measure
from lada.artifact.classes import LadaBertForSequenceClassification
from lada.artifact.export import export
from lada.artifact.inspect import inspect
from lada.nn.bilstm import BiLstm
from lada.nn.compressed import compressed_layers
from lada.nn.early_exit import EarlyExit
from lada.nn.minialbert import MiniAlbert
from lada.nn.surgery import mask_, replace_

KINDS = {
    "bilstm": "lada-bilstm",
    "minialbert": "lada-minialbert",
    "early_exit": "lada-early-exit",
}
WORDS = "bert.embeddings.word_embeddings"
TABLE = {"bilstm": "embedding", "minialbert": WORDS, "early_exit": WORDS}
Student = BiLstm | MiniAlbert | EarlyExit


def teacher() -> Bert:
    torch.manual_seed(0)
    return small_bert()


def make(name: str) -> Student:
    student: Student
    if name == "bilstm":
        student = BiLstm.from_teacher(teacher(), pairs=True, hidden=20, inner=24)
    elif name == "early_exit":
        student = EarlyExit.from_teacher(teacher(), 0.9)
    else:
        student = MiniAlbert.from_teacher(teacher(), 9, 6)
    for p in student.parameters():
        torch.nn.init.normal_(p, std=0.2)
    return student.eval()


def logits(model: torch.nn.Module) -> torch.Tensor:
    ids = torch.randint(5, 2000, (3, 12), generator=torch.Generator().manual_seed(1))
    types = torch.zeros_like(ids)
    types[:, 7:] = 1
    with torch.no_grad():
        found: torch.Tensor = model(
            input_ids=ids, attention_mask=torch.ones_like(ids), token_type_ids=types
        ).logits
    return found


@pytest.mark.parametrize("name", KINDS)
def test_trained_further(name: str, tokenizer, tmp_path: Path) -> None:
    """What is pruned stays zero, also in a layer that is applied again and again."""
    student = make(name)
    inner = "bert.encoder.layer.0.output.dense"
    names = [TABLE[name]] if name == "bilstm" else [TABLE[name], inner]
    mask_(student, names)
    for layer in compressed_layers(student).values():
        layer.set_masks_(layer.weight.abs() > 0.3)
    lada.save(student, tokenizer, tmp_path / "first", {"max_length": 16}, values="fp32")
    model = lada.load(tmp_path / "first").model
    before = logits(model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01, weight_decay=0.1)
    ids = torch.randint(5, 2000, (4, 12), generator=torch.Generator().manual_seed(2))
    for _ in range(3):
        optimizer.zero_grad()
        output = model(input_ids=ids, attention_mask=torch.ones_like(ids), token_type_ids=ids % 2)
        (output.logits - 1.0).square().sum().backward()
        optimizer.step()
    layers = compressed_layers(model)
    assert list(layers) == names
    for layer in layers.values():
        assert not layer.weight[~layer.mask].any()
        assert layer.weight[layer.mask].all()
    model.save_pretrained(tmp_path / "further")
    read = AutoModelForSequenceClassification.from_pretrained(tmp_path / "further")
    assert not torch.equal(logits(read), before)
    assert torch.equal(logits(read), logits(model))


@pytest.mark.parametrize("table", ["keep", "svd", "prune"])
@pytest.mark.parametrize("name", KINDS)
def test_round_trip(name: str, table: str, tokenizer, tmp_path: Path) -> None:
    student, folder = make(name), tmp_path / "artifact"
    if table == "svd":
        replace_(student, {TABLE[name]: 5})
    elif table == "prune":
        mask_(student, [TABLE[name]])
        layer = student.get_submodule(TABLE[name])
        layer.set_masks_(layer.weight.abs() > 0.3)
    lada.save(student, tokenizer, folder, {"max_length": 16}, values="fp32")
    config = json.loads((folder / "config.json").read_text())
    assert config["model_type"] == KINDS[name]
    assert config["lada"]["version"] == "2.0"
    loaded = lada.load(folder).model
    assert torch.equal(logits(loaded), logits(student))
    auto = AutoModelForSequenceClassification.from_pretrained(folder)
    assert type(auto) is type(loaded)
    assert torch.equal(logits(auto), logits(student))
    tensors = stranger.tensors(folder / "model.safetensors")
    assert all(np.array_equal(v, loaded.state_dict()[n].numpy()) for n, v in tensors.items())
    assert measure(folder)["parameters"] == sum(v.size for v in tensors.values())
    loaded.save_pretrained(tmp_path / "again")
    check_same_model(folder, tmp_path / "again")
    with pytest.raises(lada.LadaError, match=rf"is a {KINDS[name]}\. Read it with Auto"):
        LadaBertForSequenceClassification.from_pretrained(folder)


@pytest.mark.parametrize("name", KINDS)
def test_int8_and_pipeline(name: str, tokenizer, tmp_path: Path) -> None:
    student, folder = make(name), tmp_path / "artifact"
    lada.save(student, tokenizer, folder, {"max_length": 16})
    off = (logits(lada.load(folder).model) - logits(student)).abs().max()
    assert off <= 0.05 * logits(student).abs().max()
    (answer,) = pipeline("text-classification", model=str(folder), device="cpu")("the soup")
    assert answer["label"] in ("bad", "good")


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [
        ("bilstm", "lstm_size", 10**9),
        ("bilstm", "lstm_size", 0),
        ("bilstm", "dense_size", -3),
        ("bilstm", "pairs", "yes"),
        ("bilstm", "model_type", "lada-bert"),
        ("minialbert", "adapter_size", 10**9),
        ("minialbert", "adapter_size", 0),
        ("minialbert", "num_hidden_layers", 10**7),
        ("minialbert", "model_type", "lada-albert"),
        ("early_exit", "exit_threshold", 1.5),
        ("early_exit", "exit_threshold", float("nan")),
        ("early_exit", "num_hidden_layers", 10**7),
        ("minialbert", "model_type", None),
        ("minialbert", "model_type", ["lada-bert"]),
    ],
)
def test_hostile_config(name: str, key: str, value: object, tokenizer, tmp_path: Path) -> None:
    folder = tmp_path / "artifact"
    lada.save(make(name), tokenizer, folder, {})
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {key: value}))
    with pytest.raises(lada.LadaError):
        lada.load(folder)


@pytest.mark.parametrize("name", KINDS)
def test_inspect_compares_what_the_teacher_has(name: str, tokenizer, tmp_path: Path) -> None:
    student = make(name)
    lada.save(student, tokenizer, tmp_path / "artifact", {}, values="fp32")
    parts = {part.name: part for part in inspect(tmp_path / "artifact", teacher())}
    assert set(parts) == set(student.state_dict())
    own = {"bilstm": "lstm.weight_ih_l0", "early_exit": "ramps.0.classifier.weight"}
    adapter = "bert.encoder.layer.0.attention_adapters.3.down.weight"
    assert parts[own.get(name, adapter)].error is None
    if name != "bilstm":
        assert parts[f"{WORDS}.weight"].error == pytest.approx(10, rel=0.1)  # std 0.2 beside 0.02


@pytest.mark.slow
def test_forms(tokenizer, tmp_path: Path) -> None:
    for name, kind in KINDS.items():
        lada.save(make(name), tokenizer, tmp_path / name, {"max_length": 16})
        with pytest.raises(lada.LadaError, match=f"--to dense: a {kind} has no such form"):
            export(lada.load(tmp_path / name), "dense", tmp_path / "dense")
    for name in ("bilstm", "early_exit"):
        with pytest.raises(lada.LadaError, match="runs only in torch"):
            export(lada.load(tmp_path / name), "onnx", tmp_path / "onnx")
    rows = [("the soup was bad", "it was not"), ("good", "very good indeed, and more")]
    done = export(lada.load(tmp_path / "minialbert"), "onnx", tmp_path / "onnx", examples=rows)
    assert done.changed == 0


@pytest.mark.parametrize("name", ["minialbert", "early_exit"])
def test_encoder(name: str, tokenizer, tmp_path: Path) -> None:
    """AutoModel gives the states after all layers, of early exit whatever the threshold."""
    student = make(name)
    lada.save(student, tokenizer, tmp_path / "artifact", {}, values="fp32")
    encoder = AutoModel.from_pretrained(tmp_path / "artifact")
    ids = torch.randint(5, 2000, (2, 9), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        found = encoder(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state
        wanted = student.bert(input_ids=ids, attention_mask=torch.ones_like(ids))  # type: ignore[union-attr]
    assert torch.allclose(found, wanted.last_hidden_state, atol=1e-5)


def test_no_encoder(tokenizer, tmp_path: Path) -> None:
    lada.save(make("bilstm"), tokenizer, tmp_path / "artifact", {})
    with pytest.raises(lada.LadaError, match="a lada-bilstm has no encoder"):
        AutoModel.from_pretrained(tmp_path / "artifact")
