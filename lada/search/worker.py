"""A worker: does trials until there are none left, each as a process of its own."""

import ctypes
import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lada.overrides import override
from lada.program import GROUP, again
from lada.report.curve import read_curve
from lada.run.runs import RESULTS, is_done
from lada.search.attempts import drop_others, newest_step, prepared
from lada.search.ledger import Ledger, Taken
from lada.search.settings import SearchSettings
from lada.search.space import Space
from lada.training.failures import last_line

LOG = "log.txt"
TRIES = 3
"""How often a run is started that is killed while its worker lives."""
STOPPING = 60.0
"""Seconds in which a run may finish its step and write a checkpoint before it is killed."""
KILLED = (128 + signal.SIGINT, 128 + signal.SIGTERM, 128 + signal.SIGKILL)

Command = Callable[[list[str], Path], list[str]]
"""The process that does the run of some words in a folder."""


def compress_command(words: list[str], folder: Path) -> list[str]:
    """``lada compress`` in another process."""
    return [*again(), *words, override("hydra.run.dir", str(folder))]


def proxy_command(words: list[str], folder: Path) -> list[str]:
    """``lada proxy`` in another process."""
    return [*again("proxy"), *words, override("hydra.run.dir", str(folder))]


class _Lost(Exception):
    """Another worker has the trial."""


class _Halved(Exception):
    """Halving has stopped the trial."""


