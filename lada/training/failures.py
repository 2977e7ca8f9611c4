"""The error message that a failed process of several leaves for its launcher.

It is written to the file that torch's launcher names. Several processes often fail alike, one a
moment before the others, which are then stopped: the user reads the message once.
"""

import json
import os
from pathlib import Path

_VARIABLE = "TORCHELASTIC_ERROR_FILE"  # DIR/attempt_0/RANK/error.json


def leave(line: str) -> None:
    """Leave the error message of this process; does nothing without a launcher."""
    if file := os.environ.get(_VARIABLE):
        Path(file).write_text(json.dumps({"message": line}), encoding="utf-8")


def left_by(rank: int, logs: Path) -> str | None:
    """The message of the process ``rank`` of a launch with its logs under ``logs``, if any."""
    for file in logs.rglob(f"attempt_0/{rank}/error.json"):
        return str(json.loads(file.read_text(encoding="utf-8"))["message"])
    return None


def another_failed() -> bool:
    """Whether another process of the same launch has left a message."""
    own = os.environ.get(_VARIABLE)
    return own is not None and any(Path(own).parent.parent.glob("*/error.json"))


def last_line(file: Path) -> str:
    """The last line of output of a process, which is its error if it failed."""
    lines = file.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1] if lines else "ended without output"
