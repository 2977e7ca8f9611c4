"""Ctrl-C and SIGTERM during a training: the step is finished, a checkpoint is kept."""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from lada.training.failures import another_failed


class Stopped(Exception):
    """A training was told to stop, and has kept a checkpoint.

    Attributes:
        signum: the signal that told it.
    """

    def __init__(self, signum: int):
        super().__init__(signal.Signals(signum).name)
        self.signum = signum


class StopSignals:
    """Notes SIGINT and SIGTERM. A second SIGINT interrupts at once."""

    def __init__(self) -> None:
        self.received = 0
        """Number of the signal; 0 for none."""
        self._before: dict[int, Any] = {}

    def listen(self) -> None:
        """Take both signals over; in the main thread alone, where Python allows it."""
        if threading.current_thread() is not threading.main_thread():
            return
        for signum in (signal.SIGINT, signal.SIGTERM):
            self._before[signum] = signal.signal(signum, self._note)

    def leave(self) -> None:
        """Give both signals back."""
        for signum, handler in self._before.items():
            signal.signal(signum, handler)
        self._before = {}

    def _note(self, signum: int, frame: FrameType | None) -> None:
        if signum == signal.SIGINT and self.received:
            raise KeyboardInterrupt
        self.received = self.received or signum
        print(
            "stopping after this step, with a checkpoint (Ctrl-C again: at once)",
            file=sys.stderr,
            flush=True,
        )


@contextmanager
def terminable() -> Iterator[None]:
    """SIGTERM outside a training ends the process with code 143, by way of all finally blocks."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def leave(signum: int, frame: FrameType | None) -> None:
        name = signal.Signals(signum).name
        if not another_failed():  # its launcher stops this one, and says why
            print(f"stopped by {name}; the same command goes on", file=sys.stderr, flush=True)
        sys.exit(128 + signum)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
