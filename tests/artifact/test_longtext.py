"""A long text that is cut has the tokens of the whole one."""

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import PreTrainedTokenizerFast

from lada.artifact import longtext
from lada.artifact.longtext import shorten
from lada.nn.pretrained import load_tokenizer

TOKENIZER = load_tokenizer(None, ["the soup was not bad at all", "日本 café"])
PARTS = ["the", "soup", " ", "  ", "\t", "\n", "[SEP]", "[SE", "P]", "[", ".", "!?", "日本", "é",
         "e\u0301", "\u0301", "\u200b", "\x00", "\x85", "\u2028", "\u3000", "😀", "x" * 130, "İ",
         "abc", "Ａ", "한국", "-", "\r\n", "กำ", "[MASK] "]  # fmt: skip
texts = st.lists(st.sampled_from(PARTS), max_size=80).map("".join) | st.text(max_size=200)


def tokens(text: str, pair: str | None, length: int) -> Any:
    found = TOKENIZER(text, pair, truncation=True, max_length=length)
    return found["input_ids"], found["token_type_ids"]


@given(texts, st.none() | texts, st.integers(3, 20), st.integers(9, 60))
@settings(max_examples=600)
def test_the_same_tokens(text: str, pair: str | None, length: int, piece: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(longtext, "FREE", 0)
        patch.setattr(longtext, "PIECE", piece)
        length = max(length, 3 if pair is None else 5)
        cut = shorten(TOKENIZER, text, pair, length)
    assert tokens(*cut, length) == tokens(text, pair, length)
    assert text.startswith(cut[0])


@pytest.mark.slow
@pytest.mark.parametrize("unit", ["the soup ", "日本", "a,", "[SEP]", "soup " + "x" * 130 + " "])
def test_little_of_a_long_text_is_read(unit: str) -> None:
    text = unit * (10**6 // len(unit))
    for pair in (None, "not bad", text[:-7], text[: len(text) // 2], "!" * 3000):
        cut = shorten(TOKENIZER, text, pair, 64)
        assert len(cut[0]) <= 16 * longtext.PIECE
        assert len(cut[1] or "") <= 16 * longtext.PIECE


def test_short_texts_and_other_tokenizers_are_left_alone() -> None:
    draw = random.Random(1)
    text = "".join(draw.choice("ab .") for _ in range(longtext.FREE))
    assert shorten(TOKENIZER, text, text, 8) == (text, text)
    from tokenizers import Tokenizer, models

    other = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.Unigram([("a", -1.0)])))
    assert shorten(other, text * 9, None, 8) == (text * 9, None)
    left = load_tokenizer(None, ["a"])
    left.truncation_side = "left"
    assert shorten(left, text * 9, None, 8) == (text * 9, None)
