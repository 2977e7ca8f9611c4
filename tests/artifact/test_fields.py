"""config.json with its digest made to fit: fields of wrong types are rejected when it is loaded."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import lada
from lada.artifact import check_storable, container
from lada.artifact.config import read_config
from lada.artifact.fields import FIELDS, check_fields
from lada.nn.pretrained import load_tokenizer

ODD: tuple[Any, ...] = (None, True, "", "12", "\ud800", -1, 0, 7, 2**31, 0.5, math.nan, [], ["a"],
                        {"a": 1})  # fmt: skip


class Changer:
    """Loads an artifact with other configs, to which its weights are made to belong."""

    def __init__(self, folder: Path):
        self.folder, self.file = folder, folder / "config.json"
        self.weights = folder / "model.safetensors"
        self.whole = self.file.read_text()
        with container.reading(self.weights, read_config(self.file)) as blobs:
            self.packed = {name: blobs.packed(name) for name in blobs.names}

    def load(self, change: Callable[[dict[str, Any]], Any]) -> str | None:
        """The message where it is rejected; None where it loads and answers."""
        config = json.loads(self.whole)
        change(config)
        self.file.write_text(json.dumps(config))
        container.write(self.weights, self.packed, config)
        try:
            classifier = lada.load(self.folder)
        except lada.LadaError as error:
            return str(error)
        answers = classifier.classify(["a b", "the soup was not bad at all", ""])
        answers += classifier.classify(["a"], ["b c"])
        assert all(isinstance(answer.label, str) and answer.label for answer in answers)
        assert all(0.0 <= answer.probability <= 1.0 for answer in answers)
        json.dumps(str(answers)).encode()
        return None


@pytest.fixture
def changer(folder: Path) -> Changer:
    return Changer(folder)


@pytest.mark.slow
def test_every_field_with_odd_values(changer: Changer) -> None:
    """Rejected in one line, or it loads and answers: no TypeError or IndexError at use."""
    stored = json.loads(changer.whole)
    rejected = loaded = 0
    for name in sorted({*stored, *FIELDS} - {"lada"}):
        for value in ODD:
            line = changer.load(lambda c, name=name, value=value: c.update({name: value}))
            rejected += line is not None
            loaded += line is None
            assert line is None or "\n" not in line
    assert rejected > 300
    assert loaded > 30


def test_every_field_left_out(changer: Changer) -> None:
    """transformers has a default for each of a BERT's."""
    stored = json.loads(changer.whole)
    lines = {name: changer.load(lambda c, name=name: c.pop(name)) for name in stored}
    lines |= {
        name: changer.load(lambda c, name=name: c["lada"].pop(name)) for name in stored["lada"]
    }
    for name in ("hidden_size", "vocab_size", "model_type", "lada", "about", "values", "version"):
        assert lines[name] is not None, name
    assert lines["type_vocab_size"] is None


def test_every_field_of_ours_with_odd_values(changer: Changer) -> None:
    layers = json.loads(changer.whole)["lada"]["layers"]
    first = next(iter(layers))
    places: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
        "version": lambda c: c["lada"],
        "values": lambda c: c["lada"],
        "layers": lambda c: c["lada"],
        "about": lambda c: c["lada"],
        "files": lambda c: c["lada"],
        "max_length": lambda c: c["lada"]["about"],
        first: lambda c: c["lada"]["layers"],
        "kind": lambda c: c["lada"]["layers"][first],
        "rank": lambda c: c["lada"]["layers"][first],
        "tokenizer.json": lambda c: c["lada"]["files"],
        "0": lambda c: c["id2label"],
        "bad": lambda c: c["label2id"],
        "lada": lambda c: c,
    }
    rejected = 0
    for name, owner in places.items():
        for value in ODD:
            line = changer.load(lambda c, n=name, o=owner, v=value: o(c).update({n: v}))
            rejected += line is not None
            assert line is None or "\n" not in line
    assert rejected > 0.8 * len(places) * len(ODD)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"id2label": {"0": "bad", "1": 5}}, "id2label has 5 for 1"),
        ({"id2label": {"0": "bad", "1": None}}, "id2label has None for 1"),
        ({"id2label": {"0": "bad", "1": "\udcff"}}, "id2label has '\\udcff' for 1"),
        ({"id2label": {"0": "bad", "2": "good"}}, "must number the classes"),
        ({"id2label": {"0": "bad", "01": "good"}}, "must number the classes"),
        ({"id2label": ["bad", "good"]}, "id2label is ['bad', 'good']"),
        ({"label2id": {"bad": "0", "good": "1"}}, "label2id has '0' for bad"),
        ({"label2id": {"bad": True}}, "label2id has True for bad"),
        ({"pad_token_id": 2000}, "pad_token_id is 2000, but must be below vocab_size, 2000"),
        ({"pad_token_id": -1}, "pad_token_id is -1"),
        ({"type_vocab_size": 0}, "type_vocab_size is 0"),
        ({"vocab_size": True}, "vocab_size is True"),
        ({"layer_norm_eps": "1e-12"}, "layer_norm_eps is '1e-12'"),
        ({"hidden_dropout_prob": 1.5}, "is 1.5, but must be a number from 0 to 1"),
        ({"num_attention_heads": 2.0}, "num_attention_heads is 2.0"),
        ({"chunk_size_feed_forward": 7}, "chunk_size_feed_forward is 7"),
        ({"return_dict": False}, "return_dict is False, but must be true"),
        ({"problem_type": "guessing"}, "problem_type is 'guessing'"),
        ({"problem_type": ["regression"]}, "problem_type is ['regression']"),
        ({"architectures": "Bert"}, "architectures is 'Bert'"),
        ({"eos_token_id": ["1"]}, "eos_token_id is ['1']"),
    ],
)  # fmt: skip
def test_what_is_said(changer: Changer, change: dict[str, Any], words: str) -> None:
    line = changer.load(lambda c: c.update(change))
    assert line is not None
    assert "config.json: " in line
    assert words in line


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_numbers_that_are_none(changer: Changer, value: float) -> None:
    for change in (
        {"layer_norm_eps": value},
        {"anything": [value]},
        {"id2label": {"0": "bad", "1": value}},
    ):
        line = changer.load(lambda c, change=change: c.update(change))
        assert line is not None
        assert "is NaN or infinite" in line


