"""A tokenizer of every kind that the families have comes back from its folder as it was."""

import json
from pathlib import Path
from typing import Any

import pytest
from vocabularies import MAKERS, odd_texts

from lada.errors import LadaError
from lada.nn.tokenizer import read_tokenizer


def _encoded(tokenizer: Any) -> list[dict[str, Any]]:
    texts = odd_texts()
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
