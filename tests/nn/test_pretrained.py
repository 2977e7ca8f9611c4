"""Pretrained folders: what is loaded, and what is rejected in one line."""

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import BertForSequenceClassification

from lada.errors import LadaError
from lada.nn.pretrained import (
    TINY_VOCABULARY,
    check_encoder_folder,
    find_model,
    load_classifier,
    load_tokenizer,
    model_digest,
    sha256_file,
)

LABELS = ("entailment", "neutral", "contradiction")
NAMED = {"id2label": dict(enumerate(LABELS)), "label2id": {x: i for i, x in enumerate(LABELS)}}
Make = Callable[..., BertForSequenceClassification]


@pytest.fixture
def folder(make_bert: Make, tmp_path: Path) -> Path:
    """A fine-tuned classifier over LABELS."""
    make_bert(**NAMED).save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def _config(folder: Path, **changes: Any) -> None:
    file = folder / "config.json"
    read = json.loads(file.read_text())
    file.write_text(json.dumps({**read, **changes}))


def _tensors(folder: Path, change: Callable[[dict[str, Tensor]], dict[str, Tensor]]) -> None:
    file = folder / "model.safetensors"
    save_file(change(load_file(file)), file, metadata={"format": "pt"})


def _without(*names: str) -> Callable[[dict[str, Tensor]], dict[str, Tensor]]:
    return lambda tensors: {k: v for k, v in tensors.items() if k not in names}


def _rejected(call: Callable[[], object], *parts: str) -> None:
    with pytest.raises(LadaError) as caught:
        call()
    line = str(caught.value)
    assert "\n" not in line
    for part in parts:
        assert part in line


def _predictions(
    model: BertForSequenceClassification, batch: dict[str, Tensor], labels: tuple[str, ...]
) -> tuple[list[str], Tensor]:
    """Labels by the model's own logits, and the probability of each of LABELS."""
    with torch.no_grad():
        logits = model.eval()(**batch).logits
    columns = [labels.index(x) for x in LABELS]
    return [labels[i] for i in logits.argmax(-1)], logits[:, columns]


class TestLoad:
    def test_a_fine_tuned_folder_is_loaded_as_saved(
        self, folder: Path, make_bert: Make, batch: dict[str, Tensor]
    ) -> None:
        model = load_classifier(folder, LABELS, 0, fine_tuned=True)
        saved = make_bert(**NAMED).state_dict()
        assert set(model.state_dict()) == set(saved)
        assert all(torch.equal(v, saved[k]) for k, v in model.state_dict().items())
        assert model.config.id2label == dict(enumerate(LABELS))

    @pytest.mark.parametrize("order", [(2, 0, 1), (1, 0, 2), (0, 2, 1), (1, 2, 0)])
    def test_classes_are_brought_into_our_order(
        self, make_bert: Make, tmp_path: Path, batch: dict[str, Tensor], order: tuple[int, ...]
    ) -> None:
        theirs = tuple(LABELS[i] for i in order)
        saved = make_bert(
            id2label=dict(enumerate(theirs)), label2id={x: i for i, x in enumerate(theirs)}
        )
        saved.classifier.bias.data.copy_(torch.tensor([0.3, -0.2, 0.1]))
        saved.save_pretrained(tmp_path)
        loaded = load_classifier(tmp_path, LABELS, 0, fine_tuned=True)
        assert [loaded.config.id2label[i] for i in range(3)] == list(LABELS)
        expected, scores = _predictions(saved, batch, theirs)
        got, our_scores = _predictions(loaded, batch, LABELS)
        assert got == expected
        torch.testing.assert_close(our_scores, scores)

    def test_labels_are_compared_without_case_and_signs(self, folder: Path) -> None:
        before = load_classifier(folder, LABELS, 0, fine_tuned=True).classifier.weight.clone()
        theirs = ("Contradiction", "ENTAILMENT", "neu-tral")
        _config(
            folder,
            label2id={x: i for i, x in enumerate(theirs)},
            id2label={str(i): x for i, x in enumerate(theirs)},
        )
        model = load_classifier(folder, LABELS, 0, fine_tuned=True)
        assert torch.equal(model.classifier.weight, before[[1, 2, 0]])

    @pytest.mark.parametrize("unnamed", [{"LABEL_0": 0, "LABEL_1": 1, "LABEL_2": 2}, {}, None])
    def test_unnamed_classes_are_taken_by_position(self, folder: Path, unnamed: Any) -> None:
        before = load_file(folder / "model.safetensors")["classifier.weight"]
        _config(folder, label2id=unnamed, id2label=None)
        model = load_classifier(folder, LABELS, 0, fine_tuned=True)
        assert torch.equal(model.classifier.weight, before)

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
    def test_half_precision_is_loaded_as_float32(
        self, make_bert: Make, tmp_path: Path, dtype: torch.dtype
    ) -> None:
        saved = make_bert(**NAMED).to(dtype)
        saved.save_pretrained(tmp_path)
        assert load_file(tmp_path / "model.safetensors")["classifier.weight"].dtype is dtype
        model = load_classifier(tmp_path, LABELS, 0, fine_tuned=True)
        assert {p.dtype for p in model.parameters()} == {torch.float32}
        for name, p in saved.named_parameters():
            assert torch.equal(model.get_parameter(name), p.float())

    def test_a_new_classifier_is_drawn_from_the_seed(self, folder: Path) -> None:
        _tensors(folder, _without("classifier.weight", "classifier.bias"))
        first, again, other = (load_classifier(folder, LABELS[:2], s) for s in (1, 1, 2))
        assert first.classifier.weight.shape == (2, 16)
        assert torch.equal(first.classifier.weight, again.classifier.weight)
        assert not torch.equal(first.classifier.weight, other.classifier.weight)
        encoder = load_file(folder / "model.safetensors")
        for name in encoder:
            assert torch.equal(other.get_parameter(name), encoder[name])

    def test_a_pretrained_encoder_may_lack_its_pooler(self, folder: Path) -> None:
        pooler = ("bert.pooler.dense.weight", "bert.pooler.dense.bias")
        _tensors(folder, _without(*pooler))
        load_classifier(folder, LABELS, 0)
        _rejected(
            lambda: load_classifier(folder, LABELS, 0, fine_tuned=True), str(folder), "pooler"
        )

    def test_tiny(self) -> None:
        first, again = (load_classifier(None, ("no", "yes"), 3) for _ in range(2))
        other = load_classifier(None, ("no", "yes"), 4)
        assert first.config.id2label == {0: "no", 1: "yes"}
        assert first.config.vocab_size == TINY_VOCABULARY
        assert len(first.bert.encoder.layer) == 2
        for name, p in first.named_parameters():
            assert torch.equal(p, again.get_parameter(name))
        assert not torch.equal(first.classifier.weight, other.classifier.weight)


