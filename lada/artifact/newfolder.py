"""A new folder that is written atomically."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from lada.errors import LadaError
from lada.files import apply_umask, temporary_folder


def check_new_folder(folder: Path) -> None:
    """Reject a path that exists already, also a dangling link, before the work starts.

    Raises:
        LadaError: it exists, or its name is not valid.
    """
    try:
        found = os.path.lexists(folder)
    except ValueError as error:  # a zero byte
        raise LadaError(
            f"{str(folder)!r}: cannot be written ({error}). Give another folder."
        ) from None
    if found:
        raise LadaError(f"{folder}: exists already. Give another folder.")


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """A temporary folder next to ``folder``, renamed to it when the block succeeds.

    Raises:
        LadaError: ``folder`` exists or cannot be written.
    """
    check_new_folder(folder)
    temporary = None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = temporary_folder(folder)
        yield temporary
        apply_umask(temporary)
        os.replace(temporary, folder)
    except (OSError, SafetensorError) as error:  # the latter wraps errors of the system
        reason = getattr(error, "strerror", None) or error
        raise LadaError(f"{folder}: cannot be written ({reason}). Give another folder.") from None
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)
