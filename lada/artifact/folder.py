"""The compressed model as a folder: written from a student, read strictly.

A folder has ``model.safetensors`` (packed: docs/format.md), ``config.json`` (its family's config
and, under "lada", the form of each compressed matrix and the digests of the tokenizer's files) and
the tokenizer. It has no pickle and no code.
"""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError
from transformers import PreTrainedModel

from lada.artifact.card import CARD
from lada.artifact.classes import class_named
from lada.artifact.classifier import Classifier
from lada.artifact.config import (
    CONFIG,
    LadaConfig,
    config_from,
    config_text,
    layers_of,
    read_config,
)
from lada.artifact.container import AGAIN, WEIGHTS, reading, write
from lada.artifact.files import check_files, digests
from lada.artifact.model import config_of, write_model
from lada.artifact.newfolder import new_folder
from lada.artifact.sentences import write_sentence_files
from lada.artifact.versions import version_of
from lada.errors import LadaError
from lada.files import write_text
from lada.nn.classes import class_names
from lada.nn.families import FAMILIES, usable_positions
from lada.nn.guarded import check_guarded
from lada.nn.pretrained import load_tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast


def save(
    student: PreTrainedModel,
    tokenizer: "PreTrainedTokenizerBase",
    folder: str | Path,
    about: dict[str, Any],
    *,
    values: str = "int8",
) -> None:
    """Write ``student`` atomically to ``folder``, which must not exist yet.

    Args:
        about: plain JSON values stored in config.json (task, target, ...). Some decide answers:
            ``max_length``, the most tokens of an example; ``pairs``, whether an example is a pair
            of texts; ``kind``, and what the kind of the task needs (`lada.heads`).
        values: type of the stored values: "int8" (matrices; the rest fp16), "fp16" or "fp32"; or
            few bits for what is compressed, the rest as with "int8": "int4", "int3", "int2"
            (ternary) or "int1" (binary). Train in them (`lada.prepare`), or the score will suffer.

    Raises:
        LadaError: the folder exists or cannot be written, a weight is NaN or infinite, `load` would
            reject config, ``about`` or tokenizer, or a round of its `lada.compression.Compression`
            was missed.

    Example:
        >>> small = lada.load(result.artifact)
        >>> about = {"max_length": 16, "pairs": False}
        >>> lada.save(small.model, small.tokenizer, "copy", about, values="fp16")
        >>> lada.load("copy")("what a lovely soup").label
        'good'
        >>> lada.save(small.model, small.tokenizer, "copy", about)
        Traceback (most recent call last):
        ...
        lada.errors.LadaError: copy: exists already. Give another folder.
    """
    folder = Path(folder)
    check_guarded(student)
    check_storable(student, tokenizer, about, values=values)
    with new_folder(folder) as temporary:
        length = about.get("max_length", usable_positions(student.config))
        _save_tokenizer(tokenizer, length, temporary)
        write_sentence_files(temporary, about, student.config)
        write_model(temporary, student, config_of(student, values, about, digests(temporary)))


def check_storable(
    model: PreTrainedModel,
    tokenizer: "PreTrainedTokenizerBase",
    about: dict[str, Any],
    *,
    values: str = "int8",
) -> None:
    """Reject what `save` would reject for a student of ``model``, before it is trained.

    Raises:
        LadaError: a field of its config has a value that an artifact cannot have, its kind is not
            for such a model, or the tokenizer returns ids without embeddings.
    """
    config = config_of(model, values, about, files={})
    config_text(config)
    try:
        class_named(config.to_dict())
    except LadaError as error:
        raise LadaError(f"about: {error}. Give the kind that the model is for.") from None
    _check_tokenizer(tokenizer, config, "the model cannot be stored")


def _save_tokenizer(tokenizer: "PreTrainedTokenizerBase", max_length: int, folder: Path) -> None:
    """Write a tokenizer that truncates at the same length as `load`, whoever calls it."""
    before = tokenizer.model_max_length
    tokenizer.model_max_length = max_length
    try:
        tokenizer.save_pretrained(folder)
    finally:
        tokenizer.model_max_length = before


