"""Reading of untrusted files: only regular ones of a bounded size.

Writing of files: checks of the target, and permissions by the umask.
"""

import argparse
import json
import os
import secrets
import stat
from pathlib import Path
from typing import Any

from lada.errors import LadaError

CONFIG_BYTES = 16 * 2**20
"""Limit of a config.json: enough for the names of a hundred thousand classes."""
TOKENIZER_BYTES = 128 * 2**20
"""Limit of a tokenizer file: several times the largest published vocabularies."""


def check_regular(path: Path, limit: int | None = None) -> None:
    """Reject a file that is not regular (a pipe or a device may never end) or is too large.

    Args:
        path: the file; links are followed.
        limit: most bytes that it may have; None for any number.

    Raises:
        OSError: it does not exist or cannot be accessed.
        LadaError: it is not a regular file, or is larger than ``limit``.
    """
    _check(path, path.stat(), limit)


def read_regular(path: Path, limit: int) -> bytes:
    """The bytes of a regular file of at most ``limit`` bytes.

    Raises:
        OSError: it does not exist or cannot be read.
        LadaError: it is not a regular file, or is larger than ``limit``.
    """
    check_regular(path, limit)  # before opening: opening a device may have side effects
    # If it was replaced by a pipe since: opening that for reading would wait for a writer.
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    with os.fdopen(descriptor, "rb") as file:
        _check(path, os.fstat(descriptor), limit)
        data = file.read(limit + 1)
    if len(data) > limit:  # it grows, or its file system gives no sizes
        raise LadaError(_too_large(path, limit))
    return data


def read_text(path: Path, limit: int = CONFIG_BYTES) -> str:
    """The text of a regular file of at most ``limit`` bytes, in UTF-8.

    Raises:
        OSError: it does not exist or cannot be read.
        ValueError: it is not UTF-8.
        LadaError: it is not a regular file, or is larger than ``limit``.
    """
    return read_regular(path, limit).decode()


def read_json(path: Path, limit: int = CONFIG_BYTES) -> Any:
    """The value of a JSON file of at most ``limit`` bytes; NaN and infinity are not JSON.

    Raises:
        OSError: it does not exist or cannot be read.
        ValueError: it is not UTF-8, not JSON, or nested too deeply.
        LadaError: it is not a regular file, or is larger than ``limit``.
    """
    return parse_json(read_text(path, limit))


def parse_json(text: str) -> Any:
    """The value of a JSON text; NaN and infinity are not JSON.

    Raises:
        ValueError: it is not JSON, or nested too deeply.
    """
    try:
        return json.loads(text, parse_constant=_finite, parse_float=_finite)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _finite(text: str) -> float:
    value = float(text)
    if value - value != 0.0:
        raise ValueError(f"{text[:20]} is NaN or infinite")
    return value


def check_writable_target(path: Path, key: str) -> Path:
    """Reject a target that cannot be written or must not be replaced, before the work starts.

    Args:
        path: a regular file, which will be replaced, or a new path in an existing folder.
        key: its name in messages, such as ``--out`` or ``paths.cache``.

    Returns:
        The path with its links followed: the link stays, the file that it points to is replaced.

    Raises:
        LadaError: it is a folder, a device, a pipe or a socket, or its folder does not exist.
    """
    try:
        target = Path(os.path.realpath(path))
        try:
            mode = target.stat().st_mode
        except FileNotFoundError:
            if not target.parent.is_dir():
                raise LadaError(
                    f"{key} {path}: {target.parent} is not a folder. Make it, or give another path."
                ) from None
            return target
        if not stat.S_ISREG(mode):
            raise LadaError(f"{key} {path}: is {_kind(mode)}. Give a regular file or a new path.")
    except (OSError, ValueError) as error:  # the latter for a zero byte
        reason = getattr(error, "strerror", None) or error
        raise LadaError(f"{key} {path}: cannot be written ({reason}). Give another path.") from None
    return target


def write_text(path: Path, text: str) -> None:
    """Write a file atomically.

    Raises:
        OSError: it cannot be written.
    """
    temporary = temporary_file(path)
    try:
        temporary.write_text(text, encoding="utf-8")
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def output_file(text: str) -> Path:
    """A file that a script will write, as the ``type`` of an option of argparse.

    Raises:
        argparse.ArgumentTypeError: as `check_writable_target`.
    """
    try:
        check_writable_target(Path(text), "output")
    except LadaError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return Path(text)


def temporary_file(path: Path) -> Path:
    """Make an empty file in the folder of ``path``, to be renamed to it when it is complete.

    Unlike those of `tempfile` it has the permissions set by the umask (or the folder).

    Raises:
        OSError: the folder cannot be written.
    """
    temporary = _beside(path)
    os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    return temporary


def temporary_folder(path: Path) -> Path:
    """Make an empty folder in the folder of ``path``, as `temporary_file`.

    Raises:
        OSError: the folder cannot be written.
    """
    temporary = _beside(path)
    temporary.mkdir()
    return temporary


def apply_umask(path: Path) -> None:
    """Give a file, or all files of a folder, the permissions that new files get there.

    For files written by libraries: safetensors makes files that only their owner can read.

    Raises:
        OSError: the folder cannot be written.
    """
    # The umask can only be read by setting it, for all threads: a new file shows it.
    probe = temporary_file(path / "probe" if path.is_dir() else path)
    try:
        mode = stat.S_IMODE(probe.stat().st_mode)
    finally:
        probe.unlink()
    for file in path.rglob("*") if path.is_dir() else [path]:
        if file.is_file() and not file.is_symlink():
            file.chmod(mode)


def _beside(path: Path) -> Path:
    # A part of the name helps whoever finds it; the full name could exceed the limit of names.
    return path.parent / f".{path.name[:40]}-{secrets.token_hex(4)}"


def _check(path: Path, found: os.stat_result, limit: int | None) -> None:
    if not stat.S_ISREG(found.st_mode):
        kind = _kind(found.st_mode)
        raise LadaError(f"{path}: is {kind}, not a regular file. Give a regular file.")
    if limit is not None and found.st_size > limit:
        raise LadaError(_too_large(path, limit))


def _kind(mode: int) -> str:
    return "a folder" if stat.S_ISDIR(mode) else "a device, pipe or socket"


def _too_large(path: Path, limit: int) -> str:
    return f"{path}: is larger than {limit / 2**20:.3g} MiB. Give a smaller file."
