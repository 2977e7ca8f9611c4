"""train.py with a fault from inside, in the student's step 14: broken.py FAULT ARGS..."""

import multiprocessing
import os
import runpy
import signal
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

import torch

from lada.training.modules import StudentModule


def no_number(module: StudentModule) -> None:
    """A weight becomes NaN, and with it loss and gradients."""
    module.model.classifier.bias.data.fill_(float("nan"))


def memory(module: StudentModule) -> None:
    """More memory is requested than there is."""
    torch.empty(1 << 60, dtype=torch.uint8)


def worker(module: StudentModule) -> None:
    """The system kills the process that makes batches."""
    for child in multiprocessing.active_children():
        os.kill(child.pid or 0, signal.SIGKILL)


def ctrl_c(module: StudentModule) -> None:
    """Ctrl-C."""
    signal.raise_signal(signal.SIGINT)


def ctrl_c_twice(module: StudentModule) -> None:
    """Ctrl-C, and again at once."""
    ctrl_c(module)
    ctrl_c(module)


def sigterm(module: StudentModule) -> None:
    """The signal that a scheduler sends before preemption."""
    signal.raise_signal(signal.SIGTERM)


def sigkill(module: StudentModule) -> None:
    """The machine is gone."""
    os.kill(os.getpid(), signal.SIGKILL)


TRAIN = Path(__file__).parents[2] / "train.py"


fault = globals()[sys.argv[1]]
sys.argv = [str(TRAIN), *sys.argv[2:]]
original = StudentModule.training_step
fired: list[int] = []


def training_step(self: StudentModule, *rest: Any) -> Any:
    if self.global_step == 14 and not fired:
        fired.append(14)
        fault(self)
    return original(self, *rest)


StudentModule.training_step = training_step  # type: ignore[method-assign]
runpy.run_path(sys.argv[0], run_name="__main__")
