"""A script run in a process that need not import anything: it is forked from one that has.

Its end is not that of an interpreter: what looks at that takes a subprocess.
"""

import gc
import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
from multiprocessing.process import BaseProcess
from pathlib import Path

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["lada.run.compress", "lada.run.main"])


def _run(argv: list[str], out: Path, err: Path, env: dict[str, str]) -> None:
    gc.freeze()  # as conftest.py does
    # Else its own processes, those that make batches, would be begun in this way too.
    multiprocessing.set_start_method(None, force=True)
    os.environ.clear()
    os.environ.update(env)
    for descriptor, path in enumerate((out, err), start=1):
        with path.open("ab") as file:
            os.dup2(file.fileno(), descriptor)
    sys.argv = argv
    runpy.run_path(argv[0], run_name="__main__")


def start(script: Path, args: list[str], log: Path, **env: str) -> BaseProcess:
    """``python SCRIPT ARGS``, which writes to ``log``, with ``env`` beside this process's."""
    return _started(script, args, log, log, env)


def run(script: Path, args: list[str]) -> subprocess.CompletedProcess[str]:
    """``python SCRIPT ARGS`` to its end, as ``subprocess.run`` would."""
    with tempfile.TemporaryDirectory() as folder:
        out, err = Path(folder, "out"), Path(folder, "err")
        process = _started(script, args, out, err, {})
        process.join()
        return subprocess.CompletedProcess(
            args, process.exitcode or 0, out.read_text(), err.read_text()
        )


def _started(
    script: Path, args: list[str], out: Path, err: Path, env: dict[str, str]
) -> BaseProcess:
    given = ([str(script), *args], out, err, {**os.environ, **env})
    process = _CONTEXT.Process(target=_run, args=given)
    process.start()
    return process
