"""A teacher of the user's own: its classes, its files and its tokenizer, through whole runs."""

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers import Result, record_of, run_in, sentences, write_csv
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (
    AutoTokenizer,
    BertConfig,
    BertForSequenceClassification,
    BertModel,
    BertTokenizer,
    PreTrainedTokenizerFast,
    pipeline,
)

import lada

Cli = Callable[..., Result]


@pytest.fixture
def given(train_py: Cli, tiny: list[str], teachers: Path, tmp_path: Path) -> Path:
    """A copy of a teacher that calls outputs 0 and 1 bad and good, and is nearly always right."""

    def found_there() -> dict[str, Any]:
        # Other tests keep teachers of other tasks and classes in the same folder.
        records = {
            p.parent.name: json.loads(p.read_text()) for p in teachers.glob("*/teacher.json")
        }
        wanted = ("csv", ["bad", "good"])
        return {
            name: record
            for name, record in records.items()
            if (record["parts"]["task"], record["parts"]["labels"]) == wanted
        }

    if not found_there():
        places = [f"paths.outputs={tmp_path}/first"]
        assert train_py(*tiny, "method=quantization", "target=none", *places).code == 0
    found = found_there()
    key = max(found, key=lambda name: found[name]["validation"]["accuracy"])
    assert found[key]["validation"]["accuracy"] > 0.95
    shutil.copytree(teachers / key, tmp_path / "given")
    (tmp_path / "given/teacher.json").unlink()
    return tmp_path / "given"


def change(folder: Path, *, swap: bool = False, **config: Any) -> str:
    """Change config.json, and exchange the two outputs; returns the override that takes it."""
    file = folder / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **config}))
    if swap:
        state = load_file(folder / "model.safetensors")
        for name in ("classifier.weight", "classifier.bias"):
            state[name] = state[name].flip(0).contiguous()
        save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    return f"teacher.path={folder}"


def rejected(result: Result, *parts: str) -> None:
    assert result.code == 2, result.err
    (line,) = [line for line in result.err.splitlines() if line.startswith("error: ")]
    assert "Traceback" not in result.err
    for part in parts:
        assert part in line


STALE = {"LABEL_0": 0, "LABEL_1": 1}


def test_named_by_id2label_alone_in_another_order_and_in_shards(
    train_py: Cli, tiny: list[str], given: Path, tmp_path: Path
) -> None:
    path = change(given, swap=True, id2label={"0": "good", "1": "bad"}, label2id=STALE)
    model = BertForSequenceClassification.from_pretrained(given)
    (given / "model.safetensors").unlink()
    model.save_pretrained(given, max_shard_size="200KB")
    assert len(list(given.glob("model-*.safetensors"))) > 1
    change(given, label2id=STALE)
    result = train_py(*tiny, "teacher=folder", path)
    assert result.code == 0, result.err
    record = record_of(tmp_path / "out")
    assert record["teacher"]["validation"]["accuracy"] > 0.95
    assert record["artifact"]["scores"]["dev"]["accuracy"] > 0.9
    assert record["labels"] == ["bad", "good"]
    sizes = [file.stat().st_size for file in given.glob("model-*.safetensors")]
    assert record["teacher"]["stored_bytes"] == sum(sizes)
    classifier = lada.load(run_in(tmp_path / "out") / "artifact")
    assert classifier("it we lovely 3").label == "good"
    assert classifier("it we awful 3").label == "bad"


