"""A trimmed vocabulary encodes texts of its tokens as before, and others by smaller ones."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers, processors

from lada.nn.vocabulary import ids_of, kept_ids, kind_of, trimmed, why_not

LETTERS = "abc"
WORD = st.text(LETTERS, min_size=1, max_size=4)
TEXT = st.lists(st.text(LETTERS + "é", min_size=1, max_size=8), min_size=1, max_size=4)
KINDS = ("WordPiece", "BPE", "Unigram")


def spec_of(tokenizer: Tokenizer) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(tokenizer.to_str())
    return found


def smaller(tokenizer: Tokenizer, used: set[int]) -> tuple[Tokenizer, list[int]]:
    spec = spec_of(tokenizer)
    kept = kept_ids(spec, used)
    return Tokenizer.from_str(json.dumps(trimmed(spec, kept))), kept


@st.composite
def wordpiece(draw: st.DrawFn) -> Tokenizer:
    # Any of the single characters may be missing.
    words = draw(st.lists(WORD, max_size=20, unique=True))
    more = draw(st.lists(WORD, max_size=20, unique=True))
    tokens = draw(st.permutations(["[UNK]", "[CLS]", *words, *(f"##{word}" for word in more)]))
    vocab = {token: number for number, token in enumerate(tokens)}
    return Tokenizer(models.WordPiece(vocab, unk_token="[UNK]"))


@st.composite
def bpe(draw: st.DrawFn) -> Tokenizer:
    tokens = list(LETTERS)
    merges: list[tuple[str, str]] = []
    for _ in range(draw(st.integers(0, 15))):
        pair = draw(st.sampled_from(tokens)), draw(st.sampled_from(tokens))
        if pair not in merges and len("".join(pair)) < 7:
            merges.append(pair)
            tokens += [] if "".join(pair) in tokens else ["".join(pair)]
    vocab = {token: n for n, token in enumerate(draw(st.permutations([*tokens, "[UNK]", "[CLS]"])))}
    merges = list(draw(st.permutations(merges)))  # not in the order they were learned in, too
    return Tokenizer(models.BPE(vocab, merges, unk_token="[UNK]"))


@st.composite
def unigram(draw: st.DrawFn) -> Tokenizer:
    words = draw(st.lists(WORD, max_size=20, unique=True))
    score = st.integers(-5, 0).map(float)  # many sums are equal
    pieces = [(piece, draw(score)) for piece in ("[UNK]", "[CLS]", *words)]
    return Tokenizer(models.Unigram(pieces, 0, False))


MADE = {"WordPiece": wordpiece(), "BPE": bpe(), "Unigram": unigram()}


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_texts_of_kept_tokens_are_encoded_as_before(kind: str, data: st.DataObject) -> None:
    """Whatever the vocabulary, and whatever part of it is kept."""
    whole = data.draw(MADE[kind])
    whole.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    start = whole.token_to_id("[CLS]")
    whole.post_processor = processors.TemplateProcessing(
        single="[CLS] $A", special_tokens=[("[CLS]", start)]
    )
    texts = [" ".join(words) for words in data.draw(st.lists(TEXT, min_size=1, max_size=6))]
    seen = {number for text in texts[:2] for number in whole.encode(text).ids}
    fewer, kept = smaller(whole, seen | data.draw(st.sets(st.integers(0, 45), max_size=5)))
    tokens = sorted(whole.get_vocab().items(), key=lambda pair: pair[1])
    expected = [token for token, number in tokens if number in set(kept)]
    assert fewer.get_vocab() == {token: new for new, token in enumerate(expected)}
    place, unknown = {number: new for new, number in enumerate(kept)}, whole.token_to_id("[UNK]")
    readable, compared = set(whole.get_vocab()), 0
    for text in texts:
        before, after = whole.encode(text).ids, fewer.encode(text).ids
        assert max(after) < len(kept)
        if set(before) <= set(kept) - {unknown}:
            assert after == [place[number] for number in before]
            compared += 1
        # Single characters stay, so that all that can be read by them is read.
        if set(text) - {" "} <= readable and kind != "WordPiece":
            assert place[unknown] not in after
        if {x for y in text for x in (y, f"##{y}")} - {" ", "## "} <= readable:
            assert place[unknown] not in after
    assert compared >= sum(unknown not in whole.encode(text).ids for text in texts[:2])
    assert smaller(fewer, set(range(len(kept))))[0].to_str() == fewer.to_str()


def test_unseen_words_fall_into_pieces() -> None:
    pieces = ["[UNK]", *LETTERS, *(f"##{x}" for x in LETTERS), "cab", "ca", "##ab", "##bcab"]
    whole = Tokenizer(models.WordPiece({t: n for n, t in enumerate(pieces)}, unk_token="[UNK]"))
    fewer, _ = smaller(whole, {pieces.index("ca")})
    assert whole.encode("cab").tokens == ["cab"]
    assert fewer.encode("cab").tokens == ["ca", "##b"]
    assert fewer.encode("abcab").tokens == ["a", "##b", "##c", "##a", "##b"]
    assert fewer.encode("cabé").tokens == ["[UNK]"]  # as before


def test_merges_keep_the_tokens_between() -> None:
    """The token that is used is built by one that is not; the others and their merges go."""
    vocab = {t: n for n, t in enumerate(["a", "b", "c", "ab", "abc", "bc", "ca"])}
    merges = [("a", "b"), ("ab", "c"), ("b", "c"), ("c", "a")]
    whole = Tokenizer(models.BPE(vocab, merges))
    fewer, kept = smaller(whole, {vocab["abc"]})
    assert kept == [0, 1, 2, 3, 4]
    assert spec_of(fewer)["model"]["merges"] == [["a", "b"], ["ab", "c"]]
    assert fewer.encode("abc").tokens == ["abc"]
    assert fewer.encode("bca").tokens == ["b", "c", "a"]


def test_bytes_stay() -> None:
    """Single bytes read what is no character of the vocabulary."""
    vocab = ["<unk>", *(f"<0x{byte:02X}>" for byte in range(256)), "a", "ab"]
    for model in (
        models.BPE({t: n for n, t in enumerate(vocab)}, [], unk_token="<unk>", byte_fallback=True),
        models.Unigram([(token, -1.0) for token in vocab], 0, True),
    ):
        fewer, kept = smaller(Tokenizer(model), set())
        assert kept == list(range(258))
        assert fewer.encode("é").tokens == ["<0xC3>", "<0xA9>"]


def test_added_tokens_and_parts_around_texts() -> None:
    """They stay, with their new ids, wherever they are in the vocabulary."""
    vocab = {t: n for n, t in enumerate(["x", "y", "soup", "<pad>", "<s>", "</s>", "[UNK]"])}
    template = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A </s> $B", special_tokens=[("<s>", 4), ("</s>", 5)]
    )
    roberta = processors.RobertaProcessing(("</s>", 5), ("<s>", 4))
    for part in (template, roberta, processors.BertProcessing(("</s>", 5), ("<s>", 4)),
                 processors.Sequence([processors.ByteLevel(), template])):  # fmt: skip
        whole = Tokenizer(models.WordPiece(vocab, unk_token="[UNK]"))
        whole.pre_tokenizer = pre_tokenizers.Whitespace()
        whole.add_special_tokens([AddedToken("<pad>")])
        whole.add_tokens(["extra_1"])
        whole.post_processor = part
        fewer, kept = smaller(whole, set())
        assert kept == [0, 1, 3, 4, 5, 6, 7]
        for given_ in (("x extra_1",), ("x", "y")):
            found, before = fewer.encode(*given_), whole.encode(*given_)
            assert found.tokens == before.tokens
            assert found.type_ids == before.type_ids
            assert [kept[number] for number in found.ids] == before.ids


def test_what_cannot_be_trimmed() -> None:
    kinds = {
        "WordLevel": models.WordLevel({"[UNK]": 0, "a": 1}, unk_token="[UNK]"),
        "BPE with dropout": models.BPE({"a": 0}, [], dropout=0.1),
        "BPE with end_of_word_suffix": models.BPE({"a": 0}, [], end_of_word_suffix="</w>"),
        "BPE with continuing_subword_prefix": models.BPE(
            {"a": 0}, [], continuing_subword_prefix="##"
        ),
    }
    for reason, model in kinds.items():
        assert why_not(spec_of(Tokenizer(model))) == reason
    for model in (models.BPE({"a": 0}, []), models.WordPiece({"[UNK]": 0}, unk_token="[UNK]")):
        assert why_not(spec_of(Tokenizer(model))) is None


def test_ids() -> None:
    whole = Tokenizer(models.Unigram([("<unk>", 0.0), ("a", -1.0)], 0, False))
    whole.add_tokens(["more"])
    assert kind_of(spec_of(whole)) == "Unigram"
    assert ids_of(spec_of(whole)) == {"<unk>": 0, "a": 1, "more": 2}
