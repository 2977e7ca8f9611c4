"""Exports of artifacts of every family: the same logits in plain transformers and in ONNX."""

from pathlib import Path

import pytest
import torch
from families import batch, tiny
from transformers import PreTrainedModel

import lada
from lada.artifact.classes import class_for
from lada.artifact.export import dense_model, write_form
from lada.artifact.model import config_of
from lada.methods.groups import ScheduleConfig
from lada.nn.families import FAMILIES, family_of


def inputs_of(model: PreTrainedModel, given: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    names = ["input_ids", "attention_mask"]
    return {n: given[n] for n in [*names, *(["token_type_ids"] * family_of(model.config).types)]}


def artifact(family: str) -> PreTrainedModel:
    """The class of an artifact, with the weights of a student."""
    teacher = tiny(family, vocab_size=300)
    made = lada.prepare(teacher, target=1.5, steps=8, schedule=ScheduleConfig(rounds=1))
    made.before_step(0)
    student = made.model.eval()
    stored = class_for(student)(config_of(student, "fp32", {"max_length": 16}))
    stored.load_state_dict(student.state_dict())
    return stored.eval()


@pytest.mark.parametrize("family", FAMILIES)
def test_dense_is_of_the_family(family: str, tmp_path: Path) -> None:
    model = artifact(family)
    given = inputs_of(model, batch(model))
    dense = dense_model(model)
    assert type(dense).__module__.startswith("transformers.models.")
    with torch.no_grad():
        difference = (dense(**given).logits - model(**given).logits).abs().max()
    assert difference < 1e-5
    removed, run = write_form(model, "dense", tmp_path, int8=False, batches=[given])
    assert removed == {}
    torch.testing.assert_close(run(given), model(**given).logits, atol=1e-5, rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_onnx(family: str, tmp_path: Path) -> None:
    model = artifact(family)
    given = inputs_of(model, batch(model))
    _, run = write_form(model, "onnx", tmp_path, int8=False, batches=[given])
    with torch.no_grad():
        expected = model(**given).logits
    assert (run(given) - expected).abs().max() < 1e-4
    longer = inputs_of(model, batch(model, rows=2, length=11))
    with torch.no_grad():
        assert (run(longer) - model(**longer).logits).abs().max() < 1e-4