def load(folder: str | Path) -> Classifier:
    """Read an artifact; returns a model that classifies texts.

    Every tensor must exist and fit, and there must be no others.

    Raises:
        LadaError: the folder is not an artifact or is corrupt, config and weights do not match, or
            the tokenizer's files are not those it was written with.

    Example:
        >>> classifier = lada.load(result.artifact)
        >>> classifier.labels
        ('bad', 'good')
        >>> lada.load("nowhere")
        Traceback (most recent call last):
        ...
        lada.errors.LadaError: nowhere: there is no such folder. Give an artifact.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise LadaError(f"{folder}: there is no such folder. Give an artifact.")
    config = read_config(folder / CONFIG)
    files = config["lada"].get("files")
    with reading(folder / WEIGHTS, config):  # first: another model would have other files too
        check_files(folder, digests(folder) if files is None else files)
    try:
        found = class_named(config)
    except LadaError as error:
        raise LadaError(f"{folder / CONFIG}: {error}. {AGAIN}") from None
    model = found.from_pretrained(folder, local_files_only=True)
    tokenizer = _tokenizer_for(folder, model.config)
    return Classifier(model, tokenizer, class_names(model.config), model.config.lada["about"])


def accept(folder: Path, names: Sequence[str]) -> None:
    """Record the present files of an artifact in its config.json.

    Weights and config.json are replaced one after the other; if it is killed in between, run it
    again. An artifact without digests gets those of all its files, and a newer version.

    Args:
        names: of modified, added or deleted files, or their paths.

    Raises:
        LadaError: a name is not a file of the tokenizer, the tokenizer does not fit the model, or
            the folder is corrupt otherwise or cannot be written.
    """
    config = read_config(folder / CONFIG)
    old, now = config["lada"].get("files"), digests(folder)
    recorded = dict(now if old is None else old)
    for given in names:
        name = _name_in(folder, given)
        if name not in now and name not in recorded:
            known = ", ".join(sorted({*now, *recorded})) or "none"
            raise LadaError(
                f"--accept {given}: this is not a file of the tokenizer. Give one of {known}."
            )
        recorded.pop(name, None)
        if name in now:
            recorded[name] = now[name]
    _tokenizer_for(folder, config_from(config))
    layers = layers_of(config["lada"])
    version = version_of(
        class_named(config),
        config_from(config),
        layers,
        config["lada"]["about"],
        values=config["lada"]["values"],
        files=True,
    )
    changed = config | {"lada": config["lada"] | {"files": recorded, "version": version}}
    with reading(folder / WEIGHTS, config, changed) as blobs:
        packed = {name: blobs.packed(name) for name in blobs.names}
    try:
        write(folder / WEIGHTS, packed, changed, version)
        write_text(folder / CONFIG, json.dumps(changed, indent=2, sort_keys=True) + "\n")
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or error
        raise LadaError(
            f"{folder}: cannot be written ({reason}). Make it writable, or free disk space."
        ) from None


def _name_in(folder: Path, given: str) -> str:
    """The name in the folder of a file that is given by this name or by a path."""
    try:
        return Path(os.path.abspath(given)).relative_to(os.path.abspath(folder)).as_posix()
    except ValueError:
        return given


def _tokenizer_for(folder: Path, config: LadaConfig) -> "PreTrainedTokenizerFast":
    """The tokenizer of an artifact, checked to fit the model.

    Raises:
        LadaError: there is none, or its ids are beyond the model's embeddings.
    """
    tokenizer = load_tokenizer(folder)
    _check_tokenizer(tokenizer, config, str(folder))
    return tokenizer


def _check_tokenizer(tokenizer: "PreTrainedTokenizerBase", config: LadaConfig, where: str) -> None:
    try:
        most = 1 + max(len(tokenizer) - 1, tokenizer.pad_token_id, *tokenizer.get_vocab().values())
        # Without padding and truncation, which would stay in the tokenizer and be saved with it.
        single, pair = (tokenizer("a b", text) for text in (None, "c"))
    except Exception as error:  # a file that is not a tokenizer's may raise anything
        line = " ".join(str(error).split())[:160]
        raise LadaError(
            f"{where}: its tokenizer cannot be used ({line}). Restore the tokenizer of this model."
        ) from None
    size = config.vocab_size
    # A model without token types is not given any: published DeBERTa-v3 has 0.
    types = (config.type_vocab_size if FAMILIES[config.family].types else 0) or 2
    if most > size:
        raise LadaError(
            f"{where}: its tokenizer has {most} tokens, its model {size}. Restore the tokenizer of "
            "this model."
        )
    for found, allowed in ((single, types), (pair, max(types, 2))):
        for ids, end in ((found["input_ids"], size), (found.get("token_type_ids", [0]), allowed)):
            if not all(0 <= i < end for i in ids):
                raise LadaError(
                    f"{where}: its tokenizer returns ids that its model does not have (0 to "
                    f"{end - 1}). Restore the tokenizer of this model."
                )


def measure(folder: Path) -> dict[str, int]:
    """The sizes of an artifact, counted from its files.

    Returns:
        ``parameters``: entries of the tensors, pruned ones included; ``nonzeros``: those stored;
        ``stored_bytes`` of the weights file; ``folder_bytes`` of all files but the card.
    """
    with reading(folder / WEIGHTS, read_config(folder / CONFIG)) as blobs:
        headers = [blobs.header(name) for name in blobs.names]
    files = [file for file in folder.rglob("*") if file.is_file() and file.name != CARD]
    return {
        "parameters": sum(header.size for header in headers),
        "nonzeros": sum(header.unpruned for header in headers),
        "stored_bytes": (folder / WEIGHTS).stat().st_size,
        "folder_bytes": sum(file.stat().st_size for file in files),
    }
