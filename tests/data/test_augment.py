"""Changed copies of training texts: what is changed, by what, and what a run makes of them."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import Result, record_of
from stopped import check_resumed
from transformers import BertConfig, BertForMaskedLM, BertForSequenceClassification, BertTokenizer

from lada.data.augment import CHANCE, Word, changed_copies, count_changed, whole_words, words_of
from lada.data.split import Split, TaskData
from lada.errors import LadaError
from lada.ops.neighbours import nearest
from lada.run.choices import config_of
from lada.run.fitting import check_copies
from lada.run.words import MaskedWords, Neighbours, load_masked

Cli = Callable[..., Result]
WORDS = ["a", "good", "great", "bad", "film", "soup", "the"]
VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS, "##y", "!", "1"]


@pytest.fixture
def tokenizer() -> BertTokenizer:
    return BertTokenizer(vocab={token: number for number, token in enumerate(VOCABULARY)})


def config() -> BertConfig:
    torch.manual_seed(0)
    return BertConfig(
        vocab_size=len(VOCABULARY), hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=16, max_position_embeddings=16,
    )  # fmt: skip


def task(kind: str = "single_label", pairs: Sequence[str] | None = None) -> TaskData:
    labels = {
        "single_label": np.array([0, 1, 0]),
        "multi_label": np.ones((3, 2), np.float32),
        "regression": np.ones(3, np.float32),
    }[kind]
    train = Split("train", ["the good film", "a bad soup", "!"], pairs, labels)
    return TaskData("csv", ("a", "b"), (), train, train.take("validation", np.array([2])),
                    {"dev": train.take("dev", np.array([2]))}, kind)  # fmt: skip


def words(texts: Sequence[str]) -> list[list[Word]]:
    """Every word of three letters or more."""
    return [
        [Word(at := text.index(word), at + len(word), 0) for word in text.split() if len(word) > 2]
        for text in texts
    ]


def others(texts: Sequence[str], found: list[list[Word]]) -> list[list[Sequence[str]]]:
    return [[("X", "Y") for _ in there] for there in found]


def test_words_are_single_tokens_of_letters(tokenizer: BertTokenizer) -> None:
    whole = whole_words(tokenizer)
    assert sorted(whole.values()) == sorted(WORDS)
    texts = ["A  GOOD film!", "filmy 1 good-bad", ""]
    read = zip(texts, words_of(texts, tokenizer, whole), strict=True)
    found = [[text[w.start : w.end] for w in there] for text, there in read]
    assert found == [["A", "GOOD", "film"], ["good", "bad"], []]


@pytest.mark.parametrize("kind", ["single_label", "multi_label", "regression"])
@pytest.mark.parametrize("pairs", [None, ["great soup", "the", "the great film"]])
def test_copies(kind: str, pairs: list[str] | None) -> None:
    data = task(kind, pairs)
    copies = changed_copies(data, 50, 1, others, words)
    assert len(copies) == 150
    assert np.isnan(copies.labels).all() if kind != "single_label" else set(copies.labels) == {-100}
    for column, originals in ((copies.texts, data.train.texts), (copies.pairs, pairs)):
        if column is None or originals is None:
            continue
        for number, text in enumerate(column):
            was = originals[number % 3].split()
            changed = [new != old for new, old in zip(text.split(), was, strict=True)]
            able = [len(word) > 2 for word in was]
            assert any(changed) == any(able)
            for new, old, did in zip(text.split(), was, changed, strict=True):
                assert not did or (len(old) > 2 and new in ("X", "Y"))
    first = [text.split() for text in copies.texts[::3]]
    assert {text[1] for text in first} == {"good", "X", "Y"}
    share = np.mean([text[1] != "good" for text in first])
    assert CHANCE < share < CHANCE + 0.3  # and once more where nothing was drawn
    again = changed_copies(data, 50, 1, others, words)
    assert copies.digest == again.digest
    assert copies.digest != changed_copies(data, 50, 2, others, words).digest
    assert count_changed(copies, data.train) == (100 if pairs is None else 150)


def test_no_copy_is_an_example_that_is_scored() -> None:
    data = task()
    held = Split("dev", ["the X film", "the Y film"], None, np.array([0, 1]))
    free = changed_copies(data, 50, 1, others, words)
    copies = changed_copies(replace(data, dev={"dev": held}), 50, 1, others, words)
    assert set(held.texts) <= set(free.texts)
    assert not set(held.texts) & set(copies.texts)
    for one, other in zip(free.texts, copies.texts, strict=True):
        assert other == ("the good film" if one in held.texts else one)


def test_neighbours_by_cosine(tokenizer: BertTokenizer) -> None:
    generator = torch.Generator().manual_seed(0)
    table = torch.randn(2000, 8, generator=generator)
    rows, among = torch.arange(1500), torch.arange(0, 2000, 3)
    found = nearest(table, rows, among, 4)
    for row in (0, 3, 1023, 1024, 1499):
        cosines = {int(n): float(torch.cosine_similarity(table[row], table[n], 0)) for n in among}
        cosines.pop(row, None)
        assert found[row].tolist() == sorted(cosines, key=lambda n: -cosines[n])[:4]
    model = BertForSequenceClassification(config())
    weight = model.bert.embeddings.word_embeddings.weight
    with torch.no_grad():
        weight[VOCABULARY.index("great")] = 2 * weight[VOCABULARY.index("good")]
        weight[VOCABULARY.index("##y")] = 3 * weight[VOCABULARY.index("good")]  # no word
    whole = whole_words(tokenizer)
    texts = ["good soup", "!"]
    choices = Neighbours(model, whole)(texts, words_of(texts, tokenizer, whole))
    assert choices[0][0][0] == "great" and choices[1] == []
    assert sorted(choices[0][0]) == sorted(set(WORDS) - {"good"})


def test_masked_words_are_the_likeliest(tokenizer: BertTokenizer, tmp_path: Path) -> None:
    BertForMaskedLM(config()).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    model, read = load_masked(tmp_path)
    whole = whole_words(read)
    texts = ["the good film", "a bad soup ! the film", "!", " ".join(["film"] * 20)]
    found = words_of(texts, read, whole)
    choices = MaskedWords(model, read, whole)(texts, found)
    for text, there, possible in zip(texts, found, choices, strict=True):
        for word, choice in zip(there, possible, strict=True):
            masked = f"{text[: word.start]}[MASK]{text[word.end :]}"
            ids = read(masked, return_tensors="pt", truncation=True, max_length=16)
            place = (ids["input_ids"][0] == read.mask_token_id).nonzero()
            if not len(place):  # beyond the model's length
                assert choice == ()
                continue
            with torch.no_grad():
                logits = model(**ids).logits[0, place.item()]
            wanted = sorted(set(whole) - {word.token}, key=lambda n: -float(logits[n]))
            assert list(choice) == [whole[n] for n in wanted]
    assert [bool(choice) for choice in choices[3]] == [True] * 14 + [False] * 6


def test_what_is_no_masked_language_model(tokenizer: BertTokenizer, tmp_path: Path) -> None:
    with pytest.raises(LadaError, match=r"^data\.mlm=.*none: no such folder"):
        load_masked(tmp_path / "none")
    BertForSequenceClassification(config()).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(LadaError, match=r"^data\.mlm=.*: cls\.predictions\..* is missing\. Give"):
        load_masked(tmp_path)


def test_where_there_are_no_copies() -> None:
    given = config_of(
        {"task": "csv"},
        {"task": {"train_file": "a.csv", "dev_file": "b.csv"}, "data": {"augment": 2}},
    )
    check_copies(given, task())
    for kind, what in (
        ("tokens", "whose labels are of words"),
        ("spans", "whose labels are of words"),
        ("embedding", "is not for task.kind=embedding"),
    ):
        with pytest.raises(LadaError, match=rf"^data\.augment=2: .*{what}.* Leave it out\.$"):
            check_copies(given, replace(task(), kind=kind))
    data = task("regression")
    ranked = replace(data, train=replace(data.train, groups=np.zeros(3, np.int64)))
    with pytest.raises(LadaError, match=r"^data\.augment=2: is not for rerankers"):
        check_copies(given, ranked)
    trimmed = replace(given, method=replace(given.method, vocabulary="trim"))
    with pytest.raises(LadaError, match=r"^data\.augment=2: .* and method\.vocabulary=trim drops"):
        check_copies(trimmed, task())


def test_a_key_that_is_not_used(tiny: list[str], train_py: Cli) -> None:
    done = train_py(*tiny, "data.mlm=folder")
    assert done.code == 2 and "data.mlm=folder: is not used, since data.augment is 0" in done.err
    done = train_py(*tiny, "method=pruning", "data.augment=1")
    assert done.code == 2 and "data.augment=1: is not used, since method=pruning does" in done.err


@pytest.mark.slow
def test_a_run_and_its_resumption(tiny: list[str], train_py: Cli, tmp_path: Path) -> None:
    check_resumed(train_py, [*tiny, "data.augment=2", "optim.epochs=1"], tmp_path)
    record = record_of(tmp_path / "whole")
    train, copies = record["data"]["train"]["rows"], record["data"]["augmented"]
    assert copies["rows"] == 2 * train and copies["by"] == "neighbours"
    assert 0 < copies["changed"] <= copies["rows"]
    assert record["steps"] * 32 == pytest.approx(3 * train, rel=0.1)
    (card,) = (tmp_path / "whole").rglob("artifact/README.md")
    assert f"and {2 * train:,} copies of them with changed words" in card.read_text()
    (file,) = (tmp_path / "whole/cache/copies").glob("*.json")
    texts, pairs = json.loads(file.read_text())
    assert len(texts) == 2 * train and pairs is None