@pytest.mark.parametrize(
    "change",
    [
        {"hidden_dropout_prob": 0, "attention_probs_dropout_prob": 1, "classifier_dropout": 0.1},
        {"problem_type": "single_label_classification"},
        {"label2id": None},
        {"label2id": {"LABEL_0": 0, "LABEL_1": 1}},
        {"id2label": {"0": "\u7535\u5f71", "1": "\U0001f600 good\t"}},
        {"eos_token_id": [1, 2], "bos_token_id": 0},
        {"pad_token_id": None},
        {"architectures": None, "transformers_version": None, "dtype": "float16"},
        {"output_attentions": True, "output_hidden_states": True},
        {"something_new": {"a": [1, "b", None]}},
    ],
)
def test_what_may_be(changer: Changer, change: dict[str, Any]) -> None:
    assert changer.load(lambda c: c.update(change)) is None


@pytest.mark.parametrize(
    "about", [{"max_length": 10**6}, {"max_length": "9"}, 3, {"max_length": True}, {"a": {1, 2}}]
)
def test_what_could_not_be_read_is_not_written(
    student: Any, tokenizer: Any, tmp_path: Path, about: Any
) -> None:
    with pytest.raises(lada.LadaError, match=r"cannot be stored|is not JSON"):
        lada.save(student, tokenizer, tmp_path / "artifact", about)
    assert list(tmp_path.iterdir()) == []


def test_a_student_whose_config_is_odd_is_not_written(
    student: Any, tokenizer: Any, tmp_path: Path
) -> None:
    student.config.id2label = {0: "bad", 1: 5}
    with pytest.raises(lada.LadaError, match=r"cannot be stored: .*id2label has 5 for 1"):
        lada.save(student, tokenizer, tmp_path / "artifact", {})
    student.config.id2label = {0: "bad", 1: "good"}
    student.config.return_dict = False
    student.config.chunk_size_feed_forward = 5
    lada.save(student, tokenizer, tmp_path / "artifact", {})
    assert lada.load(tmp_path / "artifact")("the soup").label in ("bad", "good")


def test_a_tokenizer_with_more_tokens_is_not_written(student: Any, tmp_path: Path) -> None:
    tokenizer = load_tokenizer(None, ["the soup"])
    tokenizer.add_tokens(["anotherword"])
    with pytest.raises(lada.LadaError, match="its tokenizer has 2001 tokens, its model 2000"):
        lada.save(student, tokenizer, tmp_path / "artifact", {})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "value"), [("pad_token_id", -1), ("layer_norm_eps", 2.0), ("id2label", {0: 5, 1: "b"})]
)
def test_what_a_teacher_s_students_could_not_be_stored_with(
    student: Any, tokenizer: Any, name: str, value: Any
) -> None:
    """Said before one is trained; nothing is written."""
    check_storable(student, tokenizer, {"max_length": 16})
    setattr(student.config, name, value)
    with pytest.raises(lada.LadaError, match=f"cannot be stored: .*{name}"):
        check_storable(student, tokenizer, {"max_length": 16})


@pytest.mark.parametrize(
    ("stored", "words"),
    [
        (
            {"model_type": "lada-albert", "num_hidden_layers": 2**31 - 1},
            "layers is over",
        ),
        ({"model_type": "lada-bert", "max_position_embeddings": 2**31 - 1}, "embeddings is over"),
    ],
)
def test_what_no_tensor_bounds(stored: dict[str, Any], words: str) -> None:
    """How often a shared layer is applied, and the length of a buffer."""
    with pytest.raises(lada.LadaError, match=words):
        check_fields({**stored, "lada": {}})
