"""What a failed process of several leaves for its launcher, where torch's has each leave it.

Several processes often fail alike, one a moment before the others, which are then stopped:
the user reads what was wrong once.
"""

import json
import os
from pathlib import Path

_VARIABLE = "TORCHELASTIC_ERROR_FILE"  # DIR/attempt_0/RANK/error.json


def leave(line: str) -> None:
    """Leave what is wrong with this process; alone, there is nobody to leave it to."""
    if file := os.environ.get(_VARIABLE):
        Path(file).write_text(json.dumps({"message": line}), encoding="utf-8")


def left_by(rank: int, logs: Path) -> str | None:
    """What the process ``rank`` of a launch with its logs under ``logs`` left."""
    for file in logs.rglob(f"attempt_0/{rank}/error.json"):
        return str(json.loads(file.read_text(encoding="utf-8"))["message"])
    return None


def another_failed() -> bool:
    """Whether another process beside this one has left something."""
    own = os.environ.get(_VARIABLE)
    return own is not None and any(Path(own).parent.parent.glob("*/error.json"))


def last_line(file: Path) -> str:
    """What a process said last, which is what is wrong if it failed."""
    lines = file.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1] if lines else "ended without a word"
