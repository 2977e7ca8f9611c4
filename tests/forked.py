"""A script run in a process that need not import anything: it is forked from one that has.

Its end is not that of an interpreter: what looks at that takes a subprocess.
"""

import gc
import multiprocessing
import os
import runpy
import sys
from multiprocessing.process import BaseProcess
from pathlib import Path

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["lada.run.compress", "lada.run.main"])


def _run(argv: list[str], log: Path, env: dict[str, str]) -> None:
    gc.freeze()  # as conftest.py does
    # Else its own processes, those that make batches, would be begun in this way too.
    multiprocessing.set_start_method(None, force=True)
    os.environ.clear()
    os.environ.update(env)
    with log.open("wb") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    sys.argv = argv
    runpy.run_path(argv[0], run_name="__main__")


def start(script: Path, args: list[str], log: Path, **env: str) -> BaseProcess:
    """``python SCRIPT ARGS``, which writes to ``log``, with ``env`` beside this process's."""
    process = _CONTEXT.Process(target=_run, args=([str(script), *args], log, {**os.environ, **env}))
    process.start()
    return process