class TestRejected:
    @pytest.mark.parametrize("fine_tuned", [False, True])
    @pytest.mark.parametrize(
        "name",
        [
            "bert.encoder.layer.1.output.dense.weight",
            "bert.encoder.layer.0.attention.self.key.bias",
            "bert.embeddings.word_embeddings.weight",
            "bert.embeddings.LayerNorm.weight",
        ],
    )
    def test_a_missing_tensor(self, folder: Path, name: str, fine_tuned: bool) -> None:
        _tensors(folder, _without(name))
        _rejected(
            lambda: load_classifier(folder, LABELS, 0, fine_tuned=fine_tuned), str(folder), name
        )

    def test_a_fine_tuned_folder_without_classifier(self, folder: Path) -> None:
        _tensors(folder, _without("classifier.bias"))
        _rejected(
            lambda: load_classifier(folder, LABELS, 0, fine_tuned=True),
            str(folder),
            "classifier.bias is missing",
        )

    @pytest.mark.parametrize(
        "name",
        ["foo", "bert.encoder.layer.2.output.dense.bias", "cls.predictions.bias", "adapter.weight"],
    )
    def test_a_tensor_that_it_does_not_know(self, folder: Path, name: str) -> None:
        _tensors(folder, lambda tensors: {**tensors, name: torch.zeros(16)})
        _rejected(
            lambda: load_classifier(folder, LABELS, 0, fine_tuned=True),
            str(folder),
            f"has {name}",
        )
        if name.startswith("cls."):  # the heads of pretraining are expected of a base
            load_classifier(folder, LABELS, 0)
        else:
            _rejected(lambda: load_classifier(folder, LABELS, 0), str(folder), f"has {name}")

    def test_buffers_of_old_versions_are_known(self, folder: Path) -> None:
        name = "bert.embeddings.position_ids"
        _tensors(folder, lambda tensors: {**tensors, name: torch.arange(24)[None]})
        load_classifier(folder, LABELS, 0)
        load_classifier(folder, LABELS, 0, fine_tuned=True)

    def test_a_tensor_of_another_shape(self, folder: Path) -> None:
        name = "bert.encoder.layer.1.output.dense.weight"
        _tensors(folder, lambda tensors: {**tensors, name: torch.zeros(3, 3)})
        _rejected(lambda: load_classifier(folder, LABELS, 0), str(folder))

    def test_damaged_weights(self, folder: Path) -> None:
        (folder / "model.safetensors").write_bytes(b"not safetensors at all")
        _rejected(lambda: load_classifier(folder, LABELS, 0), str(folder), "cannot be loaded")

    @pytest.mark.parametrize("text", [None, "", "{", "[1, 2]", '"bert"', "\x00"])
    def test_no_config(self, folder: Path, text: str | None) -> None:
        (folder / "config.json").unlink()
        if text is not None:
            (folder / "config.json").write_text(text)
        for call in (
            lambda: load_classifier(folder, LABELS, 0),
            lambda: check_encoder_folder(folder, "model.path"),
            lambda: find_model("local", str(folder)),
        ):
            _rejected(call, str(folder), "config.json")

    @pytest.mark.parametrize("kind", ["gpt2", None, 3])
    def test_no_family_of_encoders(self, folder: Path, kind: Any) -> None:
        _config(folder, model_type=kind)
        _rejected(
            lambda: load_classifier(folder, LABELS, 0), str(folder), f"{kind} is not supported"
        )
        _rejected(
            lambda: find_model("local", str(folder)), f"model.path={folder}", "is not supported"
        )

    def test_pickled_weights_are_never_loaded(self, folder: Path) -> None:
        state = load_file(folder / "model.safetensors")
        torch.save(state, folder / "pytorch_model.bin")
        (folder / "model.safetensors").unlink()
        _rejected(lambda: load_classifier(folder, LABELS, 0), str(folder), "no model.safetensors")

    def test_pickled_weights_are_converted_as_the_message_says(
        self, folder: Path, tmp_path: Path
    ) -> None:
        folder = folder.rename(tmp_path / 'it\'s "a" model')
        state = load_file(folder / "model.safetensors")
        (folder / "model.safetensors").unlink()
        for key in ("teacher.path", "model.path"):
            torch.save(state, folder / "pytorch_model.bin")
            with pytest.raises(LadaError) as caught:
                check_encoder_folder(folder, key)
            exec(str(caught.value).split("in Python: ")[1])
            check_encoder_folder(folder, key)
            model = load_classifier(folder, LABELS, 0, fine_tuned=key == "teacher.path")
            for name, value in model.state_dict().items():
                assert torch.equal(value, state[name]) or name.startswith("classifier")
            if key == "teacher.path":
                assert torch.equal(model.classifier.weight, state["classifier.weight"])
            (folder / "model.safetensors").unlink()

    @pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
    @pytest.mark.parametrize("kind", ["pipe", "device"])
    def test_what_is_no_file_is_not_waited_for(self, folder: Path, name: str, kind: str) -> None:
        (folder / name).unlink()
        if kind == "pipe":
            os.mkfifo(folder / name)
        else:
            (folder / name).symlink_to("/dev/zero")
        for call in (
            lambda: load_classifier(folder, LABELS, 0),
            lambda: check_encoder_folder(folder, "teacher.path"),
            lambda: find_model("local", str(folder)),
        ):
            _rejected(call, str(folder), name, "regular file")

    @pytest.mark.parametrize(
        "labels", [("entailment", "neutral"), ("yes", "no", "maybe"), (*LABELS, "other")]
    )
    def test_other_classes(self, folder: Path, labels: tuple[str, ...]) -> None:
        _rejected(
            lambda: load_classifier(folder, labels, 0, fine_tuned=True),
            f"teacher.path={folder}",
            "it has 3 classes" if len(labels) != 3 else "its classes are",
            *LABELS,
            "the task's are",
            ", ".join(labels),
        )

    def test_the_key_is_named(self, folder: Path) -> None:
        def load() -> object:
            return load_classifier(folder, ("a", "b", "c"), 0, fine_tuned=True, key="--against")

        _rejected(load, f"--against={folder}: its classes are")
        _tensors(folder, _without("classifier.weight"))
        _rejected(load, f"--against={folder}: classifier.weight")
        (folder / "model.safetensors").unlink()
        _rejected(load, f"--against={folder}: has no model.safetensors")

    @pytest.mark.parametrize(
        "rows",
        [
            {"entailment": 0, "neutral": 1, "contradiction": 7},
            {"entailment": 0, "neutral": 1, "contradiction": 1},
            {"entailment": 0, "neutral": -1, "contradiction": 1},
            {"entailment": 0, "neutral": 1, "contradiction": "two"},
        ],
        ids=["beyond", "twice", "negative", "word"],
    )
    def test_classes_that_name_no_rows(self, folder: Path, rows: dict[str, Any]) -> None:
        _config(folder, label2id=rows)
        _rejected(lambda: load_classifier(folder, LABELS, 0, fine_tuned=True), str(folder))


