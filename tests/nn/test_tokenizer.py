"""Tokenizers of several kinds: read as transformers reads them, or rejected by name."""

import json
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tokenizers import (
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import AutoTokenizer, BertConfig, BertTokenizer, PreTrainedTokenizerFast

from lada.errors import LadaError
from lada.nn.tokenizer import read_tokenizer

TEXTS = ("the soup was not bad at all", "a lovely film, we like the good old films", "so poor")
PROBES = (*TEXTS, "The Soup!", "caf\u00e9 na\u00efve", "xyz 123", "  two  spaces ", "")
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
TOKENS = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}


def _trained(kind: str) -> Tokenizer:
    if kind == "unigram":
        made = Tokenizer(models.Unigram())
        made.normalizer = normalizers.NFKC()
        made.pre_tokenizer = pre_tokenizers.Metaspace()
        made.decoder = decoders.Metaspace()
        trainer: Any = trainers.UnigramTrainer(
            vocab_size=80, special_tokens=SPECIAL, unk_token="[UNK]"
        )
    elif kind == "bpe":
        made = Tokenizer(models.BPE(unk_token="[UNK]"))
        made.normalizer = normalizers.Lowercase()
        made.pre_tokenizer = pre_tokenizers.Metaspace()
        trainer = trainers.BpeTrainer(vocab_size=80, special_tokens=SPECIAL)
    elif kind == "bytes":
        made = Tokenizer(models.BPE())
        made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        trainer = trainers.BpeTrainer(
            vocab_size=300, special_tokens=SPECIAL,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        )  # fmt: skip
    elif kind == "words":
        made = Tokenizer(models.WordLevel(unk_token="[UNK]"))
        made.pre_tokenizer = pre_tokenizers.Whitespace()
        trainer = trainers.WordLevelTrainer(special_tokens=SPECIAL)
    else:  # wordpiece, of its own normalizer: no BERT's
        made = Tokenizer(models.WordPiece(unk_token="[UNK]"))
        made.normalizer = normalizers.Sequence([normalizers.NFKD(), normalizers.StripAccents()])
        made.pre_tokenizer = pre_tokenizers.Whitespace()
        trainer = trainers.WordPieceTrainer(vocab_size=80, special_tokens=SPECIAL)
    made.train_from_iterator(TEXTS, trainer)
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    return made


KINDS = ("unigram", "bpe", "bytes", "words", "wordpiece")


@pytest.fixture(scope="module")
def trained() -> dict[str, Tokenizer]:
    return {kind: _trained(kind) for kind in KINDS}


def _put(folder: Path, made: Tokenizer, **config: Any) -> Path:
    folder.mkdir(exist_ok=True)
    made.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({**TOKENS, **config}))
    BertConfig().save_pretrained(folder)
    return folder


def _same(tokenizer: Any, made: Tokenizer) -> None:
    # Transformers takes an empty text for no second one.
    pairs = [(text, pair) for text, pair in zip(PROBES, reversed(PROBES), strict=True) if pair]
    for first, second in [(text, None) for text in PROBES] + pairs:
        ours = tokenizer(first, second, return_token_type_ids=True)
        theirs = made.encode(first, second)
        assert ours["input_ids"] == theirs.ids
        assert ours["token_type_ids"] == theirs.type_ids


def _rejected(folder: Path, *parts: str) -> None:
    with pytest.raises(LadaError) as caught:
        read_tokenizer(folder)
    line = str(caught.value)
    assert "\n" not in line
    for part in (str(folder), *parts):
        assert part in line


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "name",
    [None, "BertTokenizer", "BertTokenizerFast", "PreTrainedTokenizerFast", "TokenizersBackend",
     "SomethingOfItsOwn"],
)  # fmt: skip
def test_tokens_are_what_the_file_says(
    trained: dict[str, Tokenizer], tmp_path: Path, kind: str, name: str | None
) -> None:
    folder = _put(
        tmp_path / "a", trained[kind], **({} if name is None else {"tokenizer_class": name})
    )
    tokenizer = read_tokenizer(folder)
    _same(tokenizer, trained[kind])
    # Written again, as into an artifact, and read by either way.
    tokenizer.save_pretrained(tmp_path / "b")
    BertConfig().save_pretrained(tmp_path / "b")
    again = read_tokenizer(tmp_path / "b")
    _same(again, trained[kind])
    _same(AutoTokenizer.from_pretrained(tmp_path / "b"), trained[kind])
    assert again.model_input_names == tokenizer.model_input_names


