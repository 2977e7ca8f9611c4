"""Train the variants of `variants.yaml`; each finished run leaves its record in records/.

    python experiments/ablation/run.py --task sst2 --data GLUE --jobs 2 optim.steps=400

Every other argument is an override of train.py for all runs. A run that has a record is not done
again, an unfinished one is resumed. Exit code 1 if any failed. `table.py` makes the table.
"""

import argparse
import json
import re
import sys
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

sys.path.insert(0, str(Path(__file__).parents[2]))

from experiments.runs import at_once, names, place, train
from lada.report.record import write_json
from lada.report.rows import make_row

HERE = Path(__file__).parent


def record_file(folder: Path, task: str, variant: str, seed: str) -> Path:
    """Where the record of a run is."""
    return folder / f"{task}_{re.sub('[^a-z0-9.+]+', '_', variant)}_{seed}.json"


def record_of(folder: Path) -> dict[str, Any]:
    """The record of a run, with which dev examples its artifact has right, for paired tests."""
    record: dict[str, Any] = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    row = make_row(folder, "")
    record["artifact"] |= {
        key: row["artifact"][key] for key in ("correct", "units") if key in row["artifact"]
    }
    return record


def run(variant: str, words: list[str], seed: str, args: argparse.Namespace) -> bool:
    """Do one run and copy its record; returns whether there is one."""
    file = record_file(args.records, args.task, variant, seed)
    if file.exists():
        return True
    folder = args.outputs / file.stem
    if not any(word.startswith("target") for word in words):
        words = [*words, "target=7.5x"]
    given = [f"task={args.task}", f"seed={seed}", *place("data.dir", args.data), *words]
    error = train([*given, *args.overrides, *place("hydra.run.dir", folder)])
    if error is not None:
        print(f"{file.stem}: failed ({error})", flush=True)
        return False
    args.records.mkdir(parents=True, exist_ok=True)
    write_json(file, record_of(folder))
    print(f"{file.stem}: {file}", flush=True)
    return True


def main() -> int:
    """0 if every run has a record."""
    parser = argparse.ArgumentParser(
        allow_abbrev=False, description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    variants = OmegaConf.to_container(OmegaConf.load(HERE / "variants.yaml"))
    assert isinstance(variants, dict)
    parser.add_argument("--task", required=True, help="sst2, qnli, ...")
    parser.add_argument("--data", type=Path, help="folder of the GLUE files (default: the hub)")
    parser.add_argument("--variant", action="append", help="of variants.yaml (default: all)")
    parser.add_argument("--seeds", default="1", help="1,2,3 (default: 1)")
    parser.add_argument("--jobs", type=int, default=1, help="at once (default: 1)")
    parser.add_argument("--records", type=Path, default=HERE / "records")
    parser.add_argument("--outputs", type=Path, default=Path("outputs/ablation"))
    args, args.overrides = parser.parse_known_args()
    chosen = args.variant or list(variants)
    if unknown := sorted(set(chosen) - set(variants)):
        parser.error(f"--variant {unknown[0]}: choose one of {', '.join(variants)}")
    wanted = [(name, variants[name], seed) for seed in names(args.seeds) for name in chosen]
    done = at_once(args.jobs, lambda job: run(*job, args), wanted)
    print(f"{sum(done)} of {len(wanted)} have a record in {args.records}")
    return 0 if all(done) else 1


if __name__ == "__main__":
    sys.exit(main())