class TestFind:
    def test_tiny_has_no_folder(self) -> None:
        assert find_model("tiny", None) is None

    def test_a_folder(self, folder: Path) -> None:
        assert find_model("local", str(folder)) == folder
        assert find_model("bert-base", str(folder)) == folder

    def test_no_path(self) -> None:
        _rejected(lambda: find_model("local", None), "model.path=null", "model=local")

    def test_no_such_folder(self, tmp_path: Path) -> None:
        for name in ("local", "bert-base"):
            _rejected(
                lambda name=name: find_model(name, str(tmp_path / "none")),
                f"model.path={tmp_path / 'none'}",
                "no such folder",
            )
        _rejected(lambda: find_model("local", "someone/model"), "someone/model", "no such folder")


class TestDigest:
    def test_sha256(self, tmp_path: Path) -> None:
        (tmp_path / "x").write_bytes(b"abc" * 1000)
        assert sha256_file(tmp_path / "x") == hashlib.sha256(b"abc" * 1000).hexdigest()

    def test_every_part_counts_and_nothing_else(self, folder: Path) -> None:
        assert model_digest(None) == model_digest(None) != model_digest(folder)
        seen = [model_digest(folder)]
        (folder / "README.md").write_text("words")
        assert model_digest(folder) == seen[0]
        for name in ("vocab.txt", "tokenizer.json", "config.json", "model.safetensors"):
            file = folder / name
            file.write_bytes((file.read_bytes() if file.exists() else b"") + b" ")
            seen.append(model_digest(folder))
        assert len(set(seen)) == 5

    def test_added_tokens_count(self, folder: Path) -> None:
        before = model_digest(folder)
        (folder / "added_tokens.json").write_text("{}")
        assert model_digest(folder) != before

    def test_the_digest_of_a_folder_stays(self, tmp_path: Path) -> None:
        """Kept teachers are named by it."""
        files = {"model.safetensors": b"weights", "config.json": b"{}", "vocab.txt": b"a"}
        for name, content in files.items():
            (tmp_path / name).write_bytes(content)
        named = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
        parts = ("model.safetensors", "config.json", "tokenizer.json", "vocab.txt",
                 "tokenizer_config.json", "special_tokens_map.json")  # fmt: skip
        text = "".join(f"{name}:{named.get(name, '-')};" for name in parts)
        assert model_digest(tmp_path) == hashlib.sha256(text.encode()).hexdigest()


