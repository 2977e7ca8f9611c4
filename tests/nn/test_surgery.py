"""Counting a model, and replacing its layers."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from transformers import BertConfig, BertForSequenceClassification, GPT2Config, GPT2Model

from lada.errors import LadaError
from lada.nn.compressed import compressed_layers
from lada.nn.factors import FactorizedEmbedding, FactorizedLinear
from lada.nn.surgery import inventory, replace_, replace_empty_

WORD_EMBEDDINGS = "bert.embeddings.word_embeddings"
QUERY = "bert.encoder.layer.0.attention.self.query"
UP = "bert.encoder.layer.1.intermediate.dense"
Make = Callable[..., BertForSequenceClassification]


def test_every_parameter_is_counted_once(bert: BertForSequenceClassification) -> None:
    counted = inventory(bert)
    params = dict(bert.named_parameters())
    matrices = {f"{m.name}.weight": m for m in counted.matrices}
    assert len(matrices) == len(counted.matrices) == 1 + 2 * 6
    assert set(matrices) <= set(params)
    for name, m in matrices.items():
        assert (m.rows, m.cols) == tuple(params[name].shape)
        assert m.embedding == (name == f"{WORD_EMBEDDINGS}.weight")
    rest = sum(p.numel() for name, p in params.items() if name not in matrices)
    assert counted.kept_whole == rest
    assert counted.total == sum(p.numel() for p in params.values())


def test_what_stays_whole_by_hand(bert: BertForSequenceClassification) -> None:
    assert inventory(bert).whole == {
        "position embeddings": 24 * 16,
        "type embeddings": 2 * 16,
        "LayerNorm": 2 * 16 * 5,
        "biases": 2 * (5 * 16 + 32),
        "pooler": 16 * 16 + 16,
        "classifier": 3 * 16 + 3,
    }


def test_matrices_in_the_model_s_order(bert: BertForSequenceClassification) -> None:
    names = [m.name for m in inventory(bert).matrices]
    assert names[0] == WORD_EMBEDDINGS
    assert names[1:7] == [
        f"bert.encoder.layer.0.{x}"
        for x in (
            "attention.self.query", "attention.self.key", "attention.self.value",
            "attention.output.dense", "intermediate.dense", "output.dense",
        )
    ]  # fmt: skip
    assert [x.replace("layer.0.", "layer.1.") for x in names[1:7]] == names[7:]


def test_a_foreign_model_is_rejected() -> None:
    with pytest.raises(LadaError, match="Linear is not supported"):
        inventory(nn.Linear(2, 2))  # type: ignore[arg-type]
    gpt = GPT2Model(GPT2Config(vocab_size=9, n_embd=4, n_layer=1, n_head=1))
    with pytest.raises(LadaError, match=r"gpt2 is not supported\. Give one of bert, roberta"):
        inventory(gpt)


@pytest.mark.parametrize(
    ("place", "name"),
    [
        ("", "extra.weight"),
        ("bert", "bert.extra.weight"),
        ("bert.embeddings", "bert.embeddings.extra.weight"),
        ("bert.encoder", "bert.encoder.extra.weight"),
    ],
)
def test_an_unknown_layer_is_rejected(
    bert: BertForSequenceClassification, place: str, name: str
) -> None:
    bert.get_submodule(place).add_module("extra", nn.Linear(3, 3))
    with pytest.raises(LadaError, match=f"parameter {name} is not one of a plain Bert"):
        inventory(bert)


@pytest.mark.parametrize(
    ("place", "shape"),
    [
        ("", (3,)),
        ("bert.encoder.layer.1", (3, 3)),
        ("bert.encoder.layer.1.attention.self", (3,)),
        # Beside the weight of a Linear, as adapters have them.
        pytest.param(QUERY, (3,), id="vector-in-linear"),
        pytest.param(QUERY, (3, 3), id="matrix-in-linear"),
    ],
)
def test_an_unknown_parameter_is_rejected(
    bert: BertForSequenceClassification, place: str, shape: tuple[int, ...]
) -> None:
    name = f"{place}.gate".lstrip(".")
    bert.get_submodule(place).register_parameter("gate", nn.Parameter(torch.zeros(shape)))
    with pytest.raises(LadaError, match=f"parameter {name} is not one of a plain Bert"):
        inventory(bert)


@pytest.mark.parametrize(
    "name", ["classifier_too", "bert.pooler_too", "bert.embeddings.position_embeddings_too"]
)
def test_a_name_that_only_begins_like_a_known_one(
    bert: BertForSequenceClassification, name: str
) -> None:
    place, _, last = name.rpartition(".")
    bert.get_submodule(place).add_module(last, nn.Linear(3, 3))
    with pytest.raises(LadaError, match=f"parameter {name}.weight is not one of a plain Bert"):
        inventory(bert)


def test_a_convolution_in_a_layer_is_rejected(bert: BertForSequenceClassification) -> None:
    bert.bert.encoder.layer[1].add_module("mix", nn.Conv1d(2, 2, 1))
    with pytest.raises(LadaError, match=r"layer\.1\.mix\.weight is not one of a plain Bert"):
        inventory(bert)


@pytest.mark.parametrize("name", [WORD_EMBEDDINGS, UP])
def test_a_compressed_model_is_rejected(bert: BertForSequenceClassification, name: str) -> None:
    replace_(bert, {name: 2})
    with pytest.raises(LadaError, match=f"{name} is already compressed"):
        inventory(bert)


def _outputs(model: BertForSequenceClassification, batch: dict[str, Tensor]) -> Tensor:
    with torch.no_grad():
        return model(**batch).logits


def test_replace_at_full_rank_changes_no_output(make_bert: Make, batch: dict[str, Tensor]) -> None:
    model = make_bert()
    before = _outputs(model, batch)
    biases = {n: p for n, p in model.named_parameters() if n.endswith("bias")}
    matrices = inventory(model).matrices
    replace_(model, {m.name: min(m.rows, m.cols) for m in matrices})
    assert list(compressed_layers(model)) == [m.name for m in matrices]
    torch.testing.assert_close(_outputs(model, batch), before, rtol=1e-4, atol=1e-5)
    for name, bias in biases.items():
        assert torch.equal(model.get_parameter(name), bias)


def test_replace_at_a_lower_rank(make_bert: Make, batch: dict[str, Tensor]) -> None:
    model, dense = make_bert(), make_bert()
    replace_(model, {WORD_EMBEDDINGS: 5, QUERY: 3, UP: 1})
    layers = compressed_layers(model)
    assert {name: layer.rank for name, layer in layers.items()} == {
        WORD_EMBEDDINGS: 5,
        QUERY: 3,
        UP: 1,
    }
    assert isinstance(layers[WORD_EMBEDDINGS], FactorizedEmbedding)
    assert isinstance(layers[QUERY], FactorizedLinear)
    assert layers[UP].factor_a.shape == (32, 1)
    assert layers[UP].factor_b.shape == (16, 1)
    # The dense model with the products in their place gives the same output.
    with torch.no_grad():
        for name, layer in layers.items():
            dense.get_submodule(name).weight.copy_(layer.product())
    torch.testing.assert_close(_outputs(model, batch), _outputs(dense, batch), rtol=1e-4, atol=1e-5)


def test_replace_rejects_another_layer(bert: BertForSequenceClassification) -> None:
    with pytest.raises(LadaError, match="LayerNorm is a LayerNorm, not Linear or Embedding"):
        replace_(bert, {"bert.embeddings.LayerNorm": 2})


def test_replace_empty_is_filled_by_a_strict_load(
    make_bert: Make, batch: dict[str, Tensor]
) -> None:
    model, fresh = make_bert(), make_bert(seed=1)
    ranks = {WORD_EMBEDDINGS: 5, QUERY: 3, UP: 1}
    replace_(model, ranks)
    compressed_layers(model)[QUERY].lower_rank_(2, "truncate")
    replace_empty_(fresh, {k: {"kind": "factors", "rank": r} for k, r in ranks.items()})
    for name, layer in compressed_layers(fresh).items():
        assert not layer.factor_a.any()
        assert not layer.factor_b.any()
        assert layer.factor_a.dtype is torch.float32
        assert layer.rank == ranks[name]
    fresh.load_state_dict(model.state_dict(), strict=True)
    assert compressed_layers(fresh)[QUERY].rank == 2
    assert torch.equal(_outputs(fresh, batch), _outputs(model, batch))


def test_replace_empty_keeps_a_missing_bias_missing(bert: BertForSequenceClassification) -> None:
    bert.set_submodule(QUERY, nn.Linear(16, 16, bias=False))
    replace_empty_(bert, {QUERY: {"kind": "factors", "rank": 2}})
    assert bert.get_submodule(QUERY).bias is None


@pytest.mark.parametrize(
    ("name", "rank", "match"),
    [
        ("bert.encoder.layer.9.output.dense", 2, "no layer bert.encoder.layer.9"),
        ("no.such.layer", 2, "no layer no.such.layer"),
        ("bert.embeddings.LayerNorm", 2, "is a LayerNorm, not a matrix"),
        ("bert.encoder", 2, "not a matrix"),
        (QUERY, 0, r"rank 0; 16 x 16 allows 1\.\.16"),
        (QUERY, -3, r"rank -3; 16 x 16 allows 1\.\.16"),
        (UP, 17, r"rank 17; 32 x 16 allows 1\.\.16"),
        (WORD_EMBEDDINGS, 17, r"rank 17; 40 x 16 allows 1\.\.16"),
    ],
)
def test_replace_empty_rejects(
    bert: BertForSequenceClassification, name: str, rank: int, match: str
) -> None:
    with pytest.raises(LadaError, match=match):
        replace_empty_(bert, {name: {"kind": "factors", "rank": rank}})


def test_the_real_bert_base_has_73_matrices() -> None:
    with torch.device("meta"):
        model = BertForSequenceClassification(BertConfig(num_labels=3))
    counted = inventory(model)
    assert len(counted.matrices) == 73
    assert sum(m.embedding for m in counted.matrices) == 1
    assert counted.total == sum(p.numel() for p in model.parameters()) == 109_484_547
