"""Injects faults into a small run and records its last line of output.

    python experiments/reliability/faults.py --out faults.json

Then the same command is given again, and its result is compared with that of an undisturbed run.
"""

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from filelock import FileLock

from lada.files import output_file
from lada.overrides import override

HERE = Path(__file__).parent
TRAIN = HERE.parents[1] / "train.py"


class Ground:
    """A small run with all its outputs in one folder."""

    def __init__(self, folder: Path):
        self.folder = folder
        folder.mkdir()
        self.train, self.dev = folder / "train.csv", folder / "dev.csv"
        for file, rows, first in ((self.train, 320, 0), (self.dev, 80, 1000)):
            words = ("lovely", "great"), ("awful", "poor")
            lines = [f"the old {words[i % 2][i // 2 % 2]} {first + i},{i % 2}" for i in range(rows)]
            file.write_text("\n".join(["text,label", *lines]) + "\n", encoding="utf-8")
        self.args = [
            "model=tiny", "task=csv", override("task.train_file", str(self.train)),
            override("task.dev_file", str(self.dev)),
            "task.max_length=32", "target=5x", "teacher.lr=2e-3", "teacher.epochs=4",
            "optim.lr=1e-3", "optim.epochs=3", "schedule.rounds=4", "trainer.precision=fp32",
            "callbacks=quiet", "callbacks.checkpoint_minutes=0",
            *(override(f"paths.{x}", f"{folder}/{x}") for x in ("outputs", "teachers", "cache")),
        ]  # fmt: skip

    def run(
        self, *more: str, fault: str | None = None, limit: int | None = None
    ) -> subprocess.CompletedProcess[str]:
        start = [str(TRAIN)] if fault is None else [str(HERE / "broken.py"), fault]
        before = None
        if limit is not None:
            before = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))  # noqa: E731
        return subprocess.run(
            [sys.executable, *start, *self.args, *more],
            capture_output=True,
            text=True,
            check=False,
            preexec_fn=before,
        )

    def checkpoints(self) -> list[Path]:
        return sorted(self.folder.rglob("checkpoints/step-*.ckpt"))

    def end(self) -> bytes | None:
        """The newest finished run's file."""
        found = sorted(self.folder.rglob("results.json"), key=lambda p: p.stat().st_mtime)
        return (found[-1].parent / "artifact/model.safetensors").read_bytes() if found else None


Fault = Callable[[Ground], subprocess.CompletedProcess[str]]


def flip(file: Path, at: int) -> None:
    content = bytearray(file.read_bytes())
    content[at] ^= 1
    file.write_bytes(content)


def cut(g: Ground) -> None:
    g.run(fault="sigkill")


def torn(g: Ground) -> subprocess.CompletedProcess[str]:
    cut(g)
    last = g.checkpoints()[-1]
    last.write_bytes(last.read_bytes()[:1000])
    return g.run()


def replaced(g: Ground) -> subprocess.CompletedProcess[str]:
    cut(g)
    before = g.train.read_text(encoding="utf-8")
    g.train.write_text(before.replace("the old", "an old", 5), encoding="utf-8")
    done = g.run()
    g.train.write_text(before, encoding="utf-8")
    return done


def other(g: Ground) -> subprocess.CompletedProcess[str]:
    cut(g)
    return g.run("target=7.5x", f"resume={g.checkpoints()[-1]}")


def tokens(g: Ground) -> subprocess.CompletedProcess[str]:
    g.run()
    for file in (g.folder / "cache").iterdir():
        flip(file, -200)
    return g.run()


def teacher(g: Ground) -> subprocess.CompletedProcess[str]:
    g.run()
    (weights,) = (g.folder / "teachers").rglob("model.safetensors")
    flip(weights, weights.stat().st_size // 2)
    return g.run()


def closed(g: Ground) -> subprocess.CompletedProcess[str]:
    # A file where the folder should be: permissions do not stop every user.
    (g.folder / "outputs").write_text("", encoding="utf-8")
    done = g.run()
    (g.folder / "outputs").unlink()
    return done


def shared(g: Ground) -> subprocess.CompletedProcess[str]:
    place = g.folder / "outputs/mine"
    place.mkdir(parents=True)
    with FileLock(place / ".lock"):
        return g.run(f"hydra.run.dir={place}")


def disk(g: Ground) -> subprocess.CompletedProcess[str]:
    place = g.folder / "outputs"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(place)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        raise SystemExit("this user may not mount a disk; run it as one who may")
    done = g.run()
    subprocess.run([*mount[:4], "remount,size=100m", *mount[5:]], check=True)
    return done


FAULTS: dict[str, tuple[int, Fault]] = {
    "SIGKILL in the middle of a round": (-9, lambda g: g.run(fault="sigkill")),
    "SIGTERM": (143, lambda g: g.run(fault="sigterm")),
    "Ctrl-C": (130, lambda g: g.run(fault="ctrl_c")),
    "Ctrl-C twice": (130, lambda g: g.run(fault="ctrl_c_twice")),
    "a data worker is killed": (2, lambda g: g.run("data.workers=1", fault="worker")),
    "out of memory": (2, lambda g: g.run(fault="memory")),
    "loss and gradients are NaN, fp32": (2, lambda g: g.run(fault="no_number")),
    "no file may grow past 60 kB": (2, lambda g: g.run(limit=60_000)),
    "a disk of 3 MB is full": (2, disk),
    "the output folder cannot be made": (2, closed),
    "the last checkpoint is cut short": (0, torn),
    "a checkpoint of another target is given": (2, other),
    "the data file is replaced": (2, replaced),
    "a bit flips in the token cache": (0, tokens),
    "a bit flips in the kept teacher": (0, teacher),
    "two runs in one folder": (2, shared),
}
"""The faults, each with its correct exit code."""


def said(done: subprocess.CompletedProcess[str], folder: Path) -> str:
    """The last line of output of the run, without paths of this machine."""
    lines = (done.stderr.strip() or "(nothing)").splitlines()
    return lines[-1].replace(str(folder), "RUN").replace(str(folder.parent), "WORK")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=output_file, help="write the table here, as JSON")
    args = parser.parse_args()
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as work:
        whole = Ground(Path(work) / "whole")
        first = whole.run()
        if first.returncode:
            raise SystemExit(f"the undisturbed run failed: {first.stderr[-2000:]}")
        for number, (name, (code, fault)) in enumerate(FAULTS.items()):
            ground = Ground(Path(work) / str(number))
            done = fault(ground)
            again = ground.run()
            equal = again.returncode == 0 and ground.end() == whole.end()
            right = done.returncode == code
            subprocess.run(["umount", str(ground.folder / "outputs")], capture_output=True)
            row = {
                "fault": name,
                "exit": done.returncode,
                "said": said(done, ground.folder),
                "again": again.returncode,
                "equal": equal,
                "as_promised": right and equal,
            }
            rows.append(row)
            verdict = "yes" if right and equal else "NO"
            print(f"| {name} | {done.returncode} | {row['said']} | {verdict} |", flush=True)
    if args.out is not None:
        args.out.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
    sys.exit(0 if all(row["as_promised"] for row in rows) else 1)


if __name__ == "__main__":
    main()
