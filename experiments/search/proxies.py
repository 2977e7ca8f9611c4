"""Proxies of the trials of a search, and how well they order whole runs.

    python experiments/search/proxies.py FOLDER --steps 30,100

FOLDER: of `run.py`, with its searches. FOLDER/proxies.json gets, by search and by the number of
steps of the recovery, the loss of each trial beside its validation score, and Spearman's rank
correlation. What is there is not computed again.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir

sys.path.insert(0, str(Path(__file__).parents[2]))

from experiments.runs import names
from lada.config import check
from lada.config.store import register
from lada.ops.metrics.correlation import spearman
from lada.program import conf_folder
from lada.report.record import write_json
from lada.run.proxy import proxy

SEARCHES = ("random", "tpe")

Found = dict[str, Any]
"""``trials``: a list of ``trial``, ``score``, ``loss``; ``spearman`` of minus the losses and the
scores, None for fewer than three trials."""


def loss_of(words: list[str], steps: int) -> float:
    """The proxy of a run."""
    with initialize_config_dir(str(conf_folder()), version_base="1.3"):
        config = check(compose("train", overrides=words), words)
    return proxy(config, steps=steps).loss


def measure(trials: list[Found], steps: int, known: Found) -> Found:
    """The proxies of the trials that are done.

    Args:
        trials: as `lada search` writes them.
        known: what an earlier call returned.
    """
    losses = {row["trial"]: row["loss"] for row in known.get("trials", [])}
    rows = []
    for trial in trials:
        if trial["state"] != "done":
            continue
        number = trial["trial"]
        if number not in losses:
            losses[number] = loss_of(list(trial["words"]), steps)
            print(f"trial {number}, {steps} steps: {losses[number]:.5f}", flush=True)
        rows.append({"trial": number, "score": trial["measured"]["score"], "loss": losses[number]})
    order = None
    if len(rows) > 2:
        order = float(spearman([-row["loss"] for row in rows], [row["score"] for row in rows]))
    return {"trials": rows, "spearman": order}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--steps", type=names, default=["30", "100"], help="default: 30,100")
    args = parser.parse_args()
    register()
    file = args.folder / "proxies.json"
    report = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    for name in SEARCHES:
        found = json.loads((args.folder / name / "trials.json").read_text(encoding="utf-8"))
        for steps in args.steps:
            of_search = report.setdefault(name, {})
            of_search[steps] = measure(found["trials"], int(steps), of_search.get(steps, {}))
            write_json(file, report)
            print(f"{name}, {steps} steps: rank correlation {of_search[steps]['spearman']}")


if __name__ == "__main__":
    main()
