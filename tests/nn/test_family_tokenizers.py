"""A tokenizer of every kind that the families have comes back from its folder as it was."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import (
    AlbertTokenizer,
    BertTokenizer,
    CamembertTokenizer,
    DebertaV2Tokenizer,
    DistilBertTokenizer,
    MPNetTokenizer,
    PreTrainedTokenizerFast,
    RobertaTokenizer,
    XLMRobertaTokenizer,
)

from lada.errors import LadaError
from lada.nn.tokenizer import read_tokenizer

WORDS = ("the", "soup", "was", "not", "bad", "Caf", "caf", "12", "un", "known", "日", "本")
LETTERS = tuple("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789?!.,")
ODD = (
    "", " ", "\t\n", "a", "The soup was NOT bad", "Café", "Cafe\u0301", "naïve ÅÉÎ", "日本語 中文",
    "🙂👩‍👩‍👧", "a\u0000b", "a\u200bb", "\ufeffx", "x" * 300, "the" * 90, "[MASK] and <mask>",
    "[CLS] </s> <s> [SEP]", "extra_1 is added", "snake_case-and.dots", "«quotes» “curly”", "½ ² ﬁ",
    "عربى", "हिन्दी", "ΑΒΓ ς", "İI ıi", "tab\tand\rreturn", "  two  spaces  ", "…---___", "\\n {}",
)  # fmt: skip


def _texts() -> list[str]:
    """200 strings: the odd ones, and each of them among others."""
    made = [*ODD]
    for i in range(200 - len(ODD)):
        made.append(ODD[i % len(ODD)] + WORDS[i % len(WORDS)] * (i % 3) + ODD[(7 * i) % len(ODD)])
    return made


def _wordpiece(*special: str) -> dict[str, int]:
    tokens = [*special, *WORDS, *LETTERS, *(f"##{x}" for x in LETTERS)]
    return {token: i for i, token in enumerate(dict.fromkeys(tokens))}


def _pieces(*special: str) -> list[tuple[str, float]]:
    tokens = [*special, "▁", *(f"▁{word}" for word in WORDS), *WORDS, *LETTERS]
    return [(token, -float(i % 17)) for i, token in enumerate(dict.fromkeys(tokens))]


def _bytes() -> tuple[dict[str, int], list[tuple[str, str]]]:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = [("t", "h"), ("th", "e"), ("Ġ", "the"), ("b", "a"), ("ba", "d")]
    tokens = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", *alphabet, *("".join(m) for m in merges)]
    return {token: i for i, token in enumerate(tokens)}, merges


def _roberta() -> Any:
    vocab, merges = _bytes()
    return RobertaTokenizer(vocab=vocab, merges=merges)


def _modernbert() -> Any:
    vocab, merges = _bytes()
    made = Tokenizer(models.BPE(vocab=vocab, merges=merges))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=made, pad_token="<pad>", unk_token="<unk>", cls_token="<s>",
        sep_token="</s>", mask_token="<mask>", model_input_names=["input_ids", "attention_mask"],
    )  # fmt: skip


BERTS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
ROBERTAS = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
MAKERS: dict[str, tuple[str, Callable[[], Any]]] = {
    "bert": ("bert", lambda: BertTokenizer(vocab=_wordpiece(*BERTS))),
    "cased": ("bert", lambda: BertTokenizer(vocab=_wordpiece(*BERTS), do_lower_case=False)),
    "electra": ("electra", lambda: BertTokenizer(vocab=_wordpiece(*BERTS))),
    "ernie": ("ernie", lambda: BertTokenizer(vocab=_wordpiece(*BERTS))),
    "distilbert": ("distilbert", lambda: DistilBertTokenizer(vocab=_wordpiece(*BERTS))),
    "mpnet": ("mpnet", lambda: MPNetTokenizer(vocab=_wordpiece(*ROBERTAS, "[UNK]"))),
    "roberta": ("roberta", _roberta),
    "modernbert": ("modernbert", _modernbert),
    "xlm-roberta": ("xlm-roberta", lambda: XLMRobertaTokenizer(vocab=_pieces(*ROBERTAS))),
    "camembert": ("camembert", lambda: CamembertTokenizer(vocab=_pieces(*ROBERTAS))),
    "albert": ("albert", lambda: AlbertTokenizer(vocab=_pieces("<pad>", "<unk>", *BERTS[2:]))),
    "deberta-v2": (
        "deberta-v2",
        lambda: DebertaV2Tokenizer(vocab=_pieces("[PAD]", "[CLS]", "[SEP]", "[UNK]", "[MASK]")),
    ),
}


def _encoded(tokenizer: Any) -> list[dict[str, Any]]:
    texts = _texts()
    pairs = texts[::-1]
    return [
        dict(tokenizer(*given, truncation=True, max_length=40, return_offsets_mapping=True,
                       return_token_type_ids=True))
        for given in ((texts,), (texts, pairs))
    ]  # fmt: skip


@pytest.mark.parametrize("named", [True, False], ids=["named", "by the family"])
@pytest.mark.parametrize("kind", list(MAKERS))
def test_it_comes_back(kind: str, named: bool, tmp_path: Path) -> None:
    family, make = MAKERS[kind]
    tokenizer = make()
    tokenizer.add_tokens(["extra_1"])
    tokenizer.save_pretrained(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": family}))
    if not named:
        declared = json.loads((tmp_path / "tokenizer_config.json").read_text())
        del declared["tokenizer_class"]
        (tmp_path / "tokenizer_config.json").write_text(json.dumps(declared))
    read = read_tokenizer(tmp_path)
    expected = _encoded(tokenizer)
    assert _encoded(read) == expected
    assert len({tuple(ids) for ids in expected[0]["input_ids"]}) > 100  # it tells texts apart
    read.save_pretrained(tmp_path / "again")
    again = read_tokenizer(tmp_path / "again")
    assert _encoded(again) == expected
    assert again.model_input_names == read.model_input_names


def test_a_sentencepiece_model_alone_is_not_supported(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "xlm-roberta"}))
    (tmp_path / "sentencepiece.bpe.model").write_bytes(b"x")
    with pytest.raises(LadaError, match=r"has no tokenizer\.json for its XLMRobertaTokenizer"):
        read_tokenizer(tmp_path)
