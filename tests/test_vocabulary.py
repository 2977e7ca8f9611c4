"""Runs with ``method.vocabulary=trim``: the student has the tokens of the training texts."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from family_texts import rows as family_rows
from heads.files import OF_KINDS, with_kind
from helpers import Result, record_of, run_in, sentences, write_csv
from stopped import check_resumed, under
from test_family_runs import overrides as of_family
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    AutoModelForSequenceClassification,
    BertConfig,
    BertModel,
    BertTokenizer,
    PreTrainedTokenizerFast,
    pipeline,
)

import lada
from lada.artifact.export import export
from lada.artifact.inspect import inspect
from lada.bench import Settings, bench
from lada.config import PathsConfig
from lada.methods.lada import LadaSettings

Cli = Callable[..., Result]
TRIM = "method.vocabulary=trim"
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
SEEN = "the a of in on it we they old new red lovely great fine awful bad poor".split()
UNSEEN = ("zebra", "quiet", "stone")


def write_model(folder: Path) -> Path:
    """A pretrained BERT with a vocabulary of which most is not in the texts."""
    # In an order in which kept and dropped tokens take turns.
    words = [w for n in range(400) for w in (f"word{n}", *SEEN[n : n + 1], *UNSEEN[n : n + 1])]
    tokens = [*SPECIAL, *words, *LETTERS, *(f"##{letter}" for letter in LETTERS)]
    vocab = {token: number for number, token in enumerate(dict.fromkeys(tokens))}
    BertTokenizer(vocab=vocab).save_pretrained(folder)
    config = BertConfig(
        vocab_size=len(vocab), hidden_size=64, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=128, max_position_embeddings=64,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    return folder


def with_unseen(rows: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return [
        (f"{text} {UNSEEN[n % 3]} {UNSEEN[n % 2]}", label) for n, (text, label) in enumerate(rows)
    ]


DEV = with_unseen(sentences(80, 2))


def overrides(folder: Path, tiny: list[str]) -> list[str]:
    """Of a run whose dev examples have words that its training examples do not have."""
    words = [w for w in tiny if not w.startswith(("model=", "task.dev_file=", "target="))]
    dev = write_csv(folder / "dev.csv", DEV, ("text", "label"))
    path = write_model(folder / "pretrained")
    return [
        *words,
        "model=local",
        f"model.path={path}",
        f"task.dev_file={dev}",
        TRIM,
        "target=5x",
        "teacher.epochs=8",
    ]


def vocabulary_of(folder: Path) -> dict[str, int]:
    found: dict[str, int] = lada.load(run_in(folder) / "artifact").tokenizer.get_vocab()
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        ["method=lada_plus", "method.allocation=marginal", "teacher_cache.gb=0"],
        ["method=smp", "method.whole=trimmed"],
    ],
    ids=["lada_plus", "smp"],
)
def test_stopped_and_resumed(
    words: list[str], train_py: Cli, tiny: list[str], tmp_path: Path
) -> None:
    """It ends bit-equal, and is used as any other artifact."""
    args = [*overrides(tmp_path, tiny), *words]
    check_resumed(train_py, args, tmp_path)
    assert record_of(tmp_path / "cut")["vocabulary"] == record_of(tmp_path / "whole")["vocabulary"]
    check_record(tmp_path / "whole", tmp_path / "pretrained")
    check_answers(tmp_path / "whole")
    check_against_teacher(tmp_path / "whole")


def check_record(folder: Path, pretrained: Path) -> None:
    record, artifact = record_of(folder), run_in(folder) / "artifact"
    whole = BertTokenizer.from_pretrained(pretrained)
    kept = vocabulary_of(folder)
    assert set(kept) >= {*SEEN, *SPECIAL, *LETTERS}
    assert not set(kept) & {*UNSEEN, "word1", "word399"}
    said = [token for text, _ in DEV for token in whole.tokenize(text)]
    assert record["vocabulary"] == {
        "kept": len(kept),
        "of": len(whole),
        "dev_unseen": pytest.approx(sum(token not in kept for token in said) / len(said), abs=1e-6),
    }
    assert record["vocabulary"]["dev_unseen"] > 0.1
    # The ratio is to all of the teacher.
    assert record["reached"] == record["teacher"]["parameters"] / record["artifact"]["nonzeros"]
    assert record["reached"] == pytest.approx(5, rel=0.02)
    config = json.loads((artifact / "config.json").read_text())
    assert config["vocab_size"] == len(kept)
    assert f"Its vocabulary has {len(kept):,} of {len(whole):,} tokens: " in (
        artifact / "README.md"
    ).read_text(encoding="utf-8")


def check_answers(folder: Path) -> None:
    """The score is that of a user, who gives texts with words that no training text has."""
    model = lada.load(run_in(folder) / "artifact")
    right = [model(text).label == label for text, label in DEV]
    scores = record_of(folder)["artifact"]["scores"]["dev"]
    assert scores["correct"] == sum(right)
    ids = model.tokenizer("zebra", add_special_tokens=False)["input_ids"]
    assert model.tokenizer.convert_ids_to_tokens(ids) == ["z", "##e", "##b", "##r", "##a"]


def check_against_teacher(folder: Path) -> None:
    """Which has more tokens."""
    artifact = run_in(folder) / "artifact"
    (weights,) = (folder / "teachers").rglob("model.safetensors")
    teacher = AutoModelForSequenceClassification.from_pretrained(weights.parent)
    errors = {part.name: part.error for part in inspect(artifact, teacher)}
    assert errors.pop("bert.embeddings.word_embeddings") is None
    assert errors["bert.encoder.layer.0.attention.self.query"] is not None
    settings = Settings(("torch",), lengths=(16,), threads=(1,), repeats=1)
    rows = bench(artifact, weights.parent, settings, lambda _: None)["rows"]
    assert {row["model"] for row in rows} == {"artifact", "dense"}


@pytest.fixture
def artifact(train_py: Cli, tiny: list[str], tmp_path: Path) -> Path:
    done = train_py(*overrides(tmp_path, tiny))
    assert done.code == 0, done.err
    return run_in(tmp_path) / "artifact"


@pytest.mark.slow
def test_it_is_used_without_the_project(artifact: Path, tmp_path: Path) -> None:
    loaded, text = lada.load(artifact), "a quiet zebra was lovely"
    answer = loaded(text)
    (found,) = pipeline("text-classification", model=str(artifact))(text)
    assert found["label"] == answer.label
    assert found["score"] == pytest.approx(answer.probability, abs=1e-5)
    export(loaded, "dense", tmp_path / "dense", examples=[(text, None)])
    (found,) = pipeline("text-classification", model=str(tmp_path / "dense"))(text)
    assert found["score"] == pytest.approx(answer.probability, abs=1e-5)
    dense = AutoModelForSequenceClassification.from_pretrained(tmp_path / "dense")
    assert dense.config.vocab_size == len(loaded.tokenizer)
    made = export(loaded, "onnx", tmp_path / "onnx", examples=[(text, None)])
    assert made.difference < 1e-4


@pytest.mark.slow
def test_the_file_is_smaller(train_py: Cli, tiny: list[str], tmp_path: Path) -> None:
    """For the same ratio it keeps more of what it has; for the same bytes, too."""
    args = overrides(tmp_path, tiny)
    plans = {}
    for name, words in {"keep": [w for w in args if w != TRIM], "trim": args}.items():
        done = train_py(*under(tmp_path / name, words), "teacher.margin=0")
        assert done.code == 0, done.err
        plans[name] = record_of(tmp_path / name)
    keep, trim = plans["keep"], plans["trim"]
    assert "vocabulary" not in keep
    assert trim["teacher"]["scores"] == keep["teacher"]["scores"]
    assert trim["plan"]["fractions"]["embedding"] > keep["plan"]["fractions"]["embedding"]
    assert trim["artifact"]["folder_bytes"] < keep["artifact"]["folder_bytes"]
    assert trim["artifact"]["nonzeros"] == pytest.approx(keep["artifact"]["nonzeros"], rel=0.02)
    names = [run_in(tmp_path / name).name for name in ("keep", "trim")]
    assert names[0] != names[1]


def test_a_given_teacher_from_python(train_py: Cli, tiny: list[str], tmp_path: Path) -> None:
    """A model and its tokenizer as objects, which both stay as they are."""
    args = [w for w in overrides(tmp_path, tiny) if w != TRIM and not w.startswith("target=")]
    args = under(tmp_path, [*args, "method=quantization", "target=none"])
    assert train_py(*args).code == 0
    (weights,) = (tmp_path / "teachers").glob("*/model.safetensors")
    teacher = AutoModelForSequenceClassification.from_pretrained(weights.parent)
    tokenizer = BertTokenizer.from_pretrained(weights.parent)
    before = {name: tensor.clone() for name, tensor in teacher.state_dict().items()}
    rows = [{"text": text, "label": label} for text, label in sentences(320, 1)]
    result = lada.compress(
        teacher,
        rows,
        [{"text": text, "label": label} for text, label in DEV],
        tokenizer=tokenizer,
        method=LadaSettings(vocabulary="trim"),
        target=4,
        steps=20,
        max_length=32,
        output=tmp_path / "given",
        progress="none",
        paths=PathsConfig(cache=str(tmp_path / "cache")),
    )
    found = result.record["vocabulary"]
    assert found["kept"] < found["of"] == len(tokenizer) == teacher.config.vocab_size
    assert result.classifier.model.config.vocab_size == found["kept"]
    assert result.record["reached"] == pytest.approx(4, rel=0.02)
    assert all(torch.equal(before[name], t) for name, t in teacher.state_dict().items())


@pytest.mark.slow
@pytest.mark.parametrize("allocation", ["uniform", "marginal"])
def test_a_target_in_bytes(allocation: str, train_py: Cli, tiny: list[str], tmp_path: Path) -> None:
    args = [w for w in overrides(tmp_path, tiny) if not w.startswith("target=")]
    done = train_py(*args, "target=bytes", "target.mb=0.05", f"method.allocation={allocation}")
    assert done.code == 0, done.err
    assert 0.85 * 0.05e6 < record_of(tmp_path)["artifact"]["stored_bytes"] <= 0.05e6


def test_texts_without_labels_count(train_py: Cli, tiny: list[str], tmp_path: Path) -> None:
    more = tmp_path / "more.txt"
    more.write_text("a quiet stone\nin the word7\n", encoding="utf-8")
    done = train_py(*overrides(tmp_path, tiny), f"task.unlabeled_file={more}")
    assert done.code == 0, done.err
    kept = vocabulary_of(tmp_path)
    assert {"quiet", "stone", "word7"} <= set(kept)
    assert not {"zebra", "word8"} & set(kept)


@pytest.mark.slow
@pytest.mark.parametrize("kind", OF_KINDS)
def test_kinds(kind: str, train_py: Cli, tiny: list[str], tmp_path: Path) -> None:
    """Each is scored on its dev examples, as its teacher is."""
    words = with_kind(kind, tiny, tmp_path / "data")
    words = [w for w in words if not w.startswith(("model=", "target="))]
    path = write_model(tmp_path / "pretrained")
    more = ["model=local", f"model.path={path}", TRIM, "target=5x", "teacher.margin=0"]
    done = train_py(*words, *more)
    assert done.code == 0, done.err
    record = record_of(tmp_path)
    assert record["vocabulary"]["kept"] < record["vocabulary"]["of"]
    theirs, ours = record["teacher"]["scores"]["dev"], record["artifact"]["scores"]["dev"]
    assert ours.keys() == theirs.keys() and ours["rows"] == theirs["rows"]
    assert (
        lada.load(run_in(tmp_path) / "artifact").model.config.vocab_size
        == (record["vocabulary"]["kept"])
    )


@pytest.mark.parametrize(
    "family",
    ["roberta", *(pytest.param(name, marks=pytest.mark.slow) for name in
                  ("xlm-roberta", "camembert", "distilbert", "modernbert", "mpnet", "deberta-v2",
                   "albert", "electra"))],
)  # fmt: skip
def test_families(family: str, train_py: Cli, tiny: list[str], tmp_path: Path) -> None:
    """With a tokenizer of its kind."""
    out = tmp_path / "run"
    words = of_family(family, tmp_path, tiny, out)
    done = train_py(*words, TRIM, "target=custom", "target.ratio=1.5")
    assert done.code == 0, done.err
    record = json.loads((out / "results.json").read_text())
    assert record["vocabulary"]["kept"] < record["vocabulary"]["of"]
    assert record["reached"] == pytest.approx(1.5, rel=0.01)
    model = lada.load(out / "artifact")
    right = [model(row["text"]).label == row["label"] for row in family_rows("dev")]
    assert record["artifact"]["scores"]["dev"]["correct"] == sum(right)
    assert model("an unknown zebra").label in ("fine", "poor")


def test_what_is_rejected(train_py: Cli, tiny: list[str], tmp_path: Path) -> None:
    with pytest.raises(lada.LadaError, match=r"^method\.vocabulary=trim: needs the training texts"):
        lada.prepare(write_model(tmp_path / "x"), method=LadaSettings(vocabulary="trim"))
    args = overrides(tmp_path, tiny)
    lines = {
        ("method=kd", "target=none"): "method.vocabulary",
        ("target=custom", "target.ratio=1.01"): "target.ratio=1.01: the student is x",
        ("target=custom", "target.ratio=900"): "target.ratio=900: x900 is out of reach",
    }
    for words, line in lines.items():
        done = train_py(*(w for w in args if not w.startswith("target=")), *words)
        assert done.code == 2 and done.err.count("\n") == 1 and line in done.err, done.err
    folder = tmp_path / "pretrained"
    whole: dict[str, Any] = BertTokenizer.from_pretrained(folder).get_vocab()
    made = Tokenizer(models.WordLevel(whole, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    PreTrainedTokenizerFast(
        tokenizer_object=made, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]",
        sep_token="[SEP]",
    ).save_pretrained(folder)  # fmt: skip
    done = train_py(*args)
    assert done.code == 2
    assert done.err == (
        "error: method.vocabulary=trim: the tokenizer of this model is WordLevel, which cannot be "
        "trimmed yet. Leave it out.\n"
    )
