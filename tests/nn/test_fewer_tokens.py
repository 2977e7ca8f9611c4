"""Tokenizers of all families, and models, with a part of their tokens."""

from pathlib import Path
from typing import Any

import families
import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models
from tokenizers.processors import TemplateProcessing
from torch import nn
from transformers import PreTrainedTokenizerFast
from vocabularies import MAKERS, WORDS, odd_texts

from lada.errors import LadaError
from lada.nn.families import FAMILIES, word_embeddings
from lada.nn.fewer_tokens import FewerTokens, with_fewer_tokens
from lada.nn.tokenizer import read_tokenizer


def fewer_of(kind: str, used: set[int] | None = None) -> tuple[Any, FewerTokens]:
    """A tokenizer of a kind, and what is left of it where these ids are used."""
    family, make = MAKERS[kind]
    tokenizer = make()
    tokenizer.add_tokens(["extra_1"])
    config = families.tiny_config(family, vocab_size=300)
    return tokenizer, with_fewer_tokens(tokenizer, used or set(), config)


@pytest.mark.parametrize("kind", list(MAKERS))
def test_texts_of_kept_tokens(kind: str) -> None:
    """Alone, in pairs, truncated: the same tokens, types and places; only the ids are others."""
    whole, _ = fewer_of(kind)
    texts = odd_texts()
    word = whole.convert_tokens_to_ids(
        next(w for w in ("soup", "▁soup", "Ġthe") if w in whole.vocab)
    )
    whole, found = fewer_of(kind, {word})
    assert len(found) == len(found.tokenizer) < len(whole)
    assert type(found.tokenizer) is type(whole)
    place = {int(number): new for new, number in enumerate(found.kept)}
    assert place.get(whole.pad_token_id) == found.tokenizer.pad_token_id
    assert found.tokenizer.model_input_names == whole.model_input_names
    how: dict[str, Any] = {
        "truncation": True, "max_length": 30, "padding": True, "return_offsets_mapping": True,
    }  # fmt: skip
    compared = 0
    for given in ((texts,), (texts, texts[::-1])):
        whole_ids = whole(*given)["input_ids"]
        before, after = whole(*given, **how), found.tokenizer(*given, **how)
        for number, ids in enumerate(whole_ids):
            if set(ids) <= set(place) and whole.unk_token_id not in ids:
                compared += 1
                new = [place[i] for i in before["input_ids"][number] if i in place]
                assert after["input_ids"][number] == new
                for name in before.keys() - {"input_ids"}:
                    assert after[name][number] == before[name][number], name
    assert compared > 20


@pytest.mark.parametrize("kind", list(MAKERS))
def test_an_unseen_word_gets_pieces(kind: str) -> None:
    whole, found = fewer_of(kind)
    for word in ("soup", "known", "bad", "the"):
        ids = found.tokenizer(word, add_special_tokens=False)["input_ids"]
        assert found.tokenizer.unk_token_id not in ids
        text = found.tokenizer.decode(ids).replace("##", "")
        assert "".join(text.split()).lower() == word
    dropped = set(whole.get_vocab()) - set(found.tokenizer.get_vocab())
    assert dropped
    assert all(len(token.removeprefix("##")) > 1 for token in dropped)
    assert set(whole.all_special_tokens) <= set(found.tokenizer.all_special_tokens)


@pytest.mark.parametrize("kind", list(MAKERS))
def test_it_comes_back_from_its_folder(kind: str, tmp_path: Path) -> None:
    _, found = fewer_of(kind, {40, 41})
    found.tokenizer.save_pretrained(tmp_path)
    read = read_tokenizer(tmp_path)
    texts = odd_texts()
    assert read.get_vocab() == found.tokenizer.get_vocab()
    assert read(texts, texts[::-1]) == found.tokenizer(texts, texts[::-1])
    again = with_fewer_tokens(read, set(range(len(read))), families.tiny_config(MAKERS[kind][0]))
    assert len(again) == len(found)  # there is nothing more to drop


@pytest.mark.parametrize("family", list(FAMILIES))
def test_a_model_has_the_same_outputs(family: str) -> None:
    """For the new ids, to the last bit; padding and positions included."""
    kind = next(kind for kind, (name, _) in MAKERS.items() if name == family)
    tokenizer = MAKERS[kind][1]()
    pad = tokenizer.pad_token_id
    # Tables of published models have spare rows.
    model = families.tiny(family, vocab_size=len(tokenizer) + 10, pad_token_id=pad)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    size = model.config.vocab_size
    texts = ["the soup was not bad", "soup", "un known 12"]
    batch = dict(tokenizer(texts, padding=True, return_tensors="pt"))
    ids = batch["input_ids"].numpy()
    found = with_fewer_tokens(tokenizer, np.unique(ids).tolist(), model.config)
    smaller = found.model(model)
    assert smaller.config.vocab_size == len(found) < size == model.config.vocab_size
    assert found.of == size
    table = smaller.get_submodule(word_embeddings(smaller))
    assert isinstance(table, nn.Embedding)
    assert table.num_embeddings == len(table.weight) == len(found)
    if table.padding_idx is not None:
        assert table.padding_idx == found.tokenizer.pad_token_id
    renumbered = dict(found.tokenizer(texts, padding=True, return_tensors="pt"))
    assert np.array_equal(renumbered["input_ids"].numpy(), found.renumbered(ids))
    with torch.no_grad():
        expected, given = model(**batch).logits, smaller(**renumbered).logits
    assert torch.equal(expected, given)
    # Nothing is shared: training one leaves the other as it is.
    for parameter in smaller.parameters():
        parameter.data.zero_()
    assert all(torch.equal(before[name], t) for name, t in model.state_dict().items())


def test_ids_of_the_config_are_renumbered() -> None:
    """ModernBERT's special tokens are the last ones of its vocabulary."""
    vocab = {token: n for n, token in enumerate([*"abcdefg", "soup", "[PAD]", "[CLS]", "[UNK]"])}
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.WordPiece(vocab, unk_token="[UNK]")),
        pad_token="[PAD]", cls_token="[CLS]", unk_token="[UNK]",
    )  # fmt: skip
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A", pair="[CLS] $A $B", special_tokens=[("[CLS]", 9)]
    )
    model = families.tiny(
        "modernbert", vocab_size=12, pad_token_id=8, cls_token_id=9, bos_token_id=9,
        eos_token_id=None, sep_token_id=None,
    )  # fmt: skip
    found = with_fewer_tokens(tokenizer, [], model.config)
    config = found.model(model).config
    assert (config.pad_token_id, config.cls_token_id, config.bos_token_id) == (7, 8, 8)
    assert config.eos_token_id is None and config.vocab_size == 10
    assert model.config.pad_token_id == 8


def test_what_is_rejected() -> None:
    words = Tokenizer(models.WordLevel({"[UNK]": 0, "a": 1}, unk_token="[UNK]"))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, unk_token="[UNK]")
    with pytest.raises(LadaError) as error:
        with_fewer_tokens(tokenizer, [1], families.tiny_config("bert"))
    assert str(error.value) == (
        "method.vocabulary=trim: the tokenizer of this model is WordLevel, which cannot be trimmed "
        "yet. Leave it out."
    )
    _, found = fewer_of("bert")
    gone = next(number for number in range(len(WORDS) + 5) if number not in found.kept)
    for unknown in (gone, 10_000):
        with pytest.raises(ValueError, match="not among those that are kept"):
            found.renumbered(np.array([0, unknown], np.int32))
