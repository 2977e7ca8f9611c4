"""The ratios that a search has found, beside the default and the paper's, on several tasks.

    python experiments/search/carry.py sst2-7.5x --task sst2,qnli --data GLUE target=7.5x \
        optim.steps=400 optim.lr=1e-3

`sst2-7.5x`: the folder of the search (`run.py`). Every other argument is an override of train.py
for all runs. Each finished run leaves its row in rows/; one that has a row is not done again, an
unfinished one is resumed. Exit code 1 if any failed. `table.py` makes the table.
"""

import argparse
import hashlib
import json
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from experiments.runs import at_once, names, place, train
from lada.report.record import write_json
from lada.report.rows import make_row

HERE = Path(__file__).parent
ROWS = HERE / "rows"
DEFAULT = "default ratios"
TABLE_2 = "Table 2 of the paper"
FOUND = {"random": "found by random search", "tpe": "found by TPE"}
"""The name of each search of `run.py`, and what its ratios are called."""


def choices(search: str) -> dict[str, list[str]]:
    """The overrides of each choice of ratios, by what it is called."""
    found = {label: [f"ratios=found/{search}-{name}"] for name, label in FOUND.items()}
    return {DEFAULT: [], TABLE_2: ["ratios=paper"], **found}


def row_file(search: str, task: str, label: str) -> Path:
    """Where the row of a run is."""
    return ROWS / f"{search}_on_{task}_{re.sub('[^a-z]+', '_', label.lower())}.json"


def do(args: argparse.Namespace, task: str, label: str, words: list[str]) -> bool:
    """Do a run and write its row; returns whether there is one."""
    file = row_file(args.search, task, label)
    if file.exists():
        return True
    # The flag comes first: argparse takes no overrides on both sides of one.
    given = [f"--config-dir={HERE / 'conf'}", f"task={task}", *words]
    given += [*place("data.dir", args.data), *args.overrides]
    digest = hashlib.sha256(json.dumps(given).encode()).hexdigest()[:8]
    folder = args.outputs / f"{file.stem}_{digest}"
    error = train([*given, *place("hydra.run.dir", folder)])
    if error is not None:
        print(f"{file.stem}: failed ({error})", flush=True)
        return False
    ROWS.mkdir(exist_ok=True)
    (target,) = (word.partition("=")[2] for word in args.overrides if word.startswith("target="))
    write_json(file, make_row(folder, target, label), indent=None)
    print(f"{file.stem}: {file}", flush=True)
    return True


def main() -> int:
    parser = argparse.ArgumentParser(
        allow_abbrev=False, description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("search", help="folder of the search, as run.py was given it")
    parser.add_argument("--task", type=names, default=["sst2"], help="default: sst2")
    parser.add_argument("--data", type=Path, help="folder of the GLUE files (default: the hub)")
    parser.add_argument("--jobs", type=int, default=1, help="at once (default: 1)")
    parser.add_argument("--outputs", type=Path, default=Path("outputs/carried"))
    args, args.overrides = parser.parse_known_args()
    args.search = Path(args.search).name
    runs = [(task, *choice) for task in args.task for choice in choices(args.search).items()]
    return 0 if all(at_once(args.jobs, lambda run: do(args, *run), runs)) else 1


if __name__ == "__main__":
    sys.exit(main())
