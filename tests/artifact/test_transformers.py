"""An artifact behind transformers' own doors."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers import check_same_model
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BertConfig,
    pipeline,
)

import lada
from lada.artifact.classes import LadaBertForSequenceClassification


def auto(folder: Path, **kwargs: Any) -> Any:
    return AutoModelForSequenceClassification.from_pretrained(folder, **kwargs)


def test_auto_classes(folder: Path) -> None:
    model = auto(folder)
    assert type(model) is LadaBertForSequenceClassification
    assert not model.training
    assert AutoConfig.from_pretrained(folder).model_type == "lada-bert"
    batch = AutoTokenizer.from_pretrained(folder)("the soup was not bad", return_tensors="pt")
    with torch.no_grad():
        probabilities = model(**batch).logits.softmax(-1)
    answer = lada.load(folder)("the soup was not bad")
    assert model.config.id2label[int(probabilities.argmax())] == answer.label
    assert float(probabilities.max()) == pytest.approx(answer.probability, abs=1e-6)


def test_pipeline(folder: Path, tmp_path: Path) -> None:
    classify = pipeline("text-classification", model=str(folder))
    answer = lada.load(folder)("the soup was not bad")
    (found,) = classify("the soup was not bad")
    assert found["label"] == answer.label
    assert found["score"] == pytest.approx(answer.probability, abs=1e-6)
    classify.save_pretrained(str(tmp_path / "again"))
    assert lada.load(tmp_path / "again")("the soup was not bad") == answer


@pytest.mark.parametrize("text", ["not " * 500, "bad " * 15 + "the soup was", "x" * 90 + " a" * 40])
def test_a_pipeline_truncates_where_load_does(folder: Path, text: str) -> None:
    classify = pipeline("text-classification", model=str(folder))
    classifier = lada.load(folder)
    (found,), answer = classify(text, truncation=True), classifier(text)
    assert classify.tokenizer.model_max_length == classifier.about["max_length"] == 16
    assert found["label"] == answer.label
    assert found["score"] == pytest.approx(answer.probability, abs=1e-6)


@pytest.mark.parametrize("values", ["int8", "fp16", "fp32"])
def test_saved_again_it_is_the_same(student, tokenizer, tmp_path: Path, values: str) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    lada.save(student, tokenizer, first, {"task": "demo"}, values=values)
    model = auto(first)
    model.save_pretrained(second)
    check_same_model(first, second)
    auto(second).save_pretrained(tmp_path / "third")
    for name in ("model.safetensors", "config.json"):
        assert (tmp_path / "third" / name).read_bytes() == (second / name).read_bytes(), name
    theirs = auto(second).state_dict()
    assert all(torch.equal(value, theirs[name]) for name, value in model.state_dict().items())


def test_a_label_s_new_name(folder: Path, tmp_path: Path) -> None:
    model = auto(folder)
    model.config.id2label = {0: "awful", 1: "fine"}
    model.save_pretrained(tmp_path / "named")
    shutil.copy(folder / "tokenizer.json", tmp_path / "named")
    shutil.copy(folder / "tokenizer_config.json", tmp_path / "named")
    assert lada.load(tmp_path / "named").labels == ("awful", "fine")


def test_arguments(folder: Path) -> None:
    model = auto(folder, dtype=torch.bfloat16, attn_implementation="eager", device_map="cpu")
    assert model.dtype == torch.bfloat16
    assert model.config._attn_implementation == "eager"
    assert auto(folder, dtype="auto").dtype == torch.float32
    assert auto(folder, dtype="float16", device_map={"": "cpu"}).dtype == torch.float16


@pytest.mark.parametrize(
    "arguments",
    [
        {"low_cpu_mem_usage": True},
        {"use_safetensors": True, "trust_remote_code": False, "weights_only": True},
        {"ignore_mismatched_sizes": True, "offload_folder": "nowhere", "max_memory": {0: "1GB"}},
        {"load_in_8bit": False, "from_tf": False, "variant": None, "gguf_file": None},
        {"local_files_only": True, "revision": "main", "token": None, "force_download": False},
        {"torch_dtype": "float32", "resume_download": True, "quantization_config": None},
    ],
    ids=lambda arguments: "-".join(arguments),
)
@pytest.mark.parametrize("read", ["auto", "class", "encoder"])
def test_arguments_that_change_nothing(folder: Path, arguments: dict[str, Any], read: str) -> None:
    """transformers takes them for any model, so scripts give them."""
    classes: dict[str, Any] = {
        "auto": AutoModelForSequenceClassification,
        "class": LadaBertForSequenceClassification,
        "encoder": AutoModel,
    }
    plain = classes[read].from_pretrained(folder).state_dict()
    found = classes[read].from_pretrained(folder, **arguments).state_dict()
    assert plain.keys() == found.keys()
    assert all(torch.equal(value, plain[name]) for name, value in found.items())


@pytest.mark.parametrize(
    "arguments",
    [
        {"quantization_config": {"load_in_8bit": True}},
        {"load_in_4bit": True},
        {"state_dict": {"classifier.bias": torch.zeros(2)}},
        {"from_tf": True},
        {"variant": "fp16"},
        {"numlabels": 3},
    ],
    ids=lambda arguments: "-".join(arguments),
)
def test_arguments_that_would_change_something(folder: Path, arguments: dict[str, Any]) -> None:
    (name,) = arguments
    for read in (auto, LadaBertForSequenceClassification.from_pretrained):
        with pytest.raises(lada.LadaError, match=f"from_pretrained: {name} is not supported"):
            read(folder, **arguments)


def test_arguments_that_ask_for_more(folder: Path) -> None:
    model, info = auto(folder, output_loading_info=True)
    assert isinstance(model, LadaBertForSequenceClassification)
    assert not any(info[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    batch = AutoTokenizer.from_pretrained(folder)("not bad", return_tensors="pt")
    for read in (auto, LadaBertForSequenceClassification.from_pretrained):
        states = read(folder, output_hidden_states=True)(**batch).hidden_states
        assert len(states) == model.config.num_hidden_layers + 1


def test_encoder(folder: Path) -> None:
    """AutoModel and a pipeline give the states that the classifier reads."""
    whole, encoder = auto(folder), AutoModel.from_pretrained(folder)
    assert not encoder.training
    assert encoder.device == torch.device("cpu")
    batch = AutoTokenizer.from_pretrained(folder)("the soup was not bad", return_tensors="pt")
    with torch.no_grad():
        found = encoder(**batch)
        logits = whole.classifier(found.pooler_output)
        assert torch.equal(logits, whole(**batch).logits)
        states = whole(**batch, output_hidden_states=True).hidden_states
    assert torch.equal(found.last_hidden_state, states[-1])
    extract = pipeline("feature-extraction", model=str(folder))
    features = torch.tensor(extract("the soup was not bad"))
    assert torch.allclose(features, found.last_hidden_state, atol=1e-6)
    assert AutoModel.from_pretrained(folder, dtype=torch.bfloat16).dtype == torch.bfloat16


def test_encoder_alone_is_not_stored(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(lada.LadaError, match="an encoder alone cannot be stored"):
        AutoModel.from_pretrained(folder).save_pretrained(tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_encoder_of_damaged_weights(folder: Path) -> None:
    data = bytearray((folder / "model.safetensors").read_bytes())
    data[-1] ^= 1
    (folder / "model.safetensors").write_bytes(data)
    with pytest.raises(lada.LadaError, match="corrupt"):
        AutoModel.from_pretrained(folder)


def test_nothing_is_made_up(folder: Path) -> None:
    """By itself transformers fills what is missing with random numbers and continues."""
    (folder / "model.safetensors").unlink()
    with pytest.raises(lada.LadaError, match=r"model\.safetensors cannot be read"):
        auto(folder)


def test_another_kind_is_rejected_by_name(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    first = next(iter(config["lada"]["layers"]))
    config["lada"]["layers"][first] = {"kind": "hologram"}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(lada.LadaError, match=f"{first}: kind 'hologram'"):
        auto(folder)


def test_save_pretrained_takes_its_arguments_in_the_order_of_transformers(
    folder: Path, tmp_path: Path
) -> None:
    model = auto(folder)
    model.save_pretrained(tmp_path / "rank-1", False)  # is_main_process
    assert not (tmp_path / "rank-1").exists()
    model.save_pretrained(tmp_path / "rank-0", True)
    assert torch.equal(auto(tmp_path / "rank-0").classifier.weight, model.classifier.weight)
    with pytest.raises(lada.LadaError, match="state_dict"):
        model.save_pretrained(tmp_path / "other", True, model.state_dict())
    with pytest.raises(lada.LadaError, match="after push_to_hub has no name"):
        model.save_pretrained(tmp_path / "other", True, None, False, "1GB")
    assert not (tmp_path / "other").exists()


def test_arguments_of_from_pretrained_that_no_artifact_has(folder: Path) -> None:
    read = LadaBertForSequenceClassification.from_pretrained
    with pytest.raises(lada.LadaError, match="path=None: is not a path"):
        read(None)
    with pytest.raises(lada.LadaError, match="1 arguments without a name"):
        read(folder, "more")
    with pytest.raises(lada.LadaError, match=f"config={folder}: is a path"):
        read(folder, config=folder)
    with pytest.raises(lada.LadaError, match=r"is a bert\. Read it with AutoModelFor"):
        read(folder, config=BertConfig())


def test_push_to_hub(folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What would be sent is a whole artifact; the network itself is not here."""
    from transformers.utils import hub

    sent = {}

    def keep(self: Any, working_dir: str, repo_id: str, *args: Any, **kwargs: Any) -> str:
        sent[repo_id] = sorted(p.name for p in Path(working_dir).iterdir())
        shutil.copytree(working_dir, tmp_path / "sent")
        return "https://example.org"

    class Api:
        def create_repo(self, repo_id: str, **kwargs: Any) -> Any:
            return type("Url", (), {"repo_id": f"me/{repo_id}"})

    class Card:
        def save(self, path: str) -> None:
            Path(path).write_text("card")

    monkeypatch.setattr(hub, "hf_api", Api)
    monkeypatch.setattr(hub, "create_and_tag_model_card", lambda *a, **k: Card())
    monkeypatch.setattr(LadaBertForSequenceClassification, "_upload_modified_files", keep)
    auto(folder).push_to_hub("small")
    assert sent == {"me/small": ["README.md", "config.json", "model.safetensors"]}
    assert torch.equal(auto(tmp_path / "sent").classifier.weight, auto(folder).classifier.weight)
    auto(folder).save_pretrained(tmp_path / "local", push_to_hub=False)
    shutil.rmtree(tmp_path / "sent")
    auto(folder).save_pretrained(tmp_path / "other", push_to_hub=True, repo_id="named")
    assert list(sent) == ["me/small", "me/named"]
