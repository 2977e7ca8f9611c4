"""The compressed model as a folder: written from a student, read back strictly.

A folder holds ``model.safetensors`` (packed: docs/format.md), ``config.json`` (the BERT config and,
under "lada", the form of each compressed matrix) and the tokenizer. No pickle, no code.
"""

from pathlib import Path
from typing import Any

from transformers import PreTrainedModel

from lada.artifact.card import CARD
from lada.artifact.classifier import Classifier
from lada.artifact.config import CONFIG, read_config
from lada.artifact.container import WEIGHTS, reading
from lada.artifact.model import CLASSES, config_of, write_model
from lada.artifact.newfolder import new_folder
from lada.errors import LadaError
from lada.nn.pretrained import load_tokenizer


def save(
    student: PreTrainedModel,
    tokenizer: Any,
    folder: str | Path,
    about: dict[str, Any],
    *,
    values: str = "int8",
) -> None:
    """Write ``student`` to ``folder`` (which must not exist yet), whole or not at all.

    Args:
        about: plain JSON values kept in config.json (task, target, max_length, ...).
        values: type of the stored values: "int8" (matrices; the rest fp16), "fp16" or "fp32".

    Raises:
        LadaError: the folder exists or cannot be written, a weight is no number.
    """
    folder = Path(folder)
    config = config_of(student, values, about)
    with new_folder(folder) as temporary:
        write_model(temporary, student, config)
        tokenizer.save_pretrained(temporary)


def load(folder: str | Path) -> Classifier:
    """Read an artifact; gives a model that answers text.

    Every tensor must be there and fit, and none may be over.

    Raises:
        LadaError: the folder is no artifact, damaged, or its config and weights do not agree.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise LadaError(f"{folder}: no such folder; give an artifact")
    kind = read_config(folder / CONFIG)["model_type"]
    (found,) = (c for c in CLASSES if c.config_class.model_type == kind)
    model = found.from_pretrained(folder, local_files_only=True)
    names = model.config.id2label
    labels = tuple(names[i] for i in range(len(names)))
    tokenizer = load_tokenizer(folder)
    if len(tokenizer) > model.config.vocab_size:
        raise LadaError(
            f"{folder}: its tokenizer has {len(tokenizer)} tokens, its model "
            f"{model.config.vocab_size}; bring back the tokenizer that it came with"
        )
    return Classifier(model, tokenizer, labels, model.config.lada["about"])


def measure(folder: Path) -> dict[str, int]:
    """What the stored file holds, counted from the file.

    Returns:
        ``parameters``: entries of the tensors, dropped ones included; ``nonzeros``: those stored;
        ``stored_bytes`` of the weights file; ``folder_bytes`` of all files but the card.
    """
    with reading(folder / WEIGHTS, read_config(folder / CONFIG)) as blobs:
        headers = [blobs.header(name) for name in blobs.names]
    files = [file for file in folder.rglob("*") if file.is_file() and file.name != CARD]
    return {
        "parameters": sum(header.size for header in headers),
        "nonzeros": sum(header.kept for header in headers),
        "stored_bytes": (folder / WEIGHTS).stat().st_size,
        "folder_bytes": sum(file.stat().st_size for file in files),
    }
