"""A run in a process that need not import anything: it is forked from one that has.

For what is killed: no exit of an interpreter is seen here, for that take a subprocess.
"""

import multiprocessing
import os
import signal
from multiprocessing.process import BaseProcess
from pathlib import Path

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["lada.app"])


def _train(args: list[str], kill: tuple[str, int] | None, env: dict[str, str], log: Path) -> None:
    os.environ.clear()
    os.environ.update(env)
    with log.open("wb") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    import killed

    if kill is not None:
        killed.kill_at(*kill, signal.SIGKILL)
    killed.train(args)


def start(args: list[str], log: Path, kill: tuple[str, int] | None = None) -> BaseProcess:
    """``python train.py ARGS``, which writes to ``log``; killed at (phase, step), see killed.py."""
    process = _CONTEXT.Process(target=_train, args=(args, kill, dict(os.environ), log))
    process.start()
    return process
