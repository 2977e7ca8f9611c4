"""Run train.py and kill it: ``python killed.py PHASE STEP SIGNAL ARGS...``, at a batch of a step.

PHASE is "teacher", "student", "outputs" (of the teacher, when part STEP is written) or
"artifact" (when it is being written); the batch is the last of optimizer step STEP, before anything
that other hooks do at its end.
"""

import os
import runpy
import signal
import sys
from typing import Any

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from helpers import ROOT

import lada.artifact
from lada.data import outputs
from lada.training import modules

phase, step, signum = sys.argv[1], int(sys.argv[2]), getattr(signal, sys.argv[3])
sys.argv = [str(ROOT / "train.py"), *sys.argv[4:]]


def kill(*args: Any, **kwargs: Any) -> None:
    # A scheduler signals all processes of a job, those that make batches too.
    (os.kill if signum == signal.SIGKILL else os.killpg)(os.getpid(), signum)


if phase == "artifact":
    lada.artifact.measure = kill  # type: ignore[assignment]
elif phase == "outputs":
    write = outputs._write
    written: list[Any] = []

    def write_or_die(*args: Any) -> None:
        written.append(None)
        if len(written) > step:
            kill()
        write(*args)

    outputs._write = write_or_die
else:
    kind = modules.TeacherModule if phase == "teacher" else modules.StudentModule
    original = kind.training_step
    killed: list[int] = []

    def training_step(self: Any, batch: Any, index: int) -> Any:
        if self.global_step == step and not killed:
            killed.append(step)
            kill()
        return original(self, batch, index)

    kind.training_step = training_step  # type: ignore[method-assign]
runpy.run_path(sys.argv[0], run_name="__main__")