def test_types_as_in_the_version_that_wrote_it(
    trained: dict[str, Tokenizer], tmp_path: Path
) -> None:
    made = trained["unigram"]
    for name, types in (("PreTrainedTokenizerFast", True), ("TokenizersBackend", False),
                        ("BertTokenizer", True), (None, True)):  # fmt: skip
        folder = _put(tmp_path / str(name), made, tokenizer_class=name)
        assert ("token_type_ids" in read_tokenizer(folder)("a", "b")) is types
    folder = _put(tmp_path / "own", made, model_input_names=["input_ids", "attention_mask"])
    assert "token_type_ids" not in read_tokenizer(folder)("a", "b")


def test_classes_of_relatives(trained: dict[str, Tokenizer], tmp_path: Path) -> None:
    # Its class makes other tokens of this file, or the same ones: never others without a word.
    for name in ("AlbertTokenizer", "XLMRobertaTokenizer", "RobertaTokenizerFast", "T5Tokenizer",
                 "DebertaV2TokenizerFast", "MPNetTokenizer", "CamembertTokenizer"):  # fmt: skip
        for kind in ("unigram", "bpe", "wordpiece"):
            folder = _put(tmp_path / f"{name}-{kind}", trained[kind], tokenizer_class=name)
            try:
                tokenizer = read_tokenizer(folder)
            except LadaError as error:
                assert name in str(error)  # noqa: PT017
                continue
            for text in ("the soup was not bad", "a film"):
                assert tokenizer(text)["input_ids"] == trained[kind].encode(text).ids


@pytest.mark.parametrize("change", [{}, {"do_lower_case": False}, {"strip_accents": False}])
@pytest.mark.parametrize("name", [None, "BertTokenizer", "BertTokenizerFast"])
@pytest.mark.parametrize(
    "files", [("vocab.txt",), ("tokenizer.json",), ("vocab.txt", "tokenizer.json")]
)
def test_a_plain_bert_is_read_as_before(
    tmp_path: Path, change: dict[str, Any], name: str | None, files: tuple[str, ...]
) -> None:
    words = [
        *SPECIAL,
        *"abcdefghijklmnopqrstuvwxyz",
        *(f"##{c}" for c in "abcdefghijklmnopqrstuvwxyz"),
    ]
    BertTokenizer(vocab={w: i for i, w in enumerate(words)}, **change).save_pretrained(tmp_path)
    (tmp_path / "vocab.txt").write_text("\n".join(words))
    for file in {"vocab.txt", "tokenizer.json"} - set(files):
        (tmp_path / file).unlink()
    declared = json.loads((tmp_path / "tokenizer_config.json").read_text())
    declared.pop("tokenizer_class")
    if name is not None:
        declared["tokenizer_class"] = name
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(declared))
    ours, before = (
        read_tokenizer(tmp_path),
        BertTokenizer.from_pretrained(tmp_path, local_files_only=True),
    )
    assert type(ours) is BertTokenizer
    assert ours.backend_tokenizer.to_str() == before.backend_tokenizer.to_str()
    assert ours.init_kwargs == before.init_kwargs


