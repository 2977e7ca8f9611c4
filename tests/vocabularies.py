"""Small tokenizers of every kind that the families have, and odd texts for them."""

from collections.abc import Callable
from typing import Any

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

WORDS = ("the", "soup", "was", "not", "bad", "Caf", "caf", "12", "un", "known", "日", "本")
LETTERS = tuple("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789?!.,")


ODD = (
    "", " ", "\t\n", "a", "The soup was NOT bad", "Café", "Cafe\u0301", "naïve ÅÉÎ", "日本語 中文",
    "🙂👩‍👩‍👧", "a\u0000b", "a\u200bb", "\ufeffx", "x" * 300, "the" * 90, "[MASK] and <mask>",
    "[CLS] </s> <s> [SEP]", "extra_1 is added", "snake_case-and.dots", "«quotes» “curly”", "½ ² ﬁ",
    "عربى", "हिन्दी", "ΑΒΓ ς", "İI ıi", "tab\tand\rreturn", "  two  spaces  ", "…---___", "\\n {}",
)  # fmt: skip


def odd_texts() -> list[str]:
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
