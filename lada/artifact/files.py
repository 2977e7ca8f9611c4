"""The other files of an artifact that decide an answer: those of the tokenizer and of the pooling.

Since version 2.0 config.json holds the SHA-256 of each (docs/format.md), and the weights file that
of config.json.
"""

import hashlib
import shlex
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path

from lada.errors import LadaError
from lada.files import TOKENIZER_BYTES, read_regular

NAMES = ("added_tokens.json", "adapter_config.json", "byte_maps.json", "chat_template.*",
         "dict.txt", "emoji.json", "merges.txt", "normalizer.json", "preprocessor_config.json",
         "processor_config.json", "special_tokens_map.json", "tekken.json", "word_*.json",
         "*tokenizer*.json", "*vocab*.json", "*vocab*.txt", "tokenizer.model*", "*.codes",
         "*.model", "*.spm", "*.tiktoken", "*.tokenizer")  # fmt: skip
"""The files that transformers' tokenizers of any class read from a folder. With an
``adapter_config.json`` the Auto classes read another model than that of the folder."""

SENTENCES = ("modules.json", "sentence_bert_config.json", "config_sentence_transformers.json")
"""The files that sentence-transformers reads, besides a config.json in the folder of a module."""

TEMPLATES = "additional_chat_templates"


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 (hex) of every file of a folder that decides an answer, by its name in it.

    Raises:
        LadaError: one is not a regular file, too large, or cannot be read.
    """
    return {name: _digest(folder, name) for name in present(folder)}


def changed(folder: Path, recorded: Mapping[str, str]) -> dict[str, str]:
    """The differences to what is recorded: name -> "modified", "missing" or "added".

    Raises:
        LadaError: a file is not a regular file, too large, or cannot be read.
    """
    here, found = present(folder), {}
    for name in sorted({*here, *recorded}):
        if name not in recorded:
            found[name] = "added"
        elif name not in here:
            found[name] = "missing"
        elif _digest(folder, name) != recorded[name]:
            found[name] = "modified"
    return found


def check_files(folder: Path, recorded: Mapping[str, str] | None, *, partial: bool = False) -> None:
    """Reject a folder whose files are not those that its config.json records.

    Args:
        recorded: None for version 1, which has none.
        partial: the folder may lack some, such as the hub's cache, which is filled file by file.

    Raises:
        LadaError: files are modified, missing or added, with the command that records them.
    """
    if recorded is None:
        return
    found = changed(folder, recorded)
    if partial:
        found = {name: what for name, what in found.items() if what != "missing"}
    if not found:
        return
    said = ", ".join(f"{name} is {what}" for name, what in found.items())
    accept = " ".join(f"--accept {shlex.quote(name)}" for name in found)
    raise LadaError(
        f"{folder}: {said}, compared with what config.json records. Restore the files written with "
        f"the model, or record the present ones: lada verify {shlex.quote(str(folder))} {accept}"
    )


def present(folder: Path) -> tuple[str, ...]:
    """Names of the files of a folder that decide an answer.

    Raises:
        LadaError: the folder cannot be read.
    """
    try:
        names = [file.name for file in folder.iterdir() if not file.is_dir()]
        names = [name for name in names if not name.startswith(".")]
        found = [name for name in names if any(fnmatchcase(name, p) for p in (*NAMES, *SENTENCES))]
        found += [f"{file.parent.name}/config.json" for file in folder.glob("[0-9]_*/config.json")]
        found += [f"{TEMPLATES}/{file.name}" for file in (folder / TEMPLATES).glob("*.jinja")]
    except OSError as error:
        raise LadaError(f"{folder}: cannot be read ({error.strerror}). Give an artifact.") from None
    return tuple(sorted(found))


def _digest(folder: Path, name: str) -> str:
    try:
        return hashlib.sha256(read_regular(folder / name, TOKENIZER_BYTES)).hexdigest()
    except OSError as error:
        raise LadaError(
            f"{folder / name}: cannot be read ({error.strerror}). Make it readable."
        ) from None
