"""A folder that appears whole or not at all."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from lada.errors import LadaError
from lada.files import apply_umask, temporary_folder


def check_new_folder(folder: Path) -> None:
    """Reject what exists already, also a link to nowhere, before the work that it waits for.

    Raises:
        LadaError: it exists, or its name cannot be looked up.
    """
    try:
        found = os.path.lexists(folder)
    except ValueError as error:  # a zero byte
        raise LadaError(f"{str(folder)!r}: cannot be written ({error})") from None
    if found:
        raise LadaError(f"{folder}: exists already; give another folder")


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """A temporary folder beside ``folder``, which takes its name when the block ends well.

    Raises:
        LadaError: ``folder`` exists, or something could not be written.
    """
    check_new_folder(folder)
    temporary = None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = temporary_folder(folder)
        yield temporary
        apply_umask(temporary)
        os.replace(temporary, folder)
    except (OSError, SafetensorError) as error:  # the latter whatever the system said
        reason = getattr(error, "strerror", None) or error
        raise LadaError(f"{folder}: cannot be written ({reason})") from None
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)
