"""The files by which sentence-transformers loads a model of vectors.

lada reads none of them: what decides its vectors is in config.json. But a `SentenceTransformer`
takes the pooling from them, so they are among the files that config.json has digests of.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lada.files import write_text

SETTINGS = "sentence_bert_config.json"
POOLING = "1_Pooling"

_PACKAGE = "sentence_transformers.models"
"""Where versions 2 to 6 find their modules."""


def write_sentence_files(folder: Path, about: Mapping[str, Any], width: int, length: int) -> None:
    """Write them next to the model.

    Args:
        about: of the artifact, with ``pooling`` and ``normalize``.
        width: of the vectors.
        length: tokens that a text is truncated to.

    Raises:
        OSError: the folder cannot be written.
    """
    modules = [("", "Transformer"), (POOLING, "Pooling")]
    if about["normalize"]:
        modules.append(("2_Normalize", "Normalize"))
    rows = [
        {"idx": number, "name": str(number), "path": path, "type": f"{_PACKAGE}.{kind}"}
        for number, (path, kind) in enumerate(modules)
    ]
    modes = {"cls": "cls_token", "mean": "mean_tokens", "max": "max_tokens"}
    pooling: dict[str, Any] = {"word_embedding_dimension": width}
    for mode, name in modes.items():
        pooling[f"pooling_mode_{name}"] = mode == about["pooling"]
    found: dict[str, Any] = {
        "modules.json": rows,
        f"{POOLING}/config.json": pooling,
        SETTINGS: {"max_seq_length": length, "do_lower_case": False},
        "config_sentence_transformers.json": {"similarity_fn_name": "cosine"},
    }
    (folder / POOLING).mkdir()
    for name, content in found.items():
        write_text(folder / name, json.dumps(content, indent=2) + "\n")
