"""Packed tensors in one safetensors file, and the checks before any of them is unpacked."""

import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file
from torch import Tensor

from lada.artifact.codec import HEADER, Broken, Header, decode, read_header
from lada.errors import LadaError
from lada.files import apply_umask, check_regular, temporary_file
from lada.nn.families import FAMILIES

WEIGHTS = "model.safetensors"
READABLE = ("1", "2", "3")
VERSION = "3.1"
"""The newest version. Major: those in `READABLE` can be read. Minor: it has a new kind, which older
readers reject by name."""

SINCE = {
    "factors": "1.0",
    "lada-bert": "1.0",
    "masked": "1.1",
    "residual": "1.1",
    "lada-minialbert": "1.2",
    "lada-bilstm": "1.2",
    "lada-early-exit": "1.2",
    "files": "2.0",
    "classifier": "1.0",
    "AutoModelForTokenClassification": "1.3",
    "AutoModelForQuestionAnswering": "1.3",
    "AutoModel": "1.3",
    "few bits": "1.4",
    "task": "3.0",
    **{f"lada-{family}": "1.3" for family in FAMILIES if family != "bert"},
}
"""The version that introduced a kind of matrix or model, a head, the digests of files, values of
few bits, or a classifier of another task than one label per example."""

TOGETHER = {
    frozenset({"1.3", "2.0"}): "2.1",
    frozenset({"1.4", "2.0"}): "2.2",
    frozenset({"1.4", "3.0"}): "3.1",
}
"""The versions of files with features of two lines of versions: the older line's came later."""

VOLATILE = ("_name_or_path", "architectures", "dtype", "torch_dtype", "transformers_version")
"""Keys of config.json that depend on the library that writes it and not on the model."""

ABOUT_LENGTH = 1000
"""Most characters of the metadata of a file: several times as many as are written."""

AGAIN = "Copy or make the artifact again."
"""Advice in messages about a corrupt file."""

EXPANSION = 1000
ALLOWANCE = 64 * 2**20
"""A file may unpack to at most `EXPANSION` times its size plus `ALLOWANCE` bytes."""


def version_for(kinds: Iterable[str]) -> str:
    """The version of a file with these kinds: the oldest that has all of them."""
    found = {SINCE.get(kind, "1.3") for kind in kinds}
    found |= {version for both, version in TOGETHER.items() if both <= found}
    return max(found, default="1.0")


