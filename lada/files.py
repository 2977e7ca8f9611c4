"""Reading files that may come from strangers: regular ones only, of a bounded size."""

import os
import stat
from pathlib import Path

from lada.errors import LadaError

CONFIG_BYTES = 16 * 2**20
"""Of a config.json: enough for the names of a hundred thousand classes."""
TOKENIZER_BYTES = 128 * 2**20
"""Of a tokenizer file: several times the largest vocabularies that are published."""


def check_regular(path: Path, limit: int | None = None) -> None:
    """Reject what is no regular file (a pipe or a device may block or never end) or is too large.

    Args:
        path: the file; links are followed.
        limit: most bytes that it may have; None for any number.

    Raises:
        OSError: it does not exist or cannot be looked at.
        LadaError: it is not a regular file, or is larger than ``limit``.
    """
    _check(path, path.stat(), limit)


def read_regular(path: Path, limit: int) -> bytes:
    """The bytes of a regular file of at most ``limit`` bytes.

    Raises:
        OSError: it does not exist or cannot be read.
        LadaError: it is not a regular file, or is larger than ``limit``.
    """
    check_regular(path, limit)  # before it is opened: opening a device may do something by itself
    # Should it have been replaced since by a pipe: opened for reading, that waits for a writer.
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    with os.fdopen(descriptor, "rb") as file:
        _check(path, os.fstat(descriptor), limit)
        data = file.read(limit + 1)
    if len(data) > limit:  # it grows, or is of a file system that gives no sizes
        raise LadaError(_too_large(path, limit))
    return data


def _check(path: Path, found: os.stat_result, limit: int | None) -> None:
    if not stat.S_ISREG(found.st_mode):
        kind = "a folder" if stat.S_ISDIR(found.st_mode) else "a device, pipe or socket"
        raise LadaError(f"{path}: is {kind}, not a regular file. Give a regular file.")
    if limit is not None and found.st_size > limit:
        raise LadaError(_too_large(path, limit))


def _too_large(path: Path, limit: int) -> str:
    return f"{path}: is larger than {limit / 2**20:.3g} MiB. Give a smaller file."
