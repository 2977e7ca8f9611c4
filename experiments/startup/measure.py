"""Seconds until a command that compresses nothing has ended, and its seconds of CPU time.

    git worktree add BEFORE COMMIT
    python experiments/startup/measure.py --before BEFORE

Every command is a new process. In each round all commands take turns, in a new order, those of the
checkout before too, and ``import torch`` with them: whatever else the machine does meets all alike.
One round that is not counted fills the page cache and writes the compiled modules.
"""

import argparse
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

from lada.report.record import PACKAGES, machine, write_json

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
TORCH = 'python -c "import torch"'
COMMANDS: dict[str, tuple[list[str], int]] = {
    'python -c "import lada"': (["-c", "import lada"], 0),
    "lada --help": (["-m", "lada", "--help"], 0),
    "lada compress --help": (["-m", "lada", "compress", "--help"], 0),
    "python train.py --help": (["train.py", "--help"], 0),
    "python train.py --cfg job": (["train.py", "--cfg", "job"], 0),
    "python train.py optim.lr=-1": (["train.py", "optim.lr=-1"], 2),
    "python train.py optim.lrr=1": (["train.py", "optim.lrr=1"], 2),
    "python train.py method=nothing": (["train.py", "method=nothing"], 2),
}
"""What is typed -> the arguments of Python, and the exit code."""


def cpu_of_children() -> float:
    """Seconds of CPU time, of user and system, that ended processes of this one have taken."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def seconds(arguments: list[str], checkout: Path, code: int) -> tuple[float, float]:
    """The time of one process, and its CPU time; an error if it ends otherwise than it should."""
    if arguments[0] == "train.py":
        arguments = [str(checkout / "train.py"), *arguments[1:]]
    env = os.environ | {"PYTHONPATH": str(checkout)}
    with tempfile.TemporaryDirectory() as folder:
        began, cpu = time.perf_counter(), cpu_of_children()
        done = subprocess.run(
            [sys.executable, *arguments], cwd=folder, env=env, capture_output=True, text=True
        )
        took = time.perf_counter() - began, cpu_of_children() - cpu
    if done.returncode != code:
        raise SystemExit(f"{arguments}: exit code {done.returncode}, not {code}\n{done.stderr}")
    return took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--before", type=Path, help="a checkout to compare with")
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args()
    checkouts = {"now": ROOT} | ({"before": args.before.absolute()} if args.before else {})
    found: dict[str, dict[str, list[tuple[float, ...]]]] = {"now": {TORCH: []}}
    cases = [("now", TORCH, ["-c", "import torch"], 0)]
    for which in checkouts:
        for name, (arguments, code) in COMMANDS.items():
            found.setdefault(which, {})[name] = []
            cases.append((which, name, arguments, code))
    load = os.getloadavg()[0]
    draw = random.Random(0)
    for number in range(args.rounds + 1):
        for which, name, arguments, code in draw.sample(cases, len(cases)):
            took = seconds(arguments, checkouts[which], code)
            if number:
                found[which][name].append(tuple(round(part, 3) for part in took))
    command = f"python experiments/startup/measure.py --rounds {args.rounds}"
    record = {
        "machine": machine("cpu", torch.get_num_threads(), PACKAGES),
        "command": command + (" --before BEFORE" if args.before else ""),
        "load": [round(load, 2), round(os.getloadavg()[0], 2)],
        "seconds": found,
    }
    write_json(HERE / "results.json", record)


if __name__ == "__main__":
    main()
