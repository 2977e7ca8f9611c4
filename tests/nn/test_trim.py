"""Position embeddings that are cut, and the pooler as a matrix, on real classes of every family."""

import copy
from typing import Any

import pytest
import torch
from families import batch, tiny
from torch import Tensor
from transformers import BertForSequenceClassification, PreTrainedModel

from lada.nn.autos import AUTOS
from lada.nn.families import FAMILIES, family_of, usable_positions
from lada.nn.statistics import gather
from lada.nn.surgery import inventory, replace_
from lada.nn.trim import cut_positions_, position_embeddings, trimmed_inventory

LENGTH = 7
"""Tokens of `families.batch`; the tiny models have positions for 48."""

TABLES = {
    "bert": "bert.embeddings.position_embeddings",
    "roberta": "roberta.embeddings.position_embeddings",
    "xlm-roberta": "roberta.embeddings.position_embeddings",
    "camembert": "roberta.embeddings.position_embeddings",
    "distilbert": "distilbert.embeddings.position_embeddings",
    "electra": "electra.embeddings.position_embeddings",
    "ernie": "ernie.embeddings.position_embeddings",
    "mpnet": "mpnet.embeddings.position_embeddings",
    "albert": "albert.embeddings.position_embeddings",
    "modernbert": None,
    "deberta-v2": None,
}
POOLERS = {
    "bert": "bert.pooler.dense",
    "ernie": "ernie.pooler.dense",
    "albert": "albert.pooler",
}
"""In classifiers: the others have a layer of their own in the head, which stays whole."""

POSITIONED = {"position_biased_input": True}
"""Of a DeBERTa with position embeddings."""


def outputs(model: PreTrainedModel, length: int = LENGTH) -> Tensor:
    given = batch(model, length=length)
    if not family_of(model.config).types:
        del given["token_type_ids"]
    with torch.no_grad():
        found: Tensor = model(**given)[0]
    return found


def check_cut(model: PreTrainedModel, rows: int) -> None:
    """It computes the same, and its config makes a model of its shapes."""
    expected = outputs(model)
    cut_positions_(model, LENGTH)
    assert model.config.max_position_embeddings == rows
    assert usable_positions(model.config) == LENGTH
    assert torch.equal(outputs(model), expected)
    made = type(model)(copy.deepcopy(model.config)).eval()
    made.load_state_dict(model.state_dict())
    assert torch.equal(outputs(made), expected)
    for name, buffer in made.named_buffers():
        assert torch.equal(model.get_buffer(name), buffer), name
    with pytest.raises((RuntimeError, IndexError)):
        outputs(model, LENGTH + 1)


@pytest.mark.parametrize("family", FAMILIES)
def test_cut(family: str) -> None:
    model, table = tiny(family), TABLES[family]
    assert position_embeddings(model) == table
    if table is not None:
        before = model.get_submodule(table).weight.clone()
        rows = LENGTH + FAMILIES[family].offset
        check_cut(model, rows)
        after = model.get_submodule(table)
        assert torch.equal(after.weight, before[:rows]) and after.num_embeddings == rows
        assert after.weight.requires_grad
        return
    config, expected = copy.deepcopy(model.config), outputs(model)
    cut_positions_(model, LENGTH)
    assert model.config.to_dict() == config.to_dict()
    assert torch.equal(outputs(model), expected)


@pytest.mark.parametrize("sizes", [{}, {"position_buckets": -1}, {"max_relative_positions": 20}])
def test_a_deberta_with_position_embeddings_keeps_its_distances(sizes: dict[str, Any]) -> None:
    model = tiny("deberta-v2", **{**POSITIONED, **sizes})
    assert position_embeddings(model) == "deberta.embeddings.position_embeddings"
    check_cut(model, LENGTH)
    assert model.config.max_relative_positions == sizes.get("max_relative_positions", 48)


@pytest.mark.parametrize("length", [48, 400])
def test_a_short_table_is_left(bert: BertForSequenceClassification, length: int) -> None:
    before = copy.deepcopy(bert.state_dict())
    config = bert.config.to_dict()
    cut_positions_(bert, length)
    assert bert.config.to_dict() == config
    assert all(torch.equal(before[name], t) for name, t in bert.state_dict().items())
    assert trimmed_inventory(bert, length).removed == 0


@pytest.mark.parametrize("auto", AUTOS)
def test_other_heads(auto: str) -> None:
    """A model of tokens has no pooler; an encoder alone has no prefix."""
    model = tiny("bert", auto)
    pooler = [m.name for m in trimmed_inventory(model, LENGTH).matrices if "pooler" in m.name]
    assert pooler == [name for name, _ in model.named_modules() if name.endswith("pooler.dense")]
    check_cut(model, LENGTH)


@pytest.mark.parametrize("family", FAMILIES)
def test_counts_by_hand(family: str) -> None:
    """What is cut and what is compressed, out of the parameters themselves."""
    model = tiny(family)
    plain, trimmed = inventory(model), trimmed_inventory(model, LENGTH)
    assert trimmed.total == plain.total == sum(p.numel() for p in model.parameters())
    more = {m.name: (m.rows, m.cols) for m in trimmed.matrices if m not in plain.matrices}
    pooler = POOLERS.get(family)
    assert more == ({pooler: (16, 16)} if pooler else {})
    table = TABLES[family]
    width = model.get_submodule(table).weight.shape[1] if table else 0
    assert trimmed.removed == (48 - LENGTH) * width
    student = copy.deepcopy(model)
    cut_positions_(student, LENGTH)
    replace_(student, {m.name: 1 for m in trimmed.matrices})
    kept = sum(p.numel() for p in student.parameters())
    ranks = sum(m.rows + m.cols for m in trimmed.matrices)
    assert kept == trimmed.kept_whole + ranks
    assert "pooler" not in trimmed.whole


@pytest.mark.parametrize("family", POOLERS)
def test_the_pooler_sees_first_tokens(family: str) -> None:
    """Also in a batch of as many examples as tokens."""
    model = tiny(family)
    inputs = batch(model, rows=LENGTH)
    found = gather(model, [inputs, batch(model)])
    with torch.no_grad():
        last = [model(**given, output_hidden_states=True).hidden_states[-1][:, 0]
                for given in (inputs, batch(model))]  # fmt: skip
    x = torch.cat(last)
    seen = found.of(POOLERS[family]).second
    torch.testing.assert_close(seen, x.T @ x / len(x))