@dataclass(frozen=True)
class Worker:
    """One of the workers of a search.

    Attributes:
        home: the working directory of the runs, which relative paths refer to.
        trials: the folder of the trials.
        poll: seconds between two looks at a run, and at the search where there is nothing to do.
        say: where a line for each trial goes.
    """

    ledger: Ledger
    search: SearchSettings
    space: Space
    home: Path
    trials: Path
    command: Command = compress_command
    poll: float = 1.0
    say: Callable[[str], None] = print

    def work(self) -> None:
        """Do trials until all of the search are finished, whoever does them."""
        waits = False
        while True:
            taken = self.ledger.take()
            if taken is not None:
                waits = False
                self._do(taken)
            elif self.ledger.finished():
                return
            else:
                if not waits:
                    self.say("all trials are started; waiting for other workers")
                waits = True
                time.sleep(self.poll)

    def _do(self, taken: Taken) -> None:
        """Do one trial, or give it up; if this worker is stopped, another may have it at once."""
        own = self.space.values_of(taken.params, taken.number)
        shown = ", ".join(f"{key}={value}" for key, value in own.items())
        again = f", attempt {taken.attempt}" if taken.attempt > 1 else ""
        self.say(f"trial {taken.number}{again}: {shown}")
        try:
            ended = self._run(taken)
        except _Lost:
            ended = None
        except BaseException:
            self.ledger.release(taken)
            raise
        if ended is None:
            self.say(f"trial {taken.number}: another worker has taken it over")
        else:
            self.say(f"trial {taken.number} {ended}")

    def _run(self, taken: Taken) -> str | None:
        """Run a trial to its end and tell it; how it ended, or None if another worker has it."""
        folder = prepared(self.trials, taken.number, taken.attempt)
        about: dict[str, Any] = {
            "folder": str(folder.relative_to(self.trials.parent)),
            "words": self.space.words_of(taken.params, taken.number),
        }
        try:
            error = None if is_done(folder) else self._processes(taken, folder)
            if error is None:
                self._climb(taken, folder)
        except _Halved:
            told = self.ledger.tell(taken, None, about=about)
            return "was stopped by halving" if told else None
        if error is not None:
            told = self.ledger.tell(taken, None, error=error, about=about)
            return f"failed: {error}" if told else None
        record = json.loads((folder / RESULTS).read_text(encoding="utf-8"))
        measured = measures(record)
        about |= {"measured": measured, "fractions": record["plan"]["fractions"]}
        values = [measured[goal] for goal in self.search.goals]
        if any(math.isnan(value) for value in values):
            error = "its score is not a number"
            told = self.ledger.tell(taken, None, error=error, about=about)
            return f"failed: {error}" if told else None
        if not self.ledger.tell(taken, values, about=about):
            return None
        drop_others(folder)
        size = f", {measured['bytes'] / 1e6:.2f} MB" if "bytes" in measured else ""
        return f"ended: score {measured['score']:.4g}{size}"

    def _processes(self, taken: Taken, folder: Path) -> str | None:
        """Run the process of a trial, again if it is killed; the line with which it failed."""
        command = self.command(self.space.words_of(taken.params, taken.number), folder)
        code = 0
        for _ in range(TRIES):
            code = self._process(taken, folder, command)
            if code >= 0 and code not in KILLED:
                break
        if code == 0:
            return None
        return (
            last_line(folder / LOG).removeprefix("error: ")
            if code > 0
            else f"killed by signal {-code}"
        )

    def _process(self, taken: Taken, folder: Path, command: list[str]) -> int:
        with (folder / LOG).open("a", encoding="utf-8") as out:
            child = subprocess.Popen(
                command,
                cwd=self.home,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env=os.environ | {GROUP: self.trials.parent.name},
                preexec_fn=_dies_with(os.getpid()),
            )
            renewed = time.monotonic()
            until = renewed + self.search.lease
            climbed = 0
            try:
                while True:
                    try:
                        return child.wait(self.poll)
                    except subprocess.TimeoutExpired:
                        pass
                    now = time.monotonic()
                    if now - renewed > self.search.lease / 4:
                        if self._renewed(taken, now < until):
                            renewed, until = now, now + self.search.lease
                        else:
                            raise _Lost
                    climbed = self._climb(taken, folder, climbed)
            except BaseException as stop:
                if not isinstance(stop, KeyboardInterrupt):  # Ctrl-C has reached the child itself
                    child.terminate()
                try:
                    child.wait(STOPPING)
                except subprocess.TimeoutExpired:
                    child.kill()
                    child.wait()
                raise

    def _renewed(self, taken: Taken, may_wait: bool) -> bool:
        try:
            return self.ledger.keep(taken)
        except OSError:  # the folder cannot be reached: nobody has taken it over until then
            return may_wait

    def _climb(self, taken: Taken, folder: Path, climbed: int = 0) -> int:
        """Tell the scores at the steps of halving that a trial has come to.

        Args:
            climbed: how many of them were told before.

        Returns:
            How many are told now.

        Raises:
            _Halved: it does not continue.
            _Lost: another worker has it.
        """
        if climbed == len(self.search.rungs):
            return climbed
        # A check is complete when the checkpoint that follows it is there.
        last = math.inf if is_done(folder) else newest_step(folder) or 0
        checks = [check for check in read_curve(folder) if check["step"] <= last]
        for rung in self.search.rungs[climbed:]:
            reached = next((check for check in checks if check["step"] >= rung), None)
            if reached is None:
                break
            onward = self.ledger.climb(taken, rung, float(reached["validation"]))
            if onward is None:
                raise _Lost
            if not onward:
                raise _Halved
            climbed += 1
        return climbed


def measures(record: dict[str, Any]) -> dict[str, float]:
    """What a finished run has of each objective, from its record; a proxy has a score alone."""
    if "proxy" in record:
        return {"score": -float(record["proxy"])}
    made = record["artifact"]
    return {
        "score": float(made["validation_score"]),
        "bytes": float(made["stored_bytes"]),
        "ms": float(record["speed"]["artifact"]),
    }


def _dies_with(parent: int) -> Callable[[], None] | None:
    """What makes a new process end with the one that started it, where Linux can do that.

    Otherwise the run of a worker that is killed goes on to its end, in a folder that nobody reads.
    """
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)  # before the fork

    def bind() -> None:
        libc.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
        if os.getppid() != parent:  # it has died already
            os._exit(1)

    return bind