class TestRejected:
    def test_slow_ones(self, tmp_path: Path) -> None:
        BertConfig().save_pretrained(tmp_path)
        _rejected(tmp_path, "no tokenizer.json or vocab.txt", "save_pretrained")
        (tmp_path / "spiece.model").write_bytes(b"\x00")
        _rejected(tmp_path, "no tokenizer.json or vocab.txt")
        (tmp_path / "vocab.txt").write_text("\n".join(SPECIAL))
        for name in ("BertJapaneseTokenizer", "AlbertTokenizer", "CanineTokenizer", "NoSuch"):
            (tmp_path / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": name}))
            _rejected(tmp_path, name, "no tokenizer.json")
        (tmp_path / "tokenizer_config.json").unlink()
        BertConfig(tokenizer_class="BertJapaneseTokenizer").save_pretrained(tmp_path)
        _rejected(tmp_path, "BertJapaneseTokenizer")

    def test_one_that_has_code(self, trained: dict[str, Tokenizer], tmp_path: Path) -> None:
        (tmp_path / "own.py").write_text(f"open({str(tmp_path / 'was-run')!r}, 'w')")
        for auto_map in (
            ["own.Own", None],
            {"AutoTokenizer": ["own.Own", "own.Own"]},
            "own.Own",
            3,
        ):
            folder = _put(tmp_path, trained["bpe"], tokenizer_class="Own", auto_map=auto_map)
            _rejected(folder, "Own", "auto_map", "never run")
        assert not (tmp_path / "was-run").exists()

    @pytest.mark.parametrize("name", [3, True, ["BertTokenizer"], {"a": 1}])
    def test_a_class_that_is_no_name(
        self, trained: dict[str, Tokenizer], tmp_path: Path, name: Any
    ) -> None:
        _rejected(_put(tmp_path, trained["bpe"], tokenizer_class=name), "tokenizer_class")

    def test_no_padding(self, trained: dict[str, Tokenizer], tmp_path: Path) -> None:
        folder = _put(tmp_path, trained["unigram"], tokenizer_class="PreTrainedTokenizerFast")
        (folder / "tokenizer_config.json").write_text("{}")
        _rejected(folder, "no padding token")

    def test_no_special_tokens(self, tmp_path: Path) -> None:
        for kind in ("unigram", "words"):
            made = _trained(kind)
            made.post_processor = processors.TemplateProcessing(
                single="$A [SEP]", pair="$A [SEP] $B [SEP]", special_tokens=[("[SEP]", 3)]
            )
            _rejected(_put(tmp_path / kind, made), "no special token")

    @pytest.mark.parametrize(
        "file",
        ["tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "config.json"],
    )
    def test_what_is_no_file_is_not_waited_for(
        self, trained: dict[str, Tokenizer], tmp_path: Path, file: str
    ) -> None:
        folder = _put(tmp_path, trained["bpe"])
        makers: list[Callable[[Path], None]] = [
            os.mkfifo, lambda path: path.symlink_to("/dev/zero"), Path.mkdir,
        ]  # fmt: skip
        for make in makers:
            (folder / file).unlink(missing_ok=True)
            make(folder / file)
            _rejected(folder, file, "regular file")
            (folder / file).rmdir() if make is Path.mkdir else (folder / file).unlink()

    @pytest.mark.parametrize("content", ["", "{", "[]", "3", "null", "\x00", "{}", "[" * 100_000])
    def test_broken_files(
        self, trained: dict[str, Tokenizer], tmp_path: Path, content: str
    ) -> None:
        for file in ("tokenizer.json", "tokenizer_config.json"):
            folder = _put(tmp_path, trained["bpe"])
            (folder / file).write_text(content)
            if content == "{}" and file == "tokenizer_config.json":
                _rejected(folder, "padding")
            else:
                _rejected(folder)


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where the values of a JSON document are; of long lists and vocabularies the first."""
    keys = (
        list(value)[:4] if isinstance(value, dict) and len(value) > 20
        else list(value) if isinstance(value, dict)
        else range(min(2, len(value))) if isinstance(value, list) else ()
    )  # fmt: skip
    return [path] * bool(path) + [p for key in keys for p in _places(value[key], (*path, key))]


@pytest.mark.parametrize("name", ["PreTrainedTokenizerFast", "BertTokenizer", "AlbertTokenizer"])
@pytest.mark.parametrize("kind", ["unigram", "bpe", "wordpiece"])
def test_damaged_files_are_rejected_or_read(
    trained: dict[str, Tokenizer], tmp_path: Path, kind: str, name: str
) -> None:
    folder = _put(tmp_path, trained[kind], tokenizer_class=name)
    draw = random.Random(f"{kind} {name}")
    for file in ("tokenizer.json", "tokenizer_config.json"):
        whole = (folder / file).read_text()
        for _ in range(40):
            spec = json.loads(whole)
            *way, last = draw.choice(_places(spec))
            part = spec
            for key in way:
                part = part[key]
            if draw.random() < 0.3:
                del part[last]
            else:
                part[last] = draw.choice(
                    [None, True, 0, -1, 10**9, 1.5, "", "x", "\x00", [], ["x"], {}, {"x": 1}]
                )
            (folder / file).write_text(json.dumps(spec))
            try:
                tokenizer = read_tokenizer(folder)
            except LadaError as error:
                assert "\n" not in str(error)  # noqa: PT017
                continue
            for text in PROBES:
                tokenizer(text, "a pair")
        (folder / file).write_text(whole)


def test_truncation_and_padding_are_not_kept(tmp_path: Path) -> None:
    """What a file says of truncation and padding is of some last call."""
    made = _trained("bpe")
    made.enable_truncation(4)
    made.enable_padding(length=9)
    tokenizer = read_tokenizer(_put(tmp_path, made))
    assert isinstance(tokenizer, PreTrainedTokenizerFast)
    for text in ("a", "the soup was not bad at all"):
        made.no_truncation()
        made.no_padding()
        assert tokenizer(text)["input_ids"] == made.encode(text).ids