def config_digest(config: Mapping[str, Any]) -> str:
    """SHA-256 of config.json as canonical JSON, without the keys that are `VOLATILE`."""
    kept = {k: v for k, v in config.items() if k not in VOLATILE}
    text = json.dumps(kept, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def write(
    file: Path, blobs: Mapping[str, bytes], config: Mapping[str, Any], version: str = VERSION
) -> None:
    """Write packed tensors atomically.

    Args:
        config: the content of config.json; the file holds its digest.

    Raises:
        OSError, SafetensorError: the file cannot be written.
    """
    about = {"version": version, "config": config_digest(config)}
    arrays = {name: np.frombuffer(blob, np.uint8) for name, blob in blobs.items()}
    temporary = temporary_file(file)
    try:
        # A single key: safetensors writes several in no fixed order.
        save_file(arrays, temporary, metadata={"lada": json.dumps(about, sort_keys=True)})
        apply_umask(temporary)
        os.replace(temporary, file)
    finally:
        temporary.unlink(missing_ok=True)


class Blobs:
    """The packed tensors of an open file; values are read on demand.

    Raises, from every method:
        LadaError: the file is corrupt, or not of an artifact; with the tensor's name.
    """

    def __init__(self, file: Path, opened: Any):
        self.file = file
        self._open = opened
        self.names = tuple(opened.keys())

    def _slice(self, name: str) -> Any:
        try:
            found = self._open.get_slice(name)
            packed = found.get_dtype() == "U8" and len(found.get_shape()) == 1
        except SafetensorError as error:
            raise LadaError(f"{self.file}: {name} cannot be read ({error}). {AGAIN}") from None
        if not packed:
            raise LadaError(
                f"{self.file}: {name} is not packed. Give a folder that this project wrote."
            )
        return found

    def header(self, name: str) -> Header:
        """The header of a tensor; nothing else of it is read."""
        try:
            size = self.size(name)
            return read_header(bytes(self._slice(name)[: min(size, HEADER.size)]), size)
        except Broken as error:
            raise LadaError(f"{self.file}: {name} is corrupt ({error}). {AGAIN}") from None

    def size(self, name: str) -> int:
        """Bytes of a packed tensor."""
        return int(self._slice(name).get_shape()[0])

    def packed(self, name: str) -> bytes:
        """The bytes of a packed tensor, unchecked."""
        return bytes(self._slice(name)[:])

    def unpack(self, name: str, shape: tuple[int, ...]) -> tuple[Tensor, Tensor | None]:
        """Values and mask, by `decode`."""
        try:
            return decode(name, memoryview(self._slice(name)[:]), shape)
        except Broken as error:
            raise LadaError(f"{self.file}: {name} is corrupt ({error}). {AGAIN}") from None

    def check(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        """Reject names, shapes and sizes other than those of the model, before any is unpacked."""
        missing, over = shapes.keys() - set(self.names), set(self.names) - shapes.keys()
        for names, word in ((missing, "is missing"), (over, "does not belong to the model")):
            if names:
                raise LadaError(f"{self.file}: {min(names)} {word}. {AGAIN}")
        unpacked = 0
        for name, shape in shapes.items():
            header = self.header(name)
            if header.shape != shape:
                raise LadaError(
                    f"{self.file}: {name} is {header.shape}, the model needs {shape}. {AGAIN}"
                )
            unpacked += 4 * header.size
        if unpacked > ALLOWANCE + EXPANSION * self.file.stat().st_size:
            raise LadaError(
                f"{self.file}: would unpack to {unpacked} bytes, more than any model has. {AGAIN}"
            )


@contextmanager
def reading(file: Path, *configs: Mapping[str, Any]) -> Iterator[Blobs]:
    """Open a file of packed tensors that belongs to this config.json, or to one of several.

    Raises:
        LadaError: the file is corrupt, of another version, or belongs to another config.
    """
    try:
        check_regular(file)
        with safe_open(str(file), framework="np") as opened:
            about = _about(file, opened.metadata())
            check_version(file, about.get("version"))
            if about.get("config") not in [config_digest(config) for config in configs]:
                raise LadaError(
                    f"{file}: belongs to another config.json. Restore that one, or change the "
                    "config of the loaded model and save it."
                )
            yield Blobs(file, opened)
    except (OSError, SafetensorError) as error:
        reason = " ".join(str(error).split())
        raise LadaError(f"{file}: cannot be read ({reason}). {AGAIN}") from None


def _about(file: Path, metadata: Any) -> dict[str, Any]:
    try:
        text = metadata["lada"]
        about = json.loads(text) if len(text) <= ABOUT_LENGTH else None
    except (TypeError, LookupError, ValueError, RecursionError):
        about = None
    if not isinstance(about, dict):
        raise LadaError(f"{file}: is not a file of this project. Give a folder that it wrote.")
    return about


def check_version(file: Path, version: Any) -> None:
    """Reject other major versions; a newer minor one is read if its kinds are known.

    Raises:
        LadaError: the version cannot be read.
    """
    known = isinstance(version, str) and re.fullmatch(r"(\d{1,9})\.\d{1,9}", version, re.ASCII)
    if not known or known[1] not in READABLE:
        raise LadaError(
            f"{file}: version {version!r:.60} cannot be read, only up to {VERSION}. "
            "Install the version of lada that wrote it."
        )


def filled(mask: Tensor | None, values: Tensor) -> Tensor:
    """A mask as layers hold it: all ones where no entry is pruned."""
    return torch.ones_like(values, dtype=torch.bool) if mask is None else mask
