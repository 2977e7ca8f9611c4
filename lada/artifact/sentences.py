"""By what sentence-transformers loads artifacts: files of models of vectors, a field of rerankers.

lada reads none of them: what decides its vectors is in config.json under ``lada``. But a
`SentenceTransformer` takes the pooling from the files, so config.json has their digests.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from transformers import PreTrainedConfig

from lada.files import write_text
from lada.heads import head_named
from lada.nn.families import usable_positions
from lada.nn.sentences import IDENTITY, SIGMOID

POOLING = "1_Pooling"

_PACKAGE = "sentence_transformers.models"
"""Where versions 2 to 6 find their modules."""


def cross_encoder_fields(about: Mapping[str, Any]) -> dict[str, Any]:
    """What a config.json has by which a `CrossEncoder` gives the numbers that lada does.

    Args:
        about: of the artifact; a model of another kind than numbers has nothing.
    """
    if about.get("kind") != "regression":
        return {}
    sigmoid = head_named("regression").restored(about).about()["sigmoid"]
    return {"sentence_transformers": {"activation_fn": SIGMOID if sigmoid else IDENTITY}}


def write_sentence_files(folder: Path, about: Mapping[str, Any], config: PreTrainedConfig) -> None:
    """Write them next to a model of vectors; nothing for a model of another kind.

    Args:
        about: of the artifact.
        config: of the model.

    Raises:
        OSError: the folder cannot be written.
    """
    if about.get("kind") != "embedding":
        return
    length = about.get("max_length", usable_positions(config))
    head = head_named("embedding").restored(about).about()
    modules = [("", "Transformer"), (POOLING, "Pooling")]
    if head["normalize"]:
        modules.append(("2_Normalize", "Normalize"))
    rows = [
        {"idx": number, "name": str(number), "path": path, "type": f"{_PACKAGE}.{kind}"}
        for number, (path, kind) in enumerate(modules)
    ]
    modes = {"cls": "cls_token", "mean": "mean_tokens", "max": "max_tokens"}
    pooling: dict[str, Any] = {"word_embedding_dimension": config.hidden_size}
    for mode, name in modes.items():
        pooling[f"pooling_mode_{name}"] = mode == head["pooling"]
    found: dict[str, Any] = {
        "modules.json": rows,
        f"{POOLING}/config.json": pooling,
        "sentence_bert_config.json": {"max_seq_length": length, "do_lower_case": False},
        "config_sentence_transformers.json": {"similarity_fn_name": "cosine"},
    }
    (folder / POOLING).mkdir()
    for name, content in found.items():
        write_text(folder / name, json.dumps(content, indent=2) + "\n")
