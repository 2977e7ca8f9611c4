"""A search compared with the paper's random search at equal cost, and the proxy with whole runs.

    python experiments/search/run.py FOLDER --trials 20 -- task=sst2 target=7.5x optim.steps=1000

Three searches with the same number of trials: `ratios=search` by TPE, `ratios=random`, and the
same random points by proxy. All trials have the same number of steps, so that the first two cost
the same. FOLDER/results.json has the best validation score after each trial of both, and Spearman's
rank correlation of proxies and validation scores over the random points. A run that was killed is
resumed by the same command; with `lada search FOLDER/random` other machines help.
"""

import argparse
import json
import subprocess
import sys
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np

from lada.ops.metrics.correlation import spearman
from lada.program import again

SEARCHES = {
    "tpe": ["ratios=search"],
    "random": ["ratios=random"],
    "proxy": ["ratios=random", "search.proxy=true"],
}


def run(folder: Path, words: list[str], trials: int) -> list[dict[str, Any]]:
    """Be a worker of a search until it is finished; returns its trials by number."""
    command = [*again("search"), str(folder), *words, f"search.trials={trials}"]
    subprocess.run(command, check=False)  # 1: a trial has failed, which the table shows
    found = json.loads((folder / "trials.json").read_text(encoding="utf-8"))
    return list(found["trials"])


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
    pairs = [
        (-near["measured"]["score"], whole["measured"]["score"])
        for near, whole in zip(found["proxy"], found["random"], strict=True)
        if near["state"] == whole["state"] == "done"
    ]
    losses, scores = np.array(pairs, dtype=np.float64).reshape(-1, 2).T
    report = {
        "words": words,
        "trials": args.trials,
        "best_so_far": {name: best_so_far(found[name]) for name in ("tpe", "random")},
        "proxy": {
            "pairs": pairs,
            "spearman": float(spearman(-losses, scores)) if len(pairs) > 2 else None,
        },
    }
    text = json.dumps(report, indent=2) + "\n"
    (args.folder / "results.json").write_text(text, encoding="utf-8")
    sys.stdout.write(text)


if __name__ == "__main__":
    main()
