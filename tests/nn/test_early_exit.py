"""Off-ramps: who leaves where, against one row at a time."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from transformers import BertForSequenceClassification

from lada.nn.capture import forward
from lada.nn.early_exit import EarlyExit, early_exit_inventory, leave_at, uncertainty
from lada.nn.surgery import inventory

INPUTS = ("input_ids", "attention_mask", "token_type_ids")
Make = Callable[..., BertForSequenceClassification]


def make(make_bert: Make, threshold: float) -> EarlyExit:
    torch.manual_seed(1)
    student = EarlyExit.from_teacher(make_bert(num_hidden_layers=4), threshold).eval()
    for p in student.ramps.parameters():
        torch.nn.init.normal_(p, std=1.5)
    return student


def test_uncertainty() -> None:
    logits = torch.tensor([[0.0, 0.0, 0.0], [50.0, 0.0, 0.0], [math.log(2), 0.0, -200.0]])
    found = uncertainty(logits)
    p = torch.tensor([2 / 3, 1 / 3])
    expected = torch.stack(
        [torch.tensor(1.0), torch.tensor(0.0), -(p * p.log()).sum() / math.log(3)]
    )
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.6, 0.8, 1.0])
def test_each_row_leaves_where_it_would_alone(
    make_bert: Make, batch: dict[str, Tensor], threshold: float
) -> None:
    student = make(make_bert, threshold)
    batch = {name: value.repeat(7, 1) for name, value in batch.items() if value.dim() == 2}
    batch["input_ids"] = torch.randint(5, 40, batch["input_ids"].shape)
    with torch.no_grad():
        every = student.exits(
            **{k: batch[k] for k in ("input_ids", "attention_mask", "token_type_ids")}
        )
        found = forward(student, batch, hidden=False, attentions=False).logits
    layers = leave_at(every, threshold)
    for row in range(len(found)):
        number = 0
        while number < 3:
            p = every[number, row].double().softmax(-1)
            if float(-(p * p.log()).sum() / math.log(3)) < threshold:
                break
            number += 1
        assert int(layers[row]) == number + 1
        torch.testing.assert_close(found[row], every[number, row], rtol=1e-4, atol=1e-5)
    if 0 < threshold < 1:
        assert len(set(layers.tolist())) > 1  # some leave before others


def test_the_last_exit_is_the_teacher(make_bert: Make, batch: dict[str, Tensor]) -> None:
    teacher = make_bert(num_hidden_layers=4)
    student = EarlyExit.from_teacher(teacher, 0.0).eval()
    asked = {"hidden": False, "attentions": False}
    with torch.no_grad():
        ours, theirs = (forward(m, batch, **asked).logits for m in (student, teacher))
    torch.testing.assert_close(ours, theirs)
    counted = early_exit_inventory(inventory(teacher), teacher.config)
    assert counted.total == sum(p.numel() for p in student.parameters())


def test_a_row_that_is_no_number_stays_none(make_bert: Make, batch: dict[str, Tensor]) -> None:
    student = make(make_bert, 0.5)
    torch.nn.init.constant_(student.bert.embeddings.LayerNorm.weight, float("nan"))
    with torch.no_grad():
        logits = forward(student, batch, hidden=False, attentions=False).logits
    assert bool(logits.isnan().all())


def test_only_ramps_learn(make_bert: Make, batch: dict[str, Tensor]) -> None:
    student = EarlyExit.from_teacher(make_bert(num_hidden_layers=4), 0.5).train()
    logits = forward(student, batch, hidden=False, attentions=False).logits
    assert logits.shape == (4, len(batch["input_ids"]), 3)
    logits[:-1].square().sum().backward()
    for name, p in student.named_parameters():
        assert (p.grad is not None) == name.startswith("ramps."), name


def test_maps_and_states_are_rejected(make_bert: Make, batch: dict[str, Tensor]) -> None:
    with pytest.raises(ValueError, match="no hidden states"):
        forward(make(make_bert, 0.5), batch, hidden=True, attentions=False)
