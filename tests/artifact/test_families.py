"""Artifacts of every family of encoders, with every head, from tiny random models."""

from pathlib import Path

import pytest
import torch
import transformers
from families import batch, tiny
from torch import nn
from transformers import AutoModel, PreTrainedModel

from lada.artifact.classes import class_for
from lada.artifact.model import config_of, write_model
from lada.errors import LadaError
from lada.nn.autos import AUTOS, CLASSIFIER, ENCODER
from lada.nn.families import FAMILIES, encoder_prefix, family_of
from lada.nn.surgery import mask_, replace_

PAIRS = [(family, CLASSIFIER) for family in FAMILIES] + [
    pytest.param(family, auto, marks=() if family in ("bert", "roberta") else pytest.mark.slow)
    for family in FAMILIES
    for auto in AUTOS
    if auto != CLASSIFIER
]


def student(family: str, auto: str = CLASSIFIER) -> PreTrainedModel:
    """Word embeddings and a layer as factors, another layer masked; values that fp16 holds."""
    model = tiny(family, auto)
    if auto == ENCODER and getattr(model, "pooler", None) is not None:
        model = type(model)(model.config, add_pooling_layer=False).eval()
    prefix = encoder_prefix(model) + FAMILIES[family].layers
    linear = [
        name
        for name, module in model.named_modules()
        if name.startswith(prefix) and isinstance(module, nn.Linear)
    ]
    replace_(model, {encoder_prefix(model) + FAMILIES[family].words: 4, linear[0]: 4})
    mask_(model, linear[1:2])
    masked = model.get_submodule(linear[1])
    masked.set_masks_(torch.rand(masked.weight.shape) < 0.5)  # type: ignore[operator,arg-type]
    return model.eval()


def inputs(model: PreTrainedModel) -> dict[str, torch.Tensor]:
    """A batch with the inputs that the family takes."""
    found = batch(model)
    if not family_of(model.config).types:  # type: ignore[arg-type]
        del found["token_type_ids"]
    return found


def save(model: PreTrainedModel, folder: Path) -> Path:
    folder.mkdir()
    write_model(folder, model, config_of(model, "fp32", {"task": "demo"}))
    return folder


@pytest.mark.parametrize(("family", "auto"), PAIRS)
def test_read_as_written(family: str, auto: str, tmp_path: Path) -> None:
    """Also the buffers that no file has; by the Auto class, and again after another round."""
    model = student(family, auto)
    given = inputs(model)
    wanted = model(**given)[0]
    read = getattr(transformers, auto).from_pretrained(save(model, tmp_path / "a"))
    assert type(read) is class_for(model)
    assert torch.equal(read(**given)[0], wanted)
    read.save_pretrained(tmp_path / "b")
    for name in ("config.json", "model.safetensors"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    encoder = AutoModel.from_pretrained(tmp_path / "a")
    inner = getattr(model, encoder_prefix(model)[:-1], model)
    assert torch.equal(encoder(**given)[0], inner(**given)[0])


@pytest.mark.parametrize("family", ["bert", "modernbert", "albert"])
def test_another_head_is_rejected(family: str, tmp_path: Path) -> None:
    folder = save(student(family), tmp_path / "a")
    with pytest.raises(LadaError, match=f"Read it with {CLASSIFIER}"):
        transformers.AutoModelForTokenClassification.from_pretrained(folder)


def test_an_encoder_with_a_pooler_is_rejected() -> None:
    with pytest.raises(LadaError, match="add_pooling_layer=False"):
        class_for(tiny("bert", ENCODER))


@pytest.mark.parametrize("family", ["roberta", "modernbert", "deberta-v2"])
def test_corrupt_values_are_rejected(family: str, tmp_path: Path) -> None:
    folder = save(student(family), tmp_path / "a")
    file = folder / "model.safetensors"
    data = bytearray(file.read_bytes())
    data[-5] ^= 1
    file.write_bytes(bytes(data))
    with pytest.raises(LadaError, match="corrupt"):
        transformers.AutoModelForSequenceClassification.from_pretrained(folder)
