"""Kill the workers of searches at random moments; compare with searches that nobody disturbs.

    python experiments/search/kills.py --searches 20 --out kills.json

The trials are short (`small_trial.py`): this is about the search, not about the runs. Of each four
searches one has one worker and a sampler that learns; three have three workers and
`sampler=random`; of these one halves, and one has workers that take each other for those of other
hosts, so that the lease alone tells of their end. Exit code 1 if a search is not as it should be.
"""

import argparse
import json
import multiprocessing
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lada.files import output_file
from lada.search.ledger import JOURNAL, Ledger
from lada.search.settings import SearchSettings
from lada.search.space import read_space
from lada.search.worker import Worker

TRIAL = Path(__file__).with_name("small_trial.py")
WORDS = ["optim.lr=log(1e-4,1e-2)", "schedule.rounds=int(2,8)", "ratios=random"]
SET_STATE = 6
"""The number of Optuna's journal for a record that ends a trial."""


@dataclass(frozen=True)
class Kind:
    """A kind of search.

    Attributes:
        hosts: whether each worker takes the others for those of other machines.
    """

    name: str
    workers: int
    settings: dict[str, Any]
    hosts: bool = False


KINDS = (
    Kind("one worker, tpe", 1, {"sampler": "tpe"}),
    Kind("three workers", 3, {"sampler": "random"}),
    Kind("three workers, halving", 3, {"sampler": "random", "halving": "[2,4]"}),
    Kind("three hosts", 3, {"sampler": "random", "lease": 1.0}, hosts=True),
)


def be_worker(folder: Path, kind: Kind, trials: int, seconds: float, boot: str | None) -> None:
    """Be a worker until the search is finished."""

    def command(words: list[str], place: Path) -> list[str]:
        return [sys.executable, "-I", "-S", str(TRIAL), str(place), str(seconds), *words]

    settings, space = SearchSettings(trials=trials, **kind.settings), read_space(WORDS)
    ledger = Ledger(folder, settings, space, boot=boot)
    worker = Worker(
        ledger,
        settings,
        space,
        home=folder,
        trials=folder / "trials",
        command=command,
        poll=0.05,
        say=lambda line: None,
    )
    worker.work()
    ledger.close()


def search(
    folder: Path, kind: Kind, trials: int, seconds: float, draw: random.Random, kills: int
) -> int:
    """Do a search, and kill a random one of its workers ``kills`` times; returns how many died."""
    context = multiprocessing.get_context("fork")
    started = 0

    def start() -> Any:
        nonlocal started
        boot = f"host {started}" if kind.hosts else None
        started += 1
        process = context.Process(target=be_worker, args=(folder, kind, trials, seconds, boot))
        process.start()
        return process

    folder.mkdir(parents=True)
    running = [start() for _ in range(kind.workers)]
    killed = 0
    while killed < kills:
        time.sleep(draw.uniform(0.0, 3.0 * seconds))
        index = draw.randrange(len(running))
        if running[index].is_alive():
            os.kill(running[index].pid, signal.SIGKILL)
        running[index].join()
        if running[index].exitcode != -signal.SIGKILL:
            break  # it has finished, and so have all trials
        killed += 1
        running[index] = start()
    for process in running:
        process.join()
        assert process.exitcode == 0
    return killed


def outcome(folder: Path, kind: Kind, trials: int) -> dict[str, Any]:
    """The values, ends and weights of all trials, and how often each was told."""
    ledger = Ledger(folder, SearchSettings(trials=trials, **kind.settings), read_space(WORDS))
    found = ledger.trials()
    ledger.close()
    lines = [json.loads(line) for line in (folder / JOURNAL).read_text().splitlines()]
    ends = [line["trial_id"] for line in lines if line["op_code"] == SET_STATE]
    weights = {}
    for trial in found:
        place = folder / "trials" / f"{trial.number:04d}"
        done = [file.parent for file in place.glob("*/results.json")]
        if trial.state.name == "COMPLETE":
            (own,) = done
            weights[trial.number] = (own / "artifact").read_text()
    return {
        "numbers": [trial.number for trial in found],
        "told once": sorted(ends) == [trial.number for trial in found],
        "finished": all(trial.state.is_finished() for trial in found),
        "failed": sum(trial.state.name == "FAIL" for trial in found),
        "stopped": sum(trial.state.name == "PRUNED" for trial in found),
        "resumed": sum(trial.user_attrs["attempts"] > 1 for trial in found),
        "params": [dict(trial.params) for trial in found],
        "weights": weights,
    }


def judge(kind: Kind, found: dict[str, Any], whole: dict[str, Any], trials: int) -> dict[str, bool]:
    """What must hold after kills.

    Which trials halving stops depends on the order in which they come to a step: with several
    workers the weights are compared of those that both searches have finished.
    """
    both = found["weights"].keys() & whole["weights"].keys()
    same = all(found["weights"][n] == whole["weights"][n] for n in both)
    complete = "halving" in kind.settings or len(both) == trials
    return {
        "budget": found["numbers"] == list(range(trials)),
        "none lost": found["finished"] and not found["failed"],
        "none twice": found["told once"],
        "same trials": found["params"] == whole["params"],
        "bit-equal": same and complete,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--searches", type=int, default=20)
    parser.add_argument("--trials", type=int, default=8)
    parser.add_argument("--kills", type=int, default=6, help="in each search")
    parser.add_argument("--seconds", type=float, default=0.6, help="of a trial")
    parser.add_argument("--seed", type=int, default=1, help="of the moments")
    parser.add_argument("--out", type=output_file, help="write what happened here, as JSON")
    args = parser.parse_args()
    draw, rows = random.Random(args.seed), []
    with tempfile.TemporaryDirectory() as work:
        for number in range(args.searches):
            kind = KINDS[number % len(KINDS)]
            whole, folder = Path(work) / f"whole-{kind.workers}-{kind.name}", Path(work) / "killed"
            if not whole.exists():
                search(whole, kind, args.trials, args.seconds, draw, 0)
            killed = search(folder, kind, args.trials, args.seconds, draw, args.kills)
            expected = outcome(whole, kind, args.trials)
            found = outcome(folder, kind, args.trials)
            held = judge(kind, found, expected, args.trials)
            rows.append(
                {
                    "search": kind.name,
                    "kills": killed,
                    "resumed": found["resumed"],
                    "stopped": found["stopped"],
                    "held": held,
                }
            )
            said = ", ".join(name if good else f"NOT {name}" for name, good in held.items())
            print(f"{number + 1}. {kind.name}: {killed} kills, {said}", flush=True)
            shutil.rmtree(folder)
    good = sum(all(row["held"].values()) for row in rows)
    kills = sum(row["kills"] for row in rows)
    print(f"{good} of {len(rows)} searches are as they should be, after {kills} kills")
    if args.out is not None:
        report = {
            "command": f"python experiments/search/kills.py --searches {args.searches} "
            f"--trials {args.trials} --kills {args.kills} --seconds {args.seconds} "
            f"--seed {args.seed}",
            "searches": rows,
        }
        args.out.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    sys.exit(0 if good == len(rows) else 1)


if __name__ == "__main__":
    main()
