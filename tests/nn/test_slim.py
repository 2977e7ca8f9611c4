"""What pruning emptied is taken out, and nothing else changes."""

import copy
from typing import Any

import pytest
import torch
from transformers import BertConfig, BertForSequenceClassification

from lada.nn.capture import forward
from lada.nn.compressed import compressed_layers
from lada.nn.families import FAMILIES
from lada.nn.slim import slim_
from lada.nn.surgery import inventory, mask_, replace_
from tests.families import batch, tiny

UP, DOWN = "bert.encoder.layer.0.intermediate.dense", "bert.encoder.layer.0.output.dense"
QUERY = "bert.encoder.layer.1.attention.self.query"


@pytest.fixture
def model() -> BertForSequenceClassification:
    torch.manual_seed(0)
    config = BertConfig(vocab_size=100, hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
                        intermediate_size=32, max_position_embeddings=16)  # fmt: skip
    found = BertForSequenceClassification(config).eval()
    for p in found.parameters():
        torch.nn.init.normal_(p, std=0.3)
    replace_(found, {m.name: 6 for m in inventory(found).matrices})
    return found


def logits(model: BertForSequenceClassification) -> torch.Tensor:
    ids = torch.randint(0, 100, (4, 9), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        return model(input_ids=ids).logits


def test_nothing_empty_nothing_changed(model) -> None:
    before = copy.deepcopy(model).state_dict()
    assert slim_(model) == {"directions": 0, "units": 0}
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())


def test_empty_directions_and_units_go(model) -> None:
    layers = compressed_layers(model)
    with torch.no_grad():
        layers[QUERY].factor_a[:, [1, 4]] = 0
        layers[QUERY].factor_b[:, 2] = 0
        layers[UP].factor_a[[0, 7, 31]] = 0  # always gelu(bias)
        layers[DOWN].factor_b[[7, 9]] = 0  # never heard
    before = logits(model)
    assert slim_(model) == {"directions": 3, "units": 4}
    layers = compressed_layers(model)
    assert layers[QUERY].rank == 3
    assert layers[UP].factor_a.shape == (28, 6)
    assert layers[UP].bias.shape == (28,)
    assert layers[DOWN].factor_b.shape == (28, 6)
    assert torch.allclose(logits(model), before, atol=1e-5)
    assert slim_(model) == {"directions": 0, "units": 0}


def test_masks_and_lower_ranks_are_followed(model) -> None:
    layer = compressed_layers(model)[UP]
    layer.lower_rank_(4, "truncate")
    mask = torch.ones(32, 4, dtype=torch.bool)
    mask[:, 3] = False
    layer.set_masks_(mask, torch.ones(16, 4, dtype=torch.bool))
    before = logits(model)
    assert slim_(model) == {"directions": 1, "units": 0}
    assert compressed_layers(model)[UP].factor_a.shape == (32, 3)
    assert torch.allclose(logits(model), before, atol=1e-5)


def test_an_empty_matrix_keeps_one_direction(model) -> None:
    with torch.no_grad():
        compressed_layers(model)[QUERY].factor_a.zero_()
    before = logits(model)
    assert slim_(model)["directions"] == 5
    assert torch.allclose(logits(model), before, atol=1e-6)


@pytest.mark.parametrize("family", list(FAMILIES))
def test_every_family_keeps_its_outputs(family: str) -> None:
    model = tiny(family)
    matrices = [m.name for m in inventory(model).matrices if not m.embedding]
    row = FAMILIES[family]
    mask_(model, matrices)
    blocks = [name for name in matrices if row.up and name.endswith(row.up)]
    draw = torch.Generator().manual_seed(3)
    for name in blocks:
        layer: Any = model.get_submodule(name)
        with torch.no_grad():
            layer.bias.copy_(torch.randn(layer.bias.shape, generator=draw))
        mask = torch.ones(layer.weight.shape, dtype=torch.bool)
        mask[3:10] = False
        layer.set_masks_(mask)
    with torch.no_grad():
        before = forward(model, batch(model)).logits
        removed = slim_(model)
        after = forward(model, batch(model)).logits
    assert removed == {"directions": 0, "units": 7 * len(blocks)}
    assert len(blocks) == {"modernbert": 0, "albert": 1}.get(family, 2)
    torch.testing.assert_close(after, before, rtol=1e-4, atol=1e-5)
