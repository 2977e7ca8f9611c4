"""The compressed model as a folder: written from a student, read back strictly.

A folder holds ``model.safetensors`` (factors at their final rank, what stays whole, nothing
else), ``config.json`` (the BERT config and, under "lada", the rank of each factorized matrix) and
the tokenizer. There is no pickle and no code in it.
"""

import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import BertConfig, BertForSequenceClassification

from lada.artifact.classifier import Classifier
from lada.errors import LadaError
from lada.nn.compressed import factor_layers
from lada.nn.pretrained import load_tokenizer
from lada.nn.surgery import replace_empty_

FORMAT = 1
MODEL_TYPE = "lada-bert"
WEIGHTS = "model.safetensors"


def save(
    student: BertForSequenceClassification, tokenizer: Any, folder: Path, record: dict[str, Any]
) -> None:
    """Write ``student`` to ``folder`` (which must not exist yet), whole or not at all.

    Args:
        record: plain JSON values kept in config.json beside the ranks (task, target, ...).

    Raises:
        LadaError: the folder exists or cannot be written.
    """
    if folder.exists():
        raise LadaError(f"{folder}: exists already; give another folder")
    ranks = {name: layer.rank for name, layer in factor_layers(student).items()}
    config = student.config.to_dict()
    # No BERT that others could load, and no business of anyone's where its teacher lay.
    for name in ("architectures", "_name_or_path"):
        config.pop(name, None)
    config["model_type"] = MODEL_TYPE
    config["lada"] = {"format": FORMAT, "ranks": ranks, **record}
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    except OSError as error:
        raise LadaError(f"{folder}: cannot be written ({error.strerror})") from None
    try:
        save_file(_tensors(student), temporary / WEIGHTS)
        text = json.dumps(config, indent=2, sort_keys=True)
        (temporary / "config.json").write_text(text + "\n", encoding="utf-8")
        tokenizer.save_pretrained(temporary)
        temporary.chmod(0o755)
        os.replace(temporary, folder)
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or error
        raise LadaError(f"{folder}: cannot be written ({reason})") from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _tensors(student: BertForSequenceClassification) -> dict[str, Tensor]:
    """What is stored: factors cut to the active rank; masks live on as zeros."""
    layers = factor_layers(student)
    out = {}
    for name, value in student.state_dict().items():
        owner, _, part = name.rpartition(".")
        if owner in layers:
            if part in ("mask_a", "mask_b", "active_rank"):
                continue
            if part in ("factor_a", "factor_b"):
                value = value[:, : layers[owner].rank]
        out[name] = value.detach().cpu().contiguous().clone()
    return out


def load(folder: str | Path) -> Classifier:
    """Read an artifact; gives a model that answers text.

    Every tensor must be there and fit, and none may be over.

    Raises:
        LadaError: the folder is no artifact, or its config and weights do not agree.
    """
    folder = Path(folder)
    config = _read_config(folder)
    ours = config.pop("lada")
    config.pop("model_type", None)
    model = BertForSequenceClassification(BertConfig.from_dict(config))
    replace_empty_(model, ours["ranks"])
    try:
        tensors = load_file(folder / WEIGHTS)
    except (OSError, SafetensorError) as error:
        raise LadaError(f"{folder / WEIGHTS}: cannot be read ({error})") from None
    for name, layer in factor_layers(model).items():
        for side in ("a", "b"):
            factor = tensors.get(f"{name}.factor_{side}")
            if factor is not None:
                tensors[f"{name}.mask_{side}"] = factor != 0
        tensors[f"{name}.active_rank"] = torch.tensor(layer.rank)
    try:
        model.load_state_dict(tensors, strict=True)
    except RuntimeError as error:
        lines = [line.strip() for line in str(error).splitlines()[1:]]
        raise LadaError(f"{folder / WEIGHTS}: {lines[0] if lines else error}") from None
    model.eval()
    names = model.config.id2label
    labels = tuple(names[i] for i in range(len(names)))
    return Classifier(model, load_tokenizer(folder), labels, ours)


def _read_config(folder: Path) -> dict[str, Any]:
    file = folder / "config.json"
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise LadaError(f"{file}: cannot be read ({error.strerror}); give an artifact") from None
    except ValueError as error:
        raise LadaError(f"{file}: is no JSON ({error})") from None
    if not isinstance(config, dict) or not isinstance(config.get("lada"), dict):
        raise LadaError(f"{file}: has no part 'lada'; give a folder that this project wrote")
    ours = config["lada"]
    if ours.get("format") != FORMAT:
        raise LadaError(f"{file}: format {ours.get('format')!r} is not {FORMAT}, which this reads")
    ranks = ours.get("ranks")
    if not isinstance(ranks, dict) or not all(type(r) is int for r in ranks.values()):
        raise LadaError(f"{file}: 'ranks' must map names of layers to whole numbers")
    return config


def measure(folder: Path) -> dict[str, int]:
    """What the stored file holds, counted from the file.

    Returns:
        ``parameters``: stored numbers; ``nonzeros``: kept entries, where factors count their
        nonzero entries and all else counts whole; ``stored_bytes`` of the weights file;
        ``folder_bytes`` of all files, tokenizer included.
    """
    tensors = load_file(folder / WEIGHTS)
    parameters = sum(t.numel() for t in tensors.values())
    nonzeros = sum(
        int(torch.count_nonzero(t)) if name.endswith((".factor_a", ".factor_b")) else t.numel()
        for name, t in tensors.items()
    )
    return {
        "parameters": parameters,
        "nonzeros": nonzeros,
        "stored_bytes": (folder / WEIGHTS).stat().st_size,
        "folder_bytes": sum(f.stat().st_size for f in folder.rglob("*") if f.is_file()),
    }