def test_labels_that_are_numbers_get_its_names(
    train_py: Cli,
    tiny: list[str],
    given: Path,
    csv_files: tuple[Path, Path],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    files = []
    for name, file in zip(("train", "dev"), csv_files, strict=True):
        with file.open(newline="", encoding="utf-8") as f:
            _, *rows = csv.reader(f)
        numbered = [(text, "01"[label == "bad"]) for text, label in rows]
        files.append(write_csv(tmp_path / f"{name}.csv", numbered, ("text", "label")))
    path = change(given, swap=True, id2label={"0": "good", "1": "bad"}, label2id=STALE,
                  problem_type="single_label_classification")  # fmt: skip
    task = [f"task.{name}_file={file}" for name, file in zip(("train", "dev"), files, strict=True)]
    result = train_py(*tiny, *task, "teacher=folder", path, "method=quantization", "target=none")
    assert result.code == 0, result.err
    assert caplog.text.count("labels are taken as its class ids: 0 is good, 1 is bad") == 1
    record = record_of(tmp_path / "out")
    assert record["labels"] == ["good", "bad"]
    assert record["artifact"]["scores"]["dev"]["accuracy"] > 0.9
    folder = run_in(tmp_path / "out") / "artifact"
    assert lada.load(folder)("it we lovely 3").label == "good"
    answer = pipeline("text-classification", model=str(folder))("it we awful 3")
    assert answer[0]["label"] == "bad"
    config = json.loads((folder / "config.json").read_text())
    assert config["id2label"] == {"0": "good", "1": "bad"}
    assert config["label2id"] == {"good": 0, "bad": 1}
    assert config.get("problem_type") is None


def test_a_wrong_order_is_called_that(
    train_py: Cli, tiny: list[str], given: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = change(given, swap=True, id2label=None, label2id=STALE)
    for _ in range(2):
        result = train_py(*tiny, "teacher=folder", path)
        rejected(result, str(given), "in another order", "good is bad, bad is good", "id2label")
        assert "longer" not in result.err
        path = change(given, id2label={"0": "bad", "1": "good"})
    assert caplog.text.count("output 0 is bad, output 1 is good") == 1


def test_a_given_teacher_near_chance(train_py: Cli, tiny: list[str], given: Path) -> None:
    state = load_file(given / "model.safetensors")
    state["classifier.bias"][1] += 1e3
    save_file(state, given / "model.safetensors", metadata={"format": "pt"})
    result = train_py(*tiny, "teacher=folder", f"teacher.path={given}")
    rejected(result, "near chance", "tokenizer")
    assert "teacher.epochs" not in result.err


@pytest.mark.parametrize(
    ("config", "parts"),
    [
        ({"id2label": {"0": "good", "1": "bad"}}, ["contradicts itself", "good, bad", "bad, good"]),
        ({"id2label": {"0": "bad", "1": "good", "2": "so"}, "label2id": None}, ["3", "2 outputs"]),
        ({"id2label": {"0": "no", "1": "yes"}, "label2id": None}, ["no, yes", "bad, good"]),
        ({"label2id": {"bad": 0.0, "good": 1.0}}, ["label2id", "0.0"]),
        ({"problem_type": "multi_label_classification"}, ["multi_label_classification"]),
        ({"problem_type": "regression"}, ["regression", "set task.kind"]),
    ],
)
def test_classes_are_rejected(
    train_py: Cli, tiny: list[str], given: Path, config: dict[str, Any], parts: list[str]
) -> None:
    result = train_py(*tiny, "teacher=folder", change(given, **config))
    rejected(result, f"teacher.path={given}", *parts)


@pytest.mark.parametrize("outputs", [1, 3])
def test_another_number_of_outputs(
    train_py: Cli, tiny: list[str], given: Path, outputs: int
) -> None:
    state = load_file(given / "model.safetensors")
    state["classifier.weight"] = torch.zeros(outputs, 64)
    state["classifier.bias"] = torch.zeros(outputs)
    save_file(state, given / "model.safetensors", metadata={"format": "pt"})
    names = {"id2label": {str(i): f"LABEL_{i}" for i in range(outputs)}, "label2id": None}
    words = ["single output", "regression"] if outputs == 1 else ["it has 3 classes", "are 2"]
    result = train_py(*tiny, "teacher=folder", change(given, **names))
    rejected(result, f"teacher.path={given}", *words)


def _unigram(texts: list[str]) -> PreTrainedTokenizerFast:
    special = ["<pad>", "<unk>", "[CLS]", "[SEP]"]
    made = Tokenizer(models.Unigram())
    made.normalizer = normalizers.NFKC()
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(vocab_size=150, special_tokens=special, unk_token="<unk>")
    made.train_from_iterator(texts, trainer)
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=made, pad_token="<pad>", unk_token="<unk>",
        cls_token="[CLS]", sep_token="[SEP]",
    )  # fmt: skip


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A random BERT with a sentencepiece-like tokenizer, whose class is named wrongly."""
    folder = tmp_path / "base"
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=160, hidden_size=64, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=128, max_position_embeddings=64,
    )  # fmt: skip
    BertModel(config).save_pretrained(folder)
    _unigram([text for text, _ in sentences(320, 1)]).save_pretrained(folder)
    file = folder / "tokenizer_config.json"
    stored = json.loads(file.read_text()) | {"tokenizer_class": "BertTokenizer"}
    file.write_text(json.dumps(stored))
    return folder


def test_a_sentencepiece_tokenizer(
    train_py: Cli, tiny: list[str], base: Path, tmp_path: Path
) -> None:
    local = ["model=local", f"model.path={base}", f"paths.teachers={tmp_path}/teachers"]
    result = train_py(*tiny, *local, "method=quantization", "target=none")
    assert result.code == 0, result.err
    assert record_of(tmp_path / "out")["artifact"]["scores"]["dev"]["accuracy"] > 0.9
    folder = run_in(tmp_path / "out") / "artifact"
    classifier = lada.load(folder)
    assert classifier("it we lovely 3").label == "good"
    right = Tokenizer.from_file(str(base / "tokenizer.json"))
    for text in ("it we lovely 3", "so bad: na\u00efve"):
        expected = right.encode(text).ids
        assert classifier.tokenizer(text)["input_ids"] == expected
        assert AutoTokenizer.from_pretrained(folder)(text)["input_ids"] == expected


@pytest.mark.parametrize(("kind", "share"), [("words", 1.0), ("unigram", 0.5)])
def test_a_tokenizer_that_does_not_know_the_texts(
    train_py: Cli,
    tiny: list[str],
    base: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    kind: str,
    share: float,
) -> None:
    if kind == "words":
        words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "soup"]
        BertTokenizer(vocab={word: i for i, word in enumerate(words)}).save_pretrained(base)
    word = "\u65e5\u672c\u8a9e"
    rows = [(f"{word[: 1 + i % 3]} {word * (1 + i % 7)}", "yn"[i % 2]) for i in range(60)]
    files = [write_csv(tmp_path / "train.csv", rows, ("text", "label")),
             write_csv(tmp_path / "dev.csv", rows[:30], ("text", "label"))]  # fmt: skip
    task = [f"task.train_file={files[0]}", f"task.dev_file={files[1]}", "data.validation=10"]
    local = ["model=local", f"model.path={base}", f"paths.teachers={tmp_path}/teachers"]
    result = train_py(*tiny, *local, *task, "teacher.lr=1e-9", "teacher.margin=100")
    if share == 1.0:
        rejected(result, str(base), "100 % of the tokens", "unknown to its tokenizer")
    else:  # each word begins with a token that is known
        assert (
            "50 % of the tokens of the training texts are unknown to its tokenizer" in caplog.text
        )


def test_more_tokens_than_embeddings(
    train_py: Cli, tiny: list[str], base: Path, tmp_path: Path
) -> None:
    tokenizer = PreTrainedTokenizerFast.from_pretrained(base)
    tokenizer.add_tokens([f"word{i}" for i in range(200)])
    tokenizer.save_pretrained(base)
    rejected(train_py(*tiny, "model=local", f"model.path={base}"), str(base), "tokens", "160")


def test_pickled_weights(train_py: Cli, tiny: list[str], given: Path) -> None:
    state = load_file(given / "model.safetensors")
    torch.save(state, given / "pytorch_model.bin")
    (given / "model.safetensors").unlink()
    result = train_py(*tiny, "teacher=folder", f"teacher.path={given}")
    rejected(result, str(given), "pytorch_model.bin", "save_pretrained")
