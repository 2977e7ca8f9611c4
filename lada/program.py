"""How this program was started, how it is started again, and where its conf/ is."""

import os
import sys
from pathlib import Path

PROGRAM = "LADA_PROGRAM"
"""Environment variable: the program as typed, for the processes that this one starts."""
GROUP = "LADA_SWEEP"
"""Environment variable: the name of the sweep, or the search, that a run is part of."""
_PACKAGE = Path(__file__).parent


def conf_folder() -> Path:
    """The folder conf/: inside an installed package, next to the package in a checkout."""
    inside = _PACKAGE / "conf"
    return inside if inside.is_dir() else _PACKAGE.parent / "conf"


def typed() -> str:
    """The program as typed: ``python train.py`` or ``lada compress``.

    In a job of a sweep and in a process of ``trainer=ddp``: the program that started all of them.
    """
    script = Path(sys.argv[0]).name == "train.py"
    return os.environ.get(PROGRAM) or ("python train.py" if script else "lada compress")


def again(command: str = "compress") -> list[str]:
    """The start of a command line that runs ``lada compress``, or another, in another process.

    It is like ``python -m lada compress``, but imports this very lada: ``-m`` would take any lada/
    of the working directory first, and would not find one that is not installed.
    """
    return [sys.executable, "-P", str(_PACKAGE / "__main__.py"), command]
