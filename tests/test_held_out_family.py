"""The recipe of docs/recipes.md for a family, followed for one that is not in the table."""

from pathlib import Path

import pytest
import torch
from families import batch
from transformers import AutoConfig, AutoModelForSequenceClassification, RemBertConfig
from transformers import RemBertForSequenceClassification as Model

import lada
from lada.artifact import config as artifact_config
from lada.artifact.classes import class_for
from lada.artifact.export import dense_model
from lada.artifact.model import config_of, write_model
from lada.methods.groups import ScheduleConfig
from lada.nn.families import FAMILIES, Family

ROW = Family("rembert", "rembert")


@pytest.fixture
def row(monkeypatch: pytest.MonkeyPatch) -> Family:
    monkeypatch.setitem(FAMILIES, ROW.model_type, ROW)
    # What importing lada does for all rows; taken back after the test.
    made = artifact_config.family_config(ROW)
    monkeypatch.setitem(artifact_config.CONFIGS, made.model_type, made)
    AutoConfig.register(made.model_type, made, exist_ok=True)
    return ROW


def test_a_row_is_enough(row: Family, tmp_path: Path) -> None:
    torch.manual_seed(0)
    teacher = Model(
        RemBertConfig(
            vocab_size=300, hidden_size=16, input_embedding_size=8, num_hidden_layers=2,
            num_attention_heads=2, intermediate_size=32, max_position_embeddings=48,
        )
    ).eval()  # fmt: skip
    made = lada.prepare(teacher, target=1.5, steps=8, schedule=ScheduleConfig(rounds=2))
    optimizer = torch.optim.AdamW(made.model.parameters(), lr=1e-3)
    given = batch(teacher)
    for step in range(8):
        made.before_step(step, optimizer)
        made.distillation_loss(given, teacher=teacher).backward()
        made.after_backward()
        optimizer.step()
        optimizer.zero_grad()
    assert made.ratio == pytest.approx(1.5, rel=0.005)
    student = made.model.eval()
    write_model(tmp_path, student, config_of(student, "fp32", {"max_length": 16}, {}))
    read = AutoModelForSequenceClassification.from_pretrained(tmp_path)
    assert isinstance(read, class_for(student))
    with torch.no_grad():
        expected = student(**given).logits
        torch.testing.assert_close(read(**given).logits, expected, atol=1e-6, rtol=0)
        torch.testing.assert_close(dense_model(read)(**given).logits, expected, atol=1e-5, rtol=0)
