"""A trial of a fraction of a second, in the place of `lada compress`: ``FOLDER SECONDS WORDS...``.

It takes steps, each of which hashes the state before; writes a checkpoint after each, as a run
does; and resumes from the newest one in its folder. Its score is a function of its words. Only the
standard library is imported: a search starts hundreds of them.
"""

import hashlib
import json
import os
import sys
import time
from pathlib import Path

STEPS = 6


def score_of(words: list[str], step: int) -> float:
    """Better with each step, and best near optim.lr=0.001; rounded, as scores are."""
    values = dict(word.split("=", 1) for word in words)
    digits = float(values.get("optim.lr", 0.001))
    return round(step / STEPS - abs(digits - 0.001) * 100, 6)


def write(file: Path, text: str) -> None:
    temporary = file.with_name(f".{file.name}-{os.getpid()}")
    temporary.write_text(text)
    temporary.replace(file)


def main() -> None:
    folder, seconds, words = Path(sys.argv[1]), float(sys.argv[2]), sys.argv[3:]
    checkpoints = folder / "checkpoints"
    checkpoints.mkdir(exist_ok=True)
    write(folder / "run.json", json.dumps({"key": words}))
    kept = sorted(checkpoints.glob("step-*.ckpt"))
    step = int(kept[-1].name.split("-")[1]) if kept else 0
    state = kept[-1].read_text() if kept else " ".join(words)
    curve = folder / "metrics.csv"
    rows = (
        curve.read_text().splitlines()[: step + 1] if kept else ["step,validation/accuracy,ratio"]
    )
    write(curve, "\n".join(rows) + "\n")
    while step < STEPS:
        time.sleep(seconds / STEPS)
        step += 1
        state = hashlib.sha256(f"{step} {state}".encode()).hexdigest()
        with curve.open("a") as file:
            file.write(f"{step - 1},{score_of(words, step)},5.0\n")
        write(checkpoints / f"step-{step:08d}-{state[:16]}.ckpt", state)
    write(folder / "artifact", state)
    record = {
        "artifact": {"validation_score": score_of(words, STEPS), "stored_bytes": len(words)},
        "speed": {"artifact": 1.0},
        "plan": {"fractions": None},
    }
    write(folder / "results.json", json.dumps(record))


if __name__ == "__main__":
    main()
