"""The BiLSTM student against an LSTM by hand, one token after another."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import BertConfig, BertForSequenceClassification

from lada.nn.bilstm import BiLstm, bilstm_config
from lada.nn.capture import forward
from lada.nn.factors import FactorizedEmbedding
from lada.nn.masked import MaskedEmbedding
from lada.nn.surgery import replace_

Make = Callable[..., BertForSequenceClassification]
Array = NDArray[np.float64]
Pair = tuple[list[int], list[int]]
CLS, SEP, PAD, JUNK = 1, 2, 0, 17
WIDTH, HIDDEN, INNER, CLASSES, WORDS = 5, 4, 16, 3, 20
SENTENCES = [[5, 6, 7, 8], [9], [], [10, 11, 5, 6, 12, 13], [19, 3]]
PAIRS = [([5, 6, 7], [8, 9]), ([4], [3, 5, 6, 7, 8]), ([9, 9], [9, 9]), ([], [6]), ([12, 13], [])]


def bilstm_size(
    table: int,
    width: int,
    classes: int,
    *,
    pairs: bool,
    hidden: int = 300,
    inner: int = 400,
) -> int:
    """How many parameters a `BiLstm` has, of which ``table`` are its embedding's.

    An LSTM has four gates, each with a matrix for its input, one for its state, and two biases.
    """
    lstm = 4 * hidden * (width + hidden + 2)
    states = (8 if pairs else 2) * hidden
    return table + 2 * lstm + (states + 1) * inner + (inner + 1) * classes


def empty(pairs: bool, hidden: int = HIDDEN, inner: int = INNER) -> BiLstm:
    config = BertConfig(vocab_size=WORDS, hidden_size=WIDTH, pad_token_id=PAD, num_labels=CLASSES)
    return BiLstm(bilstm_config(config, pairs=pairs, hidden=hidden, inner=inner))


def make(pairs: bool) -> BiLstm:
    torch.manual_seed(0)
    model = empty(pairs).double().eval()
    for p in model.parameters():
        torch.nn.init.normal_(p, std=0.7)  # far from linear, and the row of padding is no zeros
    return model


def rows_of(pairs: bool) -> list[Pair]:
    return PAIRS if pairs else [(a, []) for a in SENTENCES]


def batch_of(rows: list[Pair], pairs: bool, more: int = 0, left: bool = False) -> dict[str, Tensor]:
    """[CLS] a [SEP] (b [SEP]), padded to the longest and by ``more``, with junk in the padding."""
    tokens = [[CLS, *a, SEP, *((*b, SEP) if pairs else ())] for a, b in rows]
    length = max(map(len, tokens)) + more
    ids = torch.full((len(rows), length), JUNK)
    mask, types = torch.zeros_like(ids), torch.ones_like(ids)
    for i, (row, (a, _)) in enumerate(zip(tokens, rows, strict=True)):
        start = length - len(row) if left else 0
        place = slice(start, start + len(row))
        ids[i, place] = torch.tensor(row)
        mask[i, place] = 1
        types[i, start : start + len(a) + 2] = 0
    return {"input_ids": ids, "attention_mask": mask, "token_type_ids": types}


def _sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def _read(weights: dict[str, Array], name: str, vectors: list[Array]) -> Array:
    """The state after the last vector: gates in the order input, forget, cell, output."""
    state, cell = np.zeros(HIDDEN), np.zeros(HIDDEN)
    for x in vectors:
        gates = (
            weights[f"lstm.weight_ih_{name}"] @ x
            + weights[f"lstm.bias_ih_{name}"]
            + weights[f"lstm.weight_hh_{name}"] @ state
            + weights[f"lstm.bias_hh_{name}"]
        )
        i, f, g, o = np.split(gates, 4)
        cell = _sigmoid(f) * cell + _sigmoid(i) * np.tanh(g)
        state = _sigmoid(o) * np.tanh(cell)
    return state


def by_hand(model: BiLstm, rows: list[Pair]) -> Array:
    weights = {name: p.detach().numpy() for name, p in model.named_parameters()}
    out = []
    for a, b in rows:
        states = []
        for sentence in (a, b) if model.config.pairs else (a,):
            vectors = [weights["embedding.weight"][token] for token in (*sentence, SEP)]
            ahead, back = (vectors, "l0"), (vectors[::-1], "l0_reverse")
            states.append(np.concatenate([_read(weights, n, x) for x, n in (ahead, back)]))
        if model.config.pairs:
            u, v = states
            states = [u, v, u * v, np.abs(u - v)]
        inner = weights["dense.weight"] @ np.concatenate(states) + weights["dense.bias"]
        inner = np.maximum(inner, 0.0)
        out.append(weights["classifier.weight"] @ inner + weights["classifier.bias"])
    return np.stack(out)


def run(model: BiLstm, batch: dict[str, Tensor]) -> Tensor:
    with torch.no_grad():
        return forward(model, batch, hidden=False, attentions=False).logits


@pytest.mark.parametrize("pairs", [False, True])
def test_by_hand(pairs: bool) -> None:
    model, rows = make(pairs), rows_of(pairs)
    logits = run(model, batch_of(rows, pairs))
    assert logits.shape == (5, CLASSES)
    np.testing.assert_allclose(logits.numpy(), by_hand(model, rows), rtol=1e-10)


@pytest.mark.parametrize("pairs", [False, True])
@pytest.mark.parametrize("left", [False, True])
@pytest.mark.parametrize("more", [0, 1, 9])
def test_padding_changes_nothing(pairs: bool, left: bool, more: int) -> None:
    model, rows = make(pairs), rows_of(pairs)
    expected = by_hand(model, rows)
    logits = run(model, batch_of(rows, pairs, more, left))
    np.testing.assert_allclose(logits.numpy(), expected, rtol=1e-10)
    for i, row in enumerate(rows):
        alone = run(model, batch_of([row], pairs, more, left))
        np.testing.assert_allclose(alone.numpy(), expected[i : i + 1], rtol=1e-10)


def test_pairs_are_split_by_type() -> None:
    model = make(pairs=True)
    batch = batch_of([([5, 6, 7], [8, 9])], pairs=True)
    logits = run(model, batch)
    assert not torch.allclose(run(model, batch_of([([8, 9], [5, 6, 7])], pairs=True)), logits)
    moved = dict(batch)
    moved["token_type_ids"] = batch["token_type_ids"].roll(1, dims=1)
    assert not torch.allclose(run(model, moved), logits)
    # A single sentence has no types to look at.
    model = make(pairs=False)
    torch.testing.assert_close(run(model, moved), run(model, batch), rtol=0, atol=0)


def test_equal_sentences_have_equal_states() -> None:
    model = make(pairs=True)
    seen: list[Tensor] = []
    model.dense.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    run(model, batch_of([([9, 5], [9, 5]), ([9, 5], [5, 9])], pairs=True))
    u, v, product, apart = seen[0].chunk(4, dim=1)
    torch.testing.assert_close(u[0], v[0])
    torch.testing.assert_close(product[0], u[0] ** 2)
    torch.testing.assert_close(apart[0], torch.zeros_like(apart[0]))
    assert float(apart[1].min()) > 1e-6


def test_a_row_without_a_sentence_has_states_of_zero() -> None:
    """No tokenizer makes one; a model that is compiled is shown one."""
    model = make(pairs=True)
    seen: list[Tensor] = []
    model.dense.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    one = torch.ones(1, 2, dtype=torch.int64)
    batch = {"input_ids": one, "attention_mask": one, "token_type_ids": 0 * one}
    assert bool(run(model, batch).isfinite().all())
    u, v, _, _ = seen[0].chunk(4, dim=1)
    assert bool((u != 0).all())
    assert not v.any()


@pytest.mark.parametrize("pairs", [False, True])
def test_everything_learns(pairs: bool) -> None:
    model = make(pairs).train()
    batch = batch_of(rows_of(pairs), pairs, more=2)
    forward(model, batch, hidden=False, attentions=False).logits.square().sum().backward()
    for name, p in model.named_parameters():
        assert p.grad is not None, name
        assert bool(p.grad.isfinite().all()), name
        assert bool(p.grad.any()), name
    table = model.embedding.weight.grad
    read = {t for a, b in rows_of(pairs) for t in (*a, *b)} | {SEP}
    assert {int(i) for i in table.any(1).nonzero()} == read  # neither [CLS] nor padding


def test_dropout_is_on_the_inner_layer_in_training_alone() -> None:
    model, batch = make(pairs=False), batch_of(rows_of(False), pairs=False)
    model.dropout.p = 0.9
    assert torch.equal(run(model, batch), run(model, batch))
    calm = run(model, batch)
    model.train()
    torch.manual_seed(0)
    noisy = torch.stack([run(model, batch) for _ in range(20)])
    assert not torch.allclose(noisy[0], calm)
    # With all of it dropped nothing but the bias of the classifier is left.
    bare = (noisy == model.classifier.bias).all(-1)
    assert bool(bare.any())
    assert not bool(bare.all())


def test_from_teacher(make_bert: Make, batch: dict[str, Tensor]) -> None:
    teacher = make_bert().requires_grad_(False)
    table = teacher.bert.embeddings.word_embeddings.weight
    before = table.clone()
    student = BiLstm.from_teacher(teacher, pairs=True)
    assert torch.equal(student.embedding.weight, table)
    assert run(student, batch).shape == (3, 3)
    assert sum(p.numel() for p in student.parameters()) == bilstm_size(40 * 16, 16, 3, pairs=True)
    assert all(p.requires_grad for p in student.parameters())
    torch.nn.init.zeros_(student.embedding.weight)
    assert torch.equal(table, before)


def test_with_a_factorized_table(make_bert: Make, batch: dict[str, Tensor]) -> None:
    teacher = make_bert().requires_grad_(False)
    torch.manual_seed(3)
    whole = BiLstm.from_teacher(teacher, pairs=False).eval()
    torch.manual_seed(3)
    student = BiLstm.from_teacher(teacher, pairs=False).eval()
    replace_(student, {"embedding": 5})
    assert isinstance(student.embedding, FactorizedEmbedding)
    expected = bilstm_size(5 * (40 + 16), 16, 3, pairs=False)
    assert sum(p.numel() for p in student.parameters()) == expected
    student.embedding = FactorizedEmbedding.from_embedding(whole.embedding, 16)  # full rank
    torch.testing.assert_close(run(student, batch), run(whole, batch), rtol=0, atol=1e-5)


def test_with_a_masked_table() -> None:
    plain, masked = make(pairs=True), make(pairs=True)
    masked.embedding = MaskedEmbedding.from_embedding(plain.embedding)
    batch = batch_of(PAIRS, pairs=True)
    assert torch.equal(run(masked, batch), run(plain, batch))


@pytest.mark.parametrize("pairs", [False, True])
@pytest.mark.parametrize(("hidden", "inner"), [(1, 1), (3, 5), (300, 400)])
def test_size(pairs: bool, hidden: int, inner: int) -> None:
    model = empty(pairs, hidden, inner)
    table = WORDS * WIDTH
    expected = bilstm_size(table, WIDTH, CLASSES, pairs=pairs, hidden=hidden, inner=inner)
    assert sum(p.numel() for p in model.parameters()) == expected


def test_size_compared_with_bert_base() -> None:
    # 2 directions x 4 gates x 300 x (768 + 300 + 2), 2400 -> 400 and 400 -> 3 with their biases.
    assert bilstm_size(0, 768, 3, pairs=True) == 2_568_000 + 960_400 + 1_203
    assert bilstm_size(30522 * 768, 768, 2, pairs=False) == 23_440_896 + 2_568_000 + 240_400 + 802


def test_maps_and_states_are_rejected() -> None:
    model, batch = make(pairs=False), batch_of(rows_of(False), pairs=False)
    for asked in ({"hidden": True, "attentions": False}, {"hidden": False, "attentions": True}):
        with pytest.raises(ValueError, match="no hidden states or attention maps"):
            forward(model, batch, **asked)
