"""What the runners of experiments share: runs of train.py as processes, several at a time."""

import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from lada.overrides import override

TRAIN = Path(__file__).parents[1] / "train.py"

T = TypeVar("T")
R = TypeVar("R")


def train(words: Sequence[str]) -> str | None:
    """Run ``python train.py`` with these arguments.

    Returns:
        None if it succeeded; else the last line that it wrote, or its exit code.
    """
    command = [sys.executable, str(TRAIN), *words]
    done = subprocess.run(
        command, capture_output=True, encoding="utf-8", errors="backslashreplace", check=False
    )
    if not done.returncode:
        return None
    lines = (done.stderr or done.stdout).strip().splitlines()
    return lines[-1] if lines else str(done.returncode)


def at_once(count: int, do: Callable[[T], R], jobs: Sequence[T]) -> list[R]:
    """The result of each job, ``count`` of them running at a time; Ctrl-C cancels the others."""
    with ThreadPoolExecutor(max(1, count)) as pool:
        try:
            return list(pool.map(do, jobs))
        except KeyboardInterrupt:
            pool.shutdown(cancel_futures=True)  # running ones have received the signal too
            raise


def names(text: str) -> list[str]:
    """The names in a list with commas."""
    return [name for name in text.split(",") if name]


def place(key: str, folder: Path | None) -> list[str]:
    """The override of a path by a folder, if one is given."""
    return [override(key, str(folder.absolute()))] if folder else []
