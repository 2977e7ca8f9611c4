"""A small student that was compressed, and its artifact."""

from pathlib import Path

import pytest
import torch
from helpers import small_bert
from transformers import BertForSequenceClassification

import lada
from lada.nn.pretrained import load_tokenizer
from lada.nn.rounds import compress_
from lada.nn.surgery import inventory, replace_
from lada.ops.budget import solve_default
from lada.ops.plan import make_plan


@pytest.fixture
def student() -> BertForSequenceClassification:
    torch.manual_seed(0)
    model = small_bert().eval()
    for p in model.parameters():
        torch.nn.init.normal_(p, std=0.2)  # logits that differ from row to row, as real ones do
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
