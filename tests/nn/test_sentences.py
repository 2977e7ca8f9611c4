"""What a sentence-transformers folder says of its vectors, as any version writes it."""

import json
from pathlib import Path
from typing import Any

import pytest

from lada.errors import LadaError
from lada.nn.sentences import sigmoid_of, vectors_of

OLD, NEW = "sentence_transformers.models", "sentence_transformers.sentence_transformer.modules"


def folder_of(
    place: Path,
    kinds: tuple[str, ...] = ("Transformer", "Pooling", "Normalize"),
    pooling: Any = None,
    package: str = OLD,
    **files: Any,
) -> Path:
    paths = ["", *(f"{number}_{kind}" for number, kind in enumerate(kinds) if number)]
    rows = [
        {"idx": number, "name": str(number), "path": path, "type": f"{package}.{kind}"}
        for number, (path, kind) in enumerate(zip(paths, kinds, strict=True))
    ]
    (place / "modules.json").write_text(json.dumps(rows))
    (place / "1_Pooling").mkdir(exist_ok=True)
    content = {"pooling_mode": "mean"} if pooling is None else pooling
    (place / "1_Pooling" / "config.json").write_text(json.dumps(content))
    for name, values in files.items():
        (place / f"{name}.json").write_text(json.dumps(values))
    return place


def old(**on: bool) -> dict[str, Any]:
    names = ("cls_token", "mean_tokens", "max_tokens", "mean_sqrt_len_tokens")
    modes = {f"pooling_mode_{name}": on.get(name, False) for name in names}
    return {"word_embedding_dimension": 384, **modes}


@pytest.mark.parametrize(
    ("pooling", "package", "expected"),
    [
        (old(mean_tokens=True), OLD, "mean"),
        (old(cls_token=True), OLD, "cls"),
        (old(max_tokens=True), OLD, "max"),
        ({"pooling_mode": "cls", "include_prompt": True}, NEW, "cls"),
    ],
)
@pytest.mark.parametrize("normalize", [True, False])
def test_poolings_of_any_version(
    tmp_path: Path, pooling: Any, package: str, expected: str, normalize: bool
) -> None:
    kinds = ("Transformer", "Pooling", "Normalize")[: 3 if normalize else 2]
    found = vectors_of(folder_of(tmp_path, kinds, pooling, package))
    assert found == {"pooling": expected, "normalize": normalize}


def test_without_modules_it_is_the_mean_normalized(tmp_path: Path) -> None:
    assert vectors_of(tmp_path) == vectors_of(None) == {"pooling": "mean", "normalize": True}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"kinds": ("Transformer", "Pooling", "Dense")}, "modules are Transformer, Pooling, Dense"),
        ({"kinds": ("StaticEmbedding",)}, "modules are StaticEmbedding"),
        ({"pooling": old(mean_tokens=True, cls_token=True)}, "its pooling is cls, mean"),
        ({"pooling": old(mean_sqrt_len_tokens=True)}, "pooling_mode_mean_sqrt_len_tokens"),
        ({"pooling": old()}, "its pooling is not given"),
        ({"pooling": {"pooling_mode": ["cls", "mean"]}}, "its pooling is"),
        ({"pooling": []}, "its pooling is not given"),
        ({"sentence_bert_config": {"do_lower_case": True}}, "do_lower_case"),
        (
            {"config_sentence_transformers": {"default_prompt_name": "query"}},
            "default_prompt_name in config_sentence_transformers.json is 'query'",
        ),
    ],
)
def test_other_vectors_are_rejected(tmp_path: Path, settings: dict[str, Any], said: str) -> None:
    with pytest.raises(LadaError) as caught:
        vectors_of(folder_of(tmp_path, **settings))
    assert str(caught.value).startswith(f"teacher.path={tmp_path}: ")
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is not JSON"),
        ("{}", "is not a list of modules"),
        ('[{"type": "a.Transformer"}]', "is not a list of modules"),
        ('[{"type": "a.Transformer", "path": "0_Encoder"}, {"type": "a.Pooling", "path": "p"}]',
         "its encoder is in the folder 0_Encoder"),
        ('[{"type": "a.Transformer", "path": ""}, {"type": "a.Pooling", "path": "../p"}]',
         "outside of it"),
        ('[{"type": "a.Transformer", "path": ""}, {"type": "a.Pooling", "path": "p"}]',
         "cannot be read"),
    ],
)  # fmt: skip
def test_broken_files_are_rejected(tmp_path: Path, text: str, said: str) -> None:
    folder_of(tmp_path)
    (tmp_path / "modules.json").write_text(text)
    with pytest.raises(LadaError, match=said):
        vectors_of(tmp_path)


SIGMOID, IDENTITY = "torch.nn.modules.activation.Sigmoid", "torch.nn.modules.linear.Identity"


@pytest.mark.parametrize(
    ("config", "settings", "expected"),
    [
        ({}, None, None),
        ({"sbert_ce_default_activation_function": IDENTITY}, None, False),
        ({"sentence_transformers": {"activation_fn": SIGMOID, "version": "4.1.0"}}, None, True),
        ({}, {"activation_fn": IDENTITY, "model_type": "CrossEncoder"}, False),
        ({"sentence_transformers": {"activation_fn": SIGMOID}}, {"activation_fn": IDENTITY}, False),
        ({}, {"prompts": {}}, None),
    ],
)
def test_activations_of_any_version(
    tmp_path: Path, config: Any, settings: Any, expected: bool | None
) -> None:
    (tmp_path / "config.json").write_text(json.dumps(config))
    if settings is not None:
        (tmp_path / "config_sentence_transformers.json").write_text(json.dumps(settings))
        folder_of(tmp_path, ("Transformer",), package=NEW)
    assert sigmoid_of(tmp_path) is expected


def test_other_scores_are_rejected(tmp_path: Path) -> None:
    assert sigmoid_of(None) is None
    file = tmp_path / "config.json"
    file.write_text(json.dumps({"sbert_ce_default_activation_function": "torch.nn.Tanh"}))
    with pytest.raises(LadaError, match=r"its activation is torch\.nn\.Tanh"):
        sigmoid_of(tmp_path)
    folder_of(tmp_path, ("Transformer", "LogitScore"))
    with pytest.raises(LadaError, match="modules are Transformer, LogitScore"):
        sigmoid_of(tmp_path)
