"""Ctrl-C and SIGTERM during a training: the step is finished and a checkpoint saved."""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from lada.training.failures import another_failed


class Stopped(Exception):
    """A training was stopped by a signal, and has saved a checkpoint.

    Attributes:
        signum: the number of the signal.
    """

    def __init__(self, signum: int):
        super().__init__(signal.Signals(signum).name)
        self.signum = signum


class StopSignals:
    """Records SIGINT and SIGTERM. A second SIGINT interrupts at once."""

    def __init__(self) -> None:
        self.received = 0
        """Number of the signal; 0 for none."""
        self._before: dict[int, Any] = {}

    def listen(self) -> None:
        """Install handlers for both signals; only in the main thread, as Python requires."""
        if threading.current_thread() is not threading.main_thread():
            return
        for signum in (signal.SIGINT, signal.SIGTERM):
            self._before[signum] = signal.signal(signum, self._note)

    def leave(self) -> None:
        """Restore the handlers from before."""
        for signum, handler in self._before.items():
            signal.signal(signum, handler)
        self._before = {}

    def _note(self, signum: int, frame: FrameType | None) -> None:
        if signum == signal.SIGINT and self.received:
            raise KeyboardInterrupt
        self.received = self.received or signum
        print(
            "stopping after this step, with a checkpoint (press Ctrl-C again to stop at once)",
            file=sys.stderr,
            flush=True,
        )


@contextmanager
def terminable() -> Iterator[None]:
    """SIGTERM outside a training exits with code 143 and runs all finally blocks."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def leave(signum: int, frame: FrameType | None) -> None:
        name = signal.Signals(signum).name
        if not another_failed():  # else the launcher stops this process, and reports the error
            print(f"stopped by {name}; the same command resumes", file=sys.stderr, flush=True)
        sys.exit(128 + signum)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
