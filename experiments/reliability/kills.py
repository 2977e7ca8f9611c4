"""Kill a run at random moments, start it again until it ends, compare with an undisturbed one.

    python experiments/reliability/kills.py --kills 20 --out kills.json
    python experiments/reliability/kills.py --kills 3 --processes 2 task=demo model=tiny

SIGKILL goes to every process of the run at once, as when a machine fails. Exit code 1 if any result
differs in a single bit. Other arguments are overrides of train.py.
"""

import argparse
import json
import os
import random
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from lada.files import output_file
from lada.overrides import override

TRAIN = Path(__file__).parents[2] / "train.py"
RUN = ["task=demo", "model=minilm-l6", "debug=fast"]
SAME = ("data", "target", "reached", "plan", "steps")
"""Parts of the record, besides scores, that must not depend on the kills."""


def command(folder: Path, processes: int, overrides: list[str]) -> list[str]:
    """The run with all outputs in ``folder``, and a checkpoint every second."""
    places = [override(f"paths.{x}", f"{folder}/{x}") for x in ("outputs", "teachers")]
    places.append(override("paths.cache", f"{folder.parent}/cache"))
    several = ["trainer=ddp", f"trainer.devices={processes}", "trainer.accelerator=cpu"]
    often = [*overrides, "callbacks.checkpoint_minutes=0.02", *(several if processes > 1 else [])]
    return [sys.executable, str(TRAIN), *often, *places]


def kill_all(mark: str) -> None:
    """SIGKILL every process that was started with this mark in its environment."""
    alive = True
    while alive:  # new ones may have started meanwhile
        alive = False
        for entry in Path("/proc").iterdir():
            try:
                if entry.name.isdecimal() and mark.encode() in (entry / "environ").read_bytes():
                    os.kill(int(entry.name), signal.SIGKILL)
                    alive = True
            except OSError:
                continue


def outcome(folder: Path) -> dict[str, Any]:
    """Weights, curves and results of the single run in ``folder``."""
    (results,) = folder.rglob("results.json")
    record = json.loads(results.read_text(encoding="utf-8"))
    return {
        "machine": record["machine"],
        "artifact": (results.parent / "artifact/model.safetensors").read_bytes(),
        "curves": (results.parent / "metrics.csv").read_text(encoding="utf-8"),
        "figures": {name: record[name] for name in SAME},
        "scores": (record["teacher"]["scores"], record["artifact"]),
    }


def last_kept(folder: Path) -> str:
    """The latest checkpoint of either training, for the report."""
    found = sorted(folder.rglob("step-*.ckpt"), key=lambda p: p.stat().st_mtime)
    if not found:
        return "none"
    phase = "student" if found[-1].parent.name == "checkpoints" else "teacher"
    return f"{phase}, step {int(found[-1].name.split('-')[1])}"


def trial(
    folder: Path, arguments: list[str], span: float, draw: random.Random, most: int
) -> list[dict[str, Any]]:
    """One run, killed up to ``most`` times; returns the state at each kill."""
    kills: list[dict[str, Any]] = []
    while True:
        mark = f"LADA_TRIAL={secrets.token_hex(8)}"
        name, _, value = mark.partition("=")
        run = subprocess.Popen(
            arguments,
            env=os.environ | {name: value},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        life = draw.uniform(0.0, span) if len(kills) < most else None
        try:
            _, err = run.communicate(timeout=life)
        except subprocess.TimeoutExpired:
            kill_all(mark)
            run.communicate()
            kept = last_kept(folder)
            kills.append({"after_seconds": round(life or 0.0, 2), "last_checkpoint": kept})
            print(f"  kill {len(kills)}: after {life:.1f} s, last checkpoint: {kept}", flush=True)
            if list(folder.rglob("results.json")):
                return kills  # it had finished except for its last output
            continue
        if run.returncode:
            raise SystemExit(f"the run failed by itself ({run.returncode}): {err[-2000:]}")
        return kills


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20, help="at least so many in all")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1, help="of the moments")
    parser.add_argument("--out", type=output_file, help="write what happened here, as JSON")
    args, overrides = parser.parse_known_args()
    draw = random.Random(args.seed)
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as work:
        whole = Path(work) / "whole"
        started = time.monotonic()
        run = command(whole, args.processes, overrides or RUN)
        subprocess.run(run, check=True, stdout=subprocess.DEVNULL)
        seconds = time.monotonic() - started
        expected = outcome(whole)
        print(f"undisturbed: {seconds:.0f} s", flush=True)
        while sum(len(row["kills"]) for row in rows) < args.kills:
            folder = Path(work) / f"trial{len(rows)}"
            print(f"trial {len(rows) + 1}", flush=True)
            run = command(folder, args.processes, overrides or RUN)
            left = args.kills - sum(len(row["kills"]) for row in rows)
            # Half of a whole run: long enough to come to the student's rounds and to the end.
            kills = trial(folder, run, seconds / 2, draw, left)
            found = outcome(folder)
            equal = {name: found[name] == expected[name] for name in expected}
            rows.append({"kills": kills, "equal": equal})
            words = ", ".join(
                f"{n} {'equal' if same else 'DIFFERENT'}" for n, same in equal.items()
            )
            print(f"  ended after {len(kills)} kills: {words}", flush=True)
    good = all(all(row["equal"].values()) for row in rows)
    count = sum(len(row["kills"]) for row in rows)
    print(f"{count} kills in {len(rows)} runs: {'all ends equal' if good else 'ENDS DIFFER'}")
    if args.out is not None:
        report = {
            "command": f"python experiments/reliability/kills.py --kills {args.kills} "
            f"--processes {args.processes} --seed {args.seed}",
            "overrides": [o.partition("=")[0] for o in overrides] or RUN,
            "machine": expected["machine"],
            "undisturbed_seconds": round(seconds, 1),
            "runs": rows,
        }
        args.out.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
