"""Token ids of splits, and their cache."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import BertTokenizer, PreTrainedTokenizerFast

from lada.data import tokens
from lada.data.split import Split
from lada.data.tokens import Encoded, encode
from lada.errors import LadaError

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefgh", "##b", "##c"]
CLS, SEP = 2, 3


def _tokenizer(words: list[str] = WORDS, **options: Any) -> PreTrainedTokenizerFast:
    return BertTokenizer(vocab={word: place for place, word in enumerate(words)}, **options)


def _split(texts: list[str], pairs: list[str] | None = None) -> Split:
    return Split("train", texts, pairs, np.arange(len(texts), dtype=np.int64) % 2)


def _row(encoded: Encoded, row: int) -> list[str]:
    return [WORDS[i] for i in encoded.ids[encoded.starts[row] : encoded.starts[row + 1]]]


def _same(one: Encoded, other: Encoded) -> bool:
    names = ("ids", "starts", "first", "labels")
    return all(
        getattr(one, name).dtype == getattr(other, name).dtype
        and np.array_equal(getattr(one, name), getattr(other, name))
        for name in names
    )


ONE = _split(["a b", "", "A ab zz", "a b c d e f g h"])
TWO = _split(["a b", "", "a b c d e f", "a"], ["c", "d e", "a", "a b c d e f g"])


def test_single_texts() -> None:
    encoded = encode(ONE, _tokenizer(), 6, None)
    assert [_row(encoded, row) for row in range(4)] == [
        ["[CLS]", "a", "b", "[SEP]"],
        ["[CLS]", "[SEP]"],
        ["[CLS]", "a", "a", "##b", "[UNK]", "[SEP]"],
        ["[CLS]", "a", "b", "c", "d", "[SEP]"],
    ]
    assert encoded.first.tolist() == encoded.lengths.tolist() == [4, 2, 6, 6]
    assert encoded.labels.tolist() == [0, 1, 0, 1]
    assert len(encoded) == 4


def test_pairs_are_cut_longest_first() -> None:
    encoded = encode(TWO, _tokenizer(), 7, None)
    assert [_row(encoded, row) for row in range(4)] == [
        ["[CLS]", "a", "b", "[SEP]", "c", "[SEP]"],
        ["[CLS]", "[SEP]", "d", "e", "[SEP]"],
        ["[CLS]", "a", "b", "c", "[SEP]", "a", "[SEP]"],
        ["[CLS]", "a", "[SEP]", "a", "b", "c", "[SEP]"],
    ]
    assert encoded.first.tolist() == [4, 2, 5, 3]
    assert encoded.lengths.tolist() == [6, 5, 7, 7]
    types = [encoded.ids.dtype, encoded.starts.dtype, encoded.first.dtype, encoded.labels.dtype]
    assert types == [np.int32, np.int64, np.int32, np.int64]


def test_chunks_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = encode(TWO, _tokenizer(), 7, None)
    monkeypatch.setattr(tokens, "_CHUNK", 3)
    assert _same(encode(TWO, _tokenizer(), 7, None), whole)


def test_no_rows() -> None:
    encoded = encode(_split([]), _tokenizer(), 7, None)
    assert (len(encoded), encoded.ids.tolist(), encoded.starts.tolist()) == (0, [], [0])


def test_a_tokenizer_without_segments_has_type_0_throughout() -> None:
    words = {word: place for place, word in enumerate(WORDS)}
    plain = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    plain.pre_tokenizer = pre_tokenizers.Whitespace()
    backend: Any = PreTrainedTokenizerFast  # its constructor has no types
    tokenizer = backend(tokenizer_object=plain, pad_token="[PAD]")
    encoded = encode(_split(["a b"]), tokenizer, 7, None)
    assert encoded.first.tolist() == encoded.lengths.tolist() == [2]


def test_nothing_is_printed(
    capfd: pytest.CaptureFixture[str], recwarn: pytest.WarningsRecorder
) -> None:
    tokenizer = _tokenizer(model_max_length=5)
    encode(_split(["a " * 600], ["b " * 600]), tokenizer, 12, None)
    assert capfd.readouterr() == ("", "")
    assert not recwarn.list


@pytest.mark.parametrize(("split", "least"), [(ONE, 3), (TWO, 5)])
def test_no_room_for_text(split: Split, least: int) -> None:
    with pytest.raises(
        LadaError, match=rf"^task.max_length={least - 1}: .* Set {least} or more\.$"
    ):
        encode(split, _tokenizer(), least - 1, None)
    assert encode(split, _tokenizer(), least, None).lengths.max() == least


def _forbid_tokenizing(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> Encoded:
        raise AssertionError("tokenized again")

    monkeypatch.setattr(tokens, "_tokenize", fail)


def test_a_hit_gives_the_same_without_tokenizing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokenizer = _tokenizer()
    cold = encode(TWO, tokenizer, 7, tmp_path / "deep" / "cache")
    _forbid_tokenizing(monkeypatch)
    assert _same(encode(TWO, tokenizer, 7, tmp_path / "deep" / "cache"), cold)
    # Equal content has the same key, whatever the split is called and whichever object reads it.
    renamed = Split("other", TWO.texts, TWO.pairs, TWO.labels)
    assert _same(encode(renamed, _tokenizer(), 7, tmp_path / "deep" / "cache"), cold)


def test_calls_of_the_tokenizer_in_between_do_not_change_its_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokenizer = _tokenizer()
    encode(ONE, tokenizer, 6, tmp_path)
    tokenizer(["a"], padding="max_length", truncation=True, max_length=9)
    _forbid_tokenizing(monkeypatch)
    encode(ONE, tokenizer, 6, tmp_path)


def test_every_part_of_the_key_counts(tmp_path: Path) -> None:
    relabelled = Split("train", ONE.texts, None, 1 - ONE.labels)
    left = _tokenizer()
    left.truncation_side = "left"
    for split, tokenizer, length in [
        (ONE, _tokenizer(), 6),
        (ONE, _tokenizer(), 5),
        (relabelled, _tokenizer(), 6),
        (TWO, _tokenizer(), 6),
        (ONE, _tokenizer([*WORDS, "zz"]), 6),
        (ONE, _tokenizer(do_lower_case=False), 6),
        (ONE, left, 6),
    ]:
        expected = encode(split, tokenizer, length, None)
        before = len(list(tmp_path.iterdir()))
        assert _same(encode(split, tokenizer, length, tmp_path), expected)
        assert len(list(tmp_path.iterdir())) == before + 1


def test_the_format_version_is_part_of_the_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encode(ONE, _tokenizer(), 6, tmp_path)
    monkeypatch.setattr(tokens, "_FORMAT", 99)
    encode(ONE, _tokenizer(), 6, tmp_path)
    assert len(list(tmp_path.iterdir())) == 2


def _bytes(change: Callable[[bytes], bytes]) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(change(path.read_bytes()))


def _arrays(**changes: Callable[[NDArray[Any]], NDArray[Any]]) -> Callable[[Path], object]:
    def damage(path: Path) -> None:
        arrays = load_file(path)
        save_file(arrays | {name: change(arrays[name]) for name, change in changes.items()}, path)

    return damage


DAMAGES = {
    "empty": _bytes(lambda data: b""),
    "cut off": _bytes(lambda data: data[:-5]),
    "rubbish": _bytes(lambda data: b"rubbish" * 50),
    "no starts": _bytes(lambda data: data.replace(b'"starts"', b'"ending"')),
    "rows missing": _arrays(starts=lambda old: old[:-1], first=lambda old: old[:-1]),
    "other type": _arrays(ids=lambda old: old.astype(np.int64)),
    "two dimensions": _arrays(ids=lambda old: old[None]),
    "backward starts": _arrays(starts=lambda old: old[[0, 2, 1, 3, 4]]),
    "tokens missing": _arrays(ids=lambda old: old[:-1]),
    "row too long": _arrays(starts=lambda old: old[[0, 0, 0, 0, 4]], first=lambda old: old * 0),
    "first too long": _arrays(first=lambda old: old + 90),
}


@pytest.mark.parametrize("how", list(DAMAGES))
def test_a_damaged_cache_file_is_made_again(how: str, tmp_path: Path) -> None:
    tokenizer = _tokenizer()
    expected = encode(TWO, tokenizer, 7, tmp_path)
    (file,) = tmp_path.iterdir()
    good = file.read_bytes()
    DAMAGES[how](file)
    assert file.read_bytes() != good
    assert _same(encode(TWO, tokenizer, 7, tmp_path), expected)
    assert file.read_bytes() == good
    assert list(tmp_path.iterdir()) == [file]


def test_a_cache_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(LadaError) as caught:
        encode(ONE, _tokenizer(), 6, tmp_path / "file")
    assert str(tmp_path / "file") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_two_writers_at_once_do_not_meet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replace, seen = os.replace, []

    def slow_replace(source: Path, target: Path) -> None:
        seen.append((source, target, target.exists()))
        if len(seen) == 1:  # the second writer starts and ends before the first one is done
            encode(TWO, _tokenizer(), 7, tmp_path)
        replace(source, target)

    monkeypatch.setattr(os, "replace", slow_replace)
    expected = encode(TWO, _tokenizer(), 7, None)
    assert _same(encode(TWO, _tokenizer(), 7, tmp_path), expected)
    (first, target, first_exists), (second, same_target, second_exists) = seen
    assert first != second and target == same_target
    assert first.parent == second.parent == target.parent
    # The name that readers look for comes with the rename, not before.
    assert not first_exists and not second_exists
    assert list(tmp_path.iterdir()) == [target]
    _forbid_tokenizing(monkeypatch)
    assert _same(encode(TWO, _tokenizer(), 7, tmp_path), expected)


def test_a_failed_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(source: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(LadaError, match="No space left on device"):
        encode(TWO, _tokenizer(), 7, tmp_path)
    assert list(tmp_path.iterdir()) == []
