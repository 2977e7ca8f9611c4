"""What runs that are stopped and resumed are compared by."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from helpers import Result, record_of, run_in

from lada.training.modules import StudentModule

SAME = ("seed", "data", "target", "reached", "plan", "steps")


def outcome(folder: Path) -> tuple[bytes, str, dict[str, Any]]:
    """What must not depend on what happened on the way: the artifact, the curves, the scores."""
    run = run_in(folder)
    record = record_of(folder)
    kept = {name: record[name] for name in SAME}
    kept["scores"] = record["teacher"]["scores"], record["artifact"]
    weights = (run / "artifact/model.safetensors").read_bytes()
    return weights, (run / "metrics.csv").read_text(), kept


def under(folder: Path, args: list[str]) -> list[str]:
    """The same run with all it writes in ``folder``."""
    places = {"outputs": "out", "teachers": "teachers", "cache": "cache"}
    return [*args, *(f"paths.{name}={folder}/{place}" for name, place in places.items())]


@contextmanager
def ctrl_c(module: type[Any], step: int) -> Iterator[None]:
    """Ctrl-C in the step after ``step`` optimizer steps, once."""
    original = module.training_step
    fired = []

    def interrupt(self: Any, *rest: Any) -> Any:
        if self.global_step == step and not fired:
            fired.append(step)
            signal.raise_signal(signal.SIGINT)
        return original(self, *rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "training_step", interrupt)
        yield


def check_resumed(
    train_py: Callable[..., Result],
    args: list[str],
    folder: Path,
    step: int = 14,
    stopped: Callable[[], None] = lambda: None,
) -> None:
    """Do a run at once, in ``folder/whole``, and stopped and resumed, in ``folder/cut``: both end
    bit-equal.

    Args:
        step: of the student's training, after which the second is stopped.
        stopped: called between.
    """
    done = train_py(*under(folder / "whole", args))
    assert done.code == 0, done.err
    args = under(folder / "cut", args)
    with ctrl_c(StudentModule, step):
        assert train_py(*args).code == 130
    stopped()
    done = train_py(*args)
    assert done.code == 0, done.err
    assert record_of(folder / "cut")["resumed"]
    assert outcome(folder / "cut") == outcome(folder / "whole")
