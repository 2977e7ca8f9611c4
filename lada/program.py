"""How this program was started, how it is started again, and where its conf/ is."""

import os
import sys
from pathlib import Path

PROGRAM = "LADA_PROGRAM"
"""Environment variable: what was typed, for the processes that this one starts."""
_PACKAGE = Path(__file__).parent


def conf_folder() -> Path:
    """Where conf/ is: inside the package where that is installed, beside it in a checkout."""
    inside = _PACKAGE / "conf"
    return inside if inside.is_dir() else _PACKAGE.parent / "conf"


def typed() -> str:
    """What was typed before the overrides: ``python train.py`` or ``lada compress``.

    In a job of a sweep and in a process of ``trainer=ddp``: what started all of them.
    """
    script = Path(sys.argv[0]).name == "train.py"
    return os.environ.get(PROGRAM) or ("python train.py" if script else "lada compress")


def again() -> list[str]:
    """The start of a command line that does ``lada compress`` in another process.

    It is ``python -m lada compress``, but for where Python looks for lada: ``-m`` would take any
    lada/ of the working directory first, and would not find one that is not installed.
    """
    return [sys.executable, "-P", str(_PACKAGE / "__main__.py"), "compress"]
