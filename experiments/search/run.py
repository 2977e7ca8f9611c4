"""A search compared with the paper's random search at equal cost.

    python experiments/search/run.py FOLDER --trials 20 -- task=sst2 target=7.5x optim.steps=1000

Two searches with the same number of trials: `ratios=search` by TPE, and `ratios=random`. All trials
have the same number of steps, so that both cost the same. FOLDER/results.json has the trials, and
the best validation score after each. A run that was killed is resumed by the same command; with
`lada search FOLDER/random` other machines help. `proxies.py` measures the proxies of the trials,
`carry.py` runs what was found on several tasks, `draw.py` makes figure and tables.
"""

import argparse
import json
import subprocess
import sys
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np

from lada.config.whole import keys
from lada.program import again
from lada.report.record import command_line

SEARCHES = {
    "tpe": ["ratios=search"],
    "random": ["ratios=random"],
}


def run(folder: Path, words: list[str], trials: int) -> list[dict[str, Any]]:
    """Be a worker of a search until it is finished; returns its trials by number."""
    command = [*again("search"), str(folder), *words, f"search.trials={trials}"]
    subprocess.run(command, check=False)  # 1: a trial has failed, which the table shows
    found = json.loads((folder / "trials.json").read_text(encoding="utf-8"))
    return list(found["trials"])


def shown(trial: dict[str, Any]) -> dict[str, Any]:
    """What the report has of a trial: its ratios as fractions left, and what was measured."""
    return {key: trial.get(key) for key in ("trial", "state", "fractions", "measured")}


def best_so_far(trials: list[dict[str, Any]]) -> list[float | None]:
    """The best score after each trial; None where none is done yet."""
    scores = [t["measured"]["score"] if t["state"] == "done" else -np.inf for t in trials]
    return [float(s) if np.isfinite(s) else None for s in accumulate(scores, max)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--trials", type=int, default=20)
    parser.epilog = "After --: the words of all trials, without ratios."
    options, words = sys.argv[1:], list[str]()
    if "--" in options:  # argparse would take words for options
        cut = options.index("--")
        options, words = options[:cut], options[cut + 1 :]
    args = parser.parse_args(options)
    args.folder.mkdir(parents=True, exist_ok=True)
    found = {
        name: run(
            args.folder / name,
            [*words, *own, f"search.name={args.folder.name}-{name}"],
            args.trials,
        )
        for name, own in SEARCHES.items()
    }
    paths = [name for name, key in keys().items() if key.path]
    report = {
        "command": command_line(words, paths, f"lada search {args.folder.name}"),
        "trials": args.trials,
        "searches": {name: [shown(trial) for trial in trials] for name, trials in found.items()},
        "best_so_far": {name: best_so_far(trials) for name, trials in found.items()},
    }
    text = json.dumps(report, indent=2) + "\n"
    (args.folder / "results.json").write_text(text, encoding="utf-8")
    sys.stdout.write(text)


if __name__ == "__main__":
    main()
