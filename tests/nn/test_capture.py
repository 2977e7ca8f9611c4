"""Attention maps and hidden states against attention computed by hand."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import BertForSequenceClassification

from lada.nn.capture import Outputs, forward, set_attention
from lada.nn.families import FAMILIES, encoder_of, layers_of
from tests import families
from tests.families import tiny

Make = Callable[..., BertForSequenceClassification]
MAPS = ("scores", "probabilities", "values")


def _run(
    model: BertForSequenceClassification, batch: dict[str, Tensor], maps: str | None
) -> Outputs:
    set_attention(model, maps)
    with torch.no_grad():
        return forward(model, batch, hidden=True, attentions=maps is not None)


def _scores(model: BertForSequenceClassification, layer: int, hidden: Tensor) -> Tensor:
    """Scaled products of queries and keys, one head after another."""
    attention = model.bert.encoder.layer[layer].attention.self
    heads = model.config.num_attention_heads
    width = model.config.hidden_size // heads
    maps = []
    for h in range(heads):
        rows = slice(h * width, (h + 1) * width)
        query = hidden @ attention.query.weight[rows].T + attention.query.bias[rows]
        key = hidden @ attention.key.weight[rows].T + attention.key.bias[rows]
        maps.append(torch.stack([q @ k.T for q, k in zip(query, key, strict=True)]))
    return torch.stack(maps, dim=1) / math.sqrt(width)


@pytest.mark.parametrize("heads", [1, 2, 4])
def test_scores_by_hand(make_bert: Make, batch: dict[str, Tensor], heads: int) -> None:
    model = make_bert(num_attention_heads=heads)
    out = _run(model, batch, "scores")
    assert len(out.attentions) == 2
    for i, scores in enumerate(out.attentions):
        assert scores.shape == (3, heads, 7, 7)
        # Before masking: also those of padding are plain products.
        expected = _scores(model, i, out.hidden[i])
        torch.testing.assert_close(scores, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("heads", [1, 2, 4])
def test_probabilities_by_hand(make_bert: Make, batch: dict[str, Tensor], heads: int) -> None:
    model = make_bert(num_attention_heads=heads)
    out = _run(model, batch, "probabilities")
    assert len(out.attentions) == 2
    for i, probabilities in enumerate(out.attentions):
        scores = _scores(model, i, out.hidden[i])
        for row, length in enumerate((7, 4, 1)):
            real = scores[row, :, :, :length].exp()
            expected = torch.zeros(heads, 7, 7)
            expected[:, :, :length] = real / real.sum(-1, keepdim=True)
            torch.testing.assert_close(probabilities[row], expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("heads", [1, 2, 4])
def test_values_by_hand(make_bert: Make, batch: dict[str, Tensor], heads: int) -> None:
    """Products of the values of two tokens, of the last layer alone."""
    model = make_bert(num_attention_heads=heads)
    out = _run(model, batch, "values")
    assert len(out.attentions) == 1
    projection = model.bert.encoder.layer[1].attention.self.value
    width = model.config.hidden_size // heads
    for h in range(heads):
        rows = slice(h * width, (h + 1) * width)
        value = out.hidden[1] @ projection.weight[rows].T + projection.bias[rows]
        expected = torch.stack([v @ v.T for v in value]) / math.sqrt(width)
        torch.testing.assert_close(out.attentions[0][:, h], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("maps", MAPS)
def test_logits_are_those_of_the_fast_attention(
    bert: BertForSequenceClassification, batch: dict[str, Tensor], maps: str
) -> None:
    fast = _run(bert, batch, None)
    assert bert.config._attn_implementation == "sdpa"
    ours = _run(bert, batch, maps)
    torch.testing.assert_close(ours.logits, fast.logits, rtol=0, atol=1e-5)
    real = batch["attention_mask"].bool()
    for a, b in zip(ours.hidden, fast.hidden, strict=True):
        torch.testing.assert_close(a[real], b[real], rtol=0, atol=1e-5)
    # And the way back.
    assert torch.equal(_run(bert, batch, None).logits, fast.logits)


@pytest.mark.parametrize("maps", MAPS)
def test_padding_does_not_reach_the_logits(
    bert: BertForSequenceClassification, batch: dict[str, Tensor], maps: str
) -> None:
    logits = _run(bert, batch, maps).logits
    other = dict(batch)
    other["input_ids"] = torch.where(batch["attention_mask"].bool(), batch["input_ids"], 33)
    torch.testing.assert_close(_run(bert, other, maps).logits, logits, rtol=0, atol=1e-5)
    short = {k: v[1:2, :4] for k, v in batch.items()}
    torch.testing.assert_close(_run(bert, short, maps).logits, logits[1:2], rtol=0, atol=1e-5)


def test_hidden_states(make_bert: Make, batch: dict[str, Tensor]) -> None:
    model = make_bert(num_hidden_layers=3)
    seen: list[Tensor] = []

    def keep(_module: object, _args: object, output: Tensor | tuple[Tensor, ...]) -> None:
        seen.append(output if isinstance(output, Tensor) else output[0])

    for module in (model.bert.embeddings, *model.bert.encoder.layer):
        module.register_forward_hook(keep)
    out = _run(model, batch, None)
    assert len(out.hidden) == len(seen) == 4
    for hidden, by_hook in zip(out.hidden, seen, strict=True):
        assert hidden.shape == (3, 7, 16)
        assert torch.equal(hidden, by_hook)
    embeddings = model.bert.embeddings
    added = (
        embeddings.word_embeddings.weight[batch["input_ids"]]
        + embeddings.token_type_embeddings.weight[batch["token_type_ids"]]
        + embeddings.position_embeddings.weight[:7]
    )
    torch.testing.assert_close(out.hidden[0], embeddings.LayerNorm(added))
    pooled = torch.tanh(out.hidden[-1][:, 0] @ model.bert.pooler.dense.weight.T
                        + model.bert.pooler.dense.bias)  # fmt: skip
    torch.testing.assert_close(out.logits, model.classifier(pooled))


def test_only_what_is_asked_for(
    bert: BertForSequenceClassification, batch: dict[str, Tensor]
) -> None:
    set_attention(bert, "scores")
    out = forward(bert, batch, hidden=False, attentions=False)
    assert (out.hidden, out.attentions) == ((), ())
    assert out.logits.shape == (3, 3)
    out = forward(bert, batch, hidden=False, attentions=True)
    assert (len(out.hidden), len(out.attentions)) == (0, 2)
    out = forward(bert, batch, hidden=True, attentions=False)
    assert (len(out.hidden), len(out.attentions)) == (3, 0)


def test_probabilities_are_taken_before_dropout(make_bert: Make, batch: dict[str, Tensor]) -> None:
    model = make_bert(attention_probs_dropout_prob=0.9, hidden_dropout_prob=0.0)
    calm = _run(model, batch, "probabilities")
    model.train()
    torch.manual_seed(0)
    out = _run(model, batch, "probabilities")
    # The first layer has the same input as without dropout; in the second, rows still sum to 1.
    torch.testing.assert_close(out.attentions[0], calm.attentions[0])
    for probabilities in out.attentions:
        torch.testing.assert_close(probabilities.sum(-1), torch.ones(3, 2, 7))
    # But the output did go through it.
    assert not torch.allclose(out.hidden[1], calm.hidden[1], atol=1e-3)
    torch.manual_seed(1)
    assert not torch.allclose(_run(model, batch, "probabilities").logits, out.logits, atol=1e-3)


def test_no_dropout_in_eval_mode(make_bert: Make, batch: dict[str, Tensor]) -> None:
    model = make_bert(attention_probs_dropout_prob=0.9, hidden_dropout_prob=0.9)
    for maps in MAPS:
        assert torch.equal(_run(model, batch, maps).logits, _run(model, batch, maps).logits)


@pytest.mark.parametrize("maps", MAPS)
def test_gradients_flow_through_maps_and_logits(
    bert: BertForSequenceClassification, batch: dict[str, Tensor], maps: str
) -> None:
    set_attention(bert, maps)
    attention = bert.bert.encoder.layer[1].attention.self
    weight = (attention.value if maps == "values" else attention.query).weight
    out = forward(bert, batch, hidden=False, attentions=True)
    (by_map,) = torch.autograd.grad(out.attentions[-1].square().sum(), weight, retain_graph=True)
    (by_logits,) = torch.autograd.grad(out.logits.square().sum(), weight)
    for grad in (by_map, by_logits):
        assert bool(torch.isfinite(grad).all())
        assert bool((grad != 0).any())


@pytest.mark.parametrize("maps", ["", "score", "eager", "none"])
def test_unknown_maps_are_rejected(bert: BertForSequenceClassification, maps: str) -> None:
    with pytest.raises(ValueError, match="not scores, probabilities, values or None"):
        set_attention(bert, maps)


@pytest.mark.parametrize("family", [name for name, row in FAMILIES.items() if row.maps])
def test_maps_of_every_family_that_gives_them(family: str) -> None:
    model = tiny(family, num_hidden_layers=3, local_attention=4)
    given = families.batch(model, length=11)
    real = given["attention_mask"].bool()
    set_attention(model, None)
    with torch.no_grad():
        model.set_attn_implementation("eager")
        eager = forward(model, given, hidden=True, attentions=True)
        found = {}
        for maps in MAPS:
            set_attention(model, maps)
            found[maps] = forward(model, given, hidden=True, attentions=True)
    for maps, out in found.items():
        torch.testing.assert_close(out.logits, eager.logits)
        for ours, theirs in zip(out.hidden, eager.hidden, strict=True):
            torch.testing.assert_close(ours[real], theirs[real])
        assert len(out.attentions) == (1 if maps == "values" else 3), maps
        # As many heads of as many tokens, in whatever way the family projects its values.
        assert out.attentions[-1].shape == eager.attentions[-1].shape
        if maps == "values":
            torch.testing.assert_close(out.attentions[0], out.attentions[0].mT)
    probabilities, scores = found["probabilities"].attentions, found["scores"].attentions
    for ours, score, theirs in zip(probabilities, scores, eager.attentions, strict=True):
        torch.testing.assert_close(ours, theirs)
        # Of the whole first example, in whatever window there is, scores become probabilities.
        inside = torch.where(ours[0] > 0, score[0], float("-inf"))
        torch.testing.assert_close(inside.softmax(-1), ours[0])


def test_a_window_of_modernbert_is_in_the_probabilities() -> None:
    model = tiny("modernbert", num_hidden_layers=3, local_attention=4)
    given = families.batch(model, length=11)
    set_attention(model, "probabilities")
    with torch.no_grad():
        out = forward(model, given, attentions=True)
    windows = [float(maps[0, 0].count_nonzero()) < 121 for maps in out.attentions]
    assert windows == [kind == "sliding_attention" for kind in model.config.layer_types]
    assert any(windows) and not all(windows)


@pytest.mark.parametrize("family", list(FAMILIES))
def test_hidden_states_of_every_family(family: str) -> None:
    model = tiny(family, num_hidden_layers=3)
    given = families.batch(model)
    place: Any = model.get_submodule(layers_of(model))
    layers = list(place) * (3 if family == "albert" else 1)
    inputs: list[Tensor] = []
    for layer in dict.fromkeys(layers):
        layer.register_forward_pre_hook(lambda _, args: inputs.append(args[0]))
    with torch.no_grad():
        hidden = forward(model, given, hidden=True).hidden
        last = encoder_of(model)(
            input_ids=given["input_ids"], attention_mask=given["attention_mask"]
        ).last_hidden_state
    assert len(hidden) == 4
    for ours, theirs in zip(hidden[:3], inputs[:3], strict=True):
        torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(hidden[3], last)


@pytest.mark.parametrize("family", [name for name, row in FAMILIES.items() if not row.maps])
def test_a_family_without_maps(family: str) -> None:
    model = tiny(family)
    before = model.config._attn_implementation
    set_attention(model, None)
    assert model.config._attn_implementation == before
    with pytest.raises(ValueError, match="does not give attention maps"):
        set_attention(model, "scores")


@pytest.mark.parametrize("family", list(FAMILIES))
def test_token_types_reach_the_models_that_have_them(family: str) -> None:
    model = tiny(family)
    given = families.batch(model)
    with torch.no_grad():
        plain = forward(model, given).logits
        types = forward(model, {**given, "token_type_ids": given["attention_mask"]}).logits
    told_apart = FAMILIES[family].types and family != "deberta-v2"  # its published ones have none
    assert torch.equal(plain, types) != told_apart
