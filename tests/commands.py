"""Pages of the documentation as programs: their blocks of Python and bash, in order.

A ``lada`` in a block of bash is a small script, which has the command run in a process that is
forked from one with the imports done.
"""

import json
import multiprocessing
import os
import re
import runpy
import socket
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import reduction
from pathlib import Path

BLOCK = re.compile(r"^```(python|bash)(?: exit=(\d+))?\n(.*?)^```", re.DOTALL | re.MULTILINE)
_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["lada.run.compress", "lada.run.main"])

CLIENT = """#!{python} -IS
import json, os, socket, sys
server = socket.socket(socket.AF_UNIX)
server.connect({address!r})
said = json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]).encode()
socket.send_fds(server, [len(said).to_bytes(8, "little")], [0, 1, 2])
server.sendall(said)
sys.exit(int(server.recv(8) or b"1"))
"""


@dataclass(frozen=True)
class Block:
    """A block of a page, and the exit code that a block of bash is to have."""

    language: str
    code: str
    exit: int


def blocks(page: Path) -> list[Block]:
    """The blocks of Python and bash of a page."""
    text = page.read_text(encoding="utf-8")
    return [
        Block(language, textwrap.dedent(code), int(exit_ or 0))
        for language, exit_, code in BLOCK.findall(text)
    ]


def run_page(page: Path, folder: Path, changed: Callable[[list[str]], list[str]]) -> str:
    """Run a page in ``folder``, which is the working directory; what its bash has printed.

    Args:
        changed: from the arguments of each ``lada`` of bash to those that it gets.
    """
    names: dict[str, object] = {"__name__": "__main__"}
    printed = ""
    (folder / "bin").mkdir()
    with _served(folder / "bin", changed):
        for block in blocks(page):
            if block.language == "python":
                code = block.code.replace('"minilm-l6"', '"tiny"')
                exec(compile(code, str(page), "exec"), names)
                continue
            env = os.environ | {"PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"}
            command = ["bash", "-euo", "pipefail", "-c", block.code]
            done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
            printed += done.stdout + done.stderr
            assert done.returncode == block.exit, f"{block.code}\n{done.stdout}{done.stderr}"
    return printed


@contextmanager
def _served(folder: Path, changed: Callable[[list[str]], list[str]]) -> Iterator[None]:
    """A ``lada`` in ``folder``, for as long as the context lasts."""
    address = str(folder / "s")
    script = folder / "lada"
    script.write_text(CLIENT.format(python=sys.executable, address=address))
    script.chmod(0o755)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(address)
        server.listen()
        threading.Thread(target=_serve, args=(server, changed), daemon=True).start()
        yield


def _serve(server: socket.socket, changed: Callable[[list[str]], list[str]]) -> None:
    while True:
        try:
            client, _ = server.accept()
        except OSError:  # it was closed
            return
        with client:
            size, given, _, _ = socket.recv_fds(client, 8, 3)
            said, length = b"", int.from_bytes(size, "little")
            while len(said) < length:
                said += client.recv(length - len(said))
            args, folder, env = json.loads(said)
            code = _code(changed(args), folder, env, given)
            for fd in given:
                os.close(fd)
            client.sendall(str(code).encode())


def _code(args: list[str], folder: str, env: dict[str, str], files: list[int]) -> int | None:
    """Run ``lada ARGS`` with these three files; its exit code."""
    if "-m" in args:  # launchers look at the end of the interpreter, which a forked one has not
        command = [sys.executable, "-m", "lada", *args]
        streams = dict(zip(("stdin", "stdout", "stderr"), files, strict=True))
        return subprocess.run(command, cwd=folder, env=env, check=False, **streams).returncode
    run = _CONTEXT.Process(target=_run, args=(args, folder, env, [_Sent(fd) for fd in files]))
    run.start()
    run.join()
    return run.exitcode


class _Sent:
    """A file descriptor that is sent to a process that is being started."""

    def __init__(self, fd: int):
        self.fd = fd

    def __reduce__(self) -> tuple[Callable[..., int], tuple[object]]:
        return _received, (reduction.DupFd(self.fd),)


def _received(sent: object) -> int:
    return sent.detach()  # type: ignore[attr-defined]


def _run(args: list[str], folder: str, env: dict[str, str], files: list[int]) -> None:
    # Else its own processes, those that make batches, would be begun in this way too.
    multiprocessing.set_start_method(None, force=True)
    for place, file in enumerate(files):
        os.dup2(file, place)
        os.close(file)
    os.environ.clear()
    os.environ.update(env)
    os.chdir(folder)
    sys.argv = ["lada", *args]
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - as a new process has it
    runpy.run_module("lada", run_name="__main__", alter_sys=True)
