"""Weights in several files with an index."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import BertForSequenceClassification

from lada.errors import LadaError
from lada.nn.pretrained import check_encoder_folder, find_model, load_classifier, model_digest
from lada.nn.weights import stored_shape, weight_files

LABELS = ("entailment", "neutral", "contradiction")
NAMED = {"id2label": dict(enumerate(LABELS)), "label2id": {x: i for i, x in enumerate(LABELS)}}
Make = Callable[..., BertForSequenceClassification]


@pytest.fixture
def folder(make_bert: Make, tmp_path: Path) -> Path:
    """A fine-tuned classifier over LABELS in one file."""
    make_bert(**NAMED).save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def _rejected(call: Callable[[], object], *parts: str) -> None:
    with pytest.raises(LadaError) as caught:
        call()
    line = str(caught.value)
    assert "\n" not in line
    for part in parts:
        assert part in line


@pytest.fixture
def shards(make_bert: Make, tmp_path: Path) -> Path:
    make_bert(**NAMED).save_pretrained(tmp_path / "shards", max_shard_size="6KB")
    assert len(list((tmp_path / "shards").glob("model-*.safetensors"))) > 2
    return tmp_path / "shards"


def test_they_are_read_as_one_file(shards: Path, folder: Path) -> None:
    whole = load_classifier(folder, LABELS, 0, fine_tuned=True).state_dict()
    model = load_classifier(shards, LABELS, 0, fine_tuned=True)
    assert all(torch.equal(value, whole[name]) for name, value in model.state_dict().items())
    assert find_model("local", str(shards)) == shards
    load_classifier(shards, LABELS[:3], 0)


def test_classes_are_brought_into_our_order(shards: Path) -> None:
    model = load_classifier(shards, LABELS, 0, fine_tuned=True)
    turned = load_classifier(shards, tuple(reversed(LABELS)), 0, fine_tuned=True)
    assert torch.equal(turned.classifier.weight, model.classifier.weight.flip(0))


def test_every_shard_counts_in_the_digest(shards: Path) -> None:
    seen = {model_digest(shards)}
    files = [
        *sorted(shards.glob("model-*.safetensors")),
        shards / "model.safetensors.index.json",
    ]
    for file in files:
        file.write_bytes(file.read_bytes() + b" ")
        seen.add(model_digest(shards))
    assert len(seen) == len(files) + 1


def test_a_missing_one(shards: Path) -> None:
    lost = sorted(shards.glob("model-*.safetensors"))[1]
    lost.unlink()
    _rejected(lambda: check_encoder_folder(shards, "model.path"), "model.path=", lost.name)
    os.mkfifo(lost)
    _rejected(lambda: check_encoder_folder(shards, "model.path"), lost.name, "regular file")


@pytest.mark.parametrize(
    "stored",
    ["", "{", "[]", "{}", '{"weight_map": {}}', '{"weight_map": []}', '{"weight_map": null}',
     '{"weight_map": {"a": 1}}', '{"weight_map": {"a": "b.bin"}}',
     '{"weight_map": {"a": "../b.safetensors"}}', '{"weight_map": {"a": "/x/b.safetensors"}}',
     '{"weight_map": {"a": "x/b.safetensors"}}', '{"weight_map": {"a": {}}}',
     '{"weight_map": {"a": "b\\u0000.safetensors"}}'],
)  # fmt: skip
def test_a_broken_index(shards: Path, stored: str) -> None:
    (shards / "model.safetensors.index.json").write_text(stored)
    _rejected(lambda: check_encoder_folder(shards, "teacher.path"), "teacher.path=", "index.json")


def test_shapes_come_from_the_headers(shards: Path, folder: Path, tmp_path: Path) -> None:
    for place in (shards, folder):
        assert stored_shape(place, "classifier.weight") == (3, 16)
        assert stored_shape(place, "none") is None
    assert weight_files(tmp_path) == []
    assert stored_shape(tmp_path, "classifier.weight") is None