class TestTokenizer:
    TEXTS = ("The good film, the bad film.", "Can't say: the END", "good café")

    def test_tiny_is_deterministic(self) -> None:
        first = load_tokenizer(None, list(self.TEXTS))
        again = load_tokenizer(None, list(reversed(self.TEXTS)))
        assert first.get_vocab() == again.get_vocab()
        assert len(first.get_vocab()) == TINY_VOCABULARY
        assert sorted(first.get_vocab().values()) == list(range(TINY_VOCABULARY))

    def test_tiny_knows_its_texts(self) -> None:
        tokenizer = load_tokenizer(None, list(self.TEXTS))
        ids = tokenizer("the good film", "bad end")
        words = tokenizer.convert_ids_to_tokens(ids["input_ids"])
        assert words == ["[CLS]", "the", "good", "film", "[SEP]", "bad", "end", "[SEP]"]
        assert ids["token_type_ids"] == [0] * 5 + [1] * 3
        assert (tokenizer.pad_token_id, tokenizer.unk_token_id) == (0, 1)
        # The most frequent words first: the 3, film 2, good 2.
        vocabulary = tokenizer.get_vocab()
        assert vocabulary["the"] + 1 == vocabulary["film"]
        assert vocabulary["film"] + 1 == vocabulary["good"]

    def test_tiny_spells_what_it_does_not_know(self) -> None:
        tokenizer = load_tokenizer(None, list(self.TEXTS))
        assert tokenizer.tokenize("zoo!") == ["z", "##o", "##o", "!"]
        assert tokenizer.tokenize("\u65e5") == ["[UNK]"]

    def test_tiny_is_cut_to_its_size(self) -> None:
        words = [f"w{i}" for i in range(3 * TINY_VOCABULARY)]
        tokenizer = load_tokenizer(None, [" ".join([*words, "often", "often"])])
        vocabulary = tokenizer.get_vocab()
        assert len(vocabulary) == TINY_VOCABULARY
        assert "often" in vocabulary
        assert max(tokenizer("often w1 w5999 " * 3)["input_ids"]) < TINY_VOCABULARY

    def test_saved_and_loaded(self, tmp_path: Path) -> None:
        tokenizer = load_tokenizer(None, list(self.TEXTS))
        tokenizer.save_pretrained(tmp_path)
        loaded = load_tokenizer(tmp_path)
        for text in (*self.TEXTS, "zoo unknown"):
            assert loaded(text)["input_ids"] == tokenizer(text)["input_ids"]

    def test_a_folder_without_tokenizer_is_rejected(self, folder: Path) -> None:
        _rejected(lambda: load_tokenizer(folder), str(folder), "tokenizer.json or vocab.txt")


def test_a_long_name_is_cut_in_the_message() -> None:
    with pytest.raises(LadaError, match=r"model\.name=x+\.\.\.: there is no such model") as caught:
        find_model("x" * 5000, None)
    assert len(str(caught.value)) < 300
