"""Steps against score on small training sets, to choose a default number of steps.

    python experiments/settings/small_data.py --data GLUE --rows 2500,8500 --tasks sst2,qnli \
        --steps 300,1000,3000

Trains teacher and student with the same number of optimizer steps on the examples of GLUE's train
file whose lines hash lowest. One line of small_data.jsonl per run; one that is there is not run
again. ``--table`` prints them as Markdown. Other arguments are overrides of train.py.
"""

import argparse
import gzip
import hashlib
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from lada.data.tasks import task_spec
from lada.report.curve import read_curve

HERE = Path(__file__).parent
RESULTS = HERE / "small_data.jsonl"
TRAIN = HERE.parents[1] / "train.py"


def subset(data: Path, task: str, rows: int, out: Path) -> None:
    """Write a GLUE folder whose train file has ``rows`` examples; dev is linked to.

    Args:
        data: folder with SST-2/, QNLI/, ...
    """
    spec = task_spec(task)
    source, folder = data / spec.folder, out / spec.folder
    folder.mkdir(parents=True)
    found = next(f for f in (source / "train.tsv", source / "train.tsv.gz") if f.exists())
    with gzip.open(found) if found.suffix == ".gz" else found.open("rb") as file:
        header, *lines = file.read().splitlines(keepends=True)
    lines.sort(key=lambda line: hashlib.sha256(line).digest())
    (folder / "train.tsv").write_bytes(header + b"".join(lines[:rows]))
    for split in spec.dev_splits:
        name = next(n for n in (f"{split}.tsv", f"{split}.tsv.gz") if (source / n).exists())
        (folder / name).symlink_to((source / name).absolute())


def run(folder: Path, overrides: list[str]) -> dict[str, Any]:
    """One run of train.py; returns a part of its record, without the paths of this machine."""
    run_dir = folder / "run"
    subprocess.run([sys.executable, str(TRAIN), *overrides, f"hydra.run.dir={run_dir}"], check=True)
    record = json.loads((run_dir / "results.json").read_text(encoding="utf-8"))
    (dev,) = record["artifact"]["scores"].values()
    (teacher_dev,) = record["teacher"]["scores"].values()
    return {
        "command": record["command"],
        "machine": record["machine"],
        "precision": record["precision"],
        "seed": record["seed"],
        "data": record["data"],
        "steps": record["steps"],
        "teacher_steps": record["teacher"]["steps"],
        "teacher_validation": record["teacher"]["validation"]["accuracy"],
        "teacher_dev": teacher_dev["accuracy"],
        "validation": record["artifact"]["validation_score"],
        "dev": dev["accuracy"],
        "dev_95": dev["accuracy_95"],
        "ratio": record["reached"],
        "seconds": record["seconds"],
        "curve": read_curve(run_dir),
    }


def read() -> list[dict[str, Any]]:
    """The runs that are recorded."""
    if not RESULTS.exists():
        return []
    return [json.loads(line) for line in RESULTS.read_text(encoding="utf-8").splitlines()]


def table(results: list[dict[str, Any]]) -> str:
    """The runs as Markdown: one line per task, number of examples and number of steps."""
    head = (
        "| task | train file | trained on | steps (epochs) | teacher, validation % "
        "| teacher, dev % | student, validation % | student, dev % (95 %) |\n"
        "|---|---:|---:|---:|---:|---:|---:|---:|"
    )
    order = sorted(results, key=lambda r: (r["task"] != "sst2", r["rows"], r["steps"]))
    lines = []
    for r in order:
        low, high = (100 * bound for bound in r["dev_95"])
        trained = r["data"]["train"]["rows"]
        lines.append(
            f"| {r['task']} | {r['rows']:,} | {trained:,} "
            f"| {r['steps']:,} ({32 * r['steps'] / trained:.1f}) "
            f"| {100 * r['teacher_validation']:.1f} | {100 * r['teacher_dev']:.1f} "
            f"| {100 * r['validation']:.1f} | {100 * r['dev']:.1f} ({low:.1f}-{high:.1f}) |"
        )
    return "\n".join([head, *lines])


def main() -> None:
    parser = argparse.ArgumentParser(
        allow_abbrev=False, description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )

    def numbers(text: str) -> list[int]:
        return [int(number) for number in text.split(",")]

    parser.add_argument("--data", type=Path, help="folder of the GLUE files")
    parser.add_argument("--tasks", type=lambda text: text.split(","), default=["sst2", "qnli"])
    parser.add_argument("--rows", type=numbers, default=[2500, 8500])
    parser.add_argument("--steps", type=numbers, default=[300, 1000, 3000])
    parser.add_argument("--table", action="store_true", help="print what is recorded")
    args, overrides = parser.parse_known_args()
    if args.table:
        print(table(read()))
        return
    for task in args.tasks:
        for rows in args.rows:
            for steps in args.steps:
                known = {(r["task"], r["rows"], r["asked"]) for r in read()}
                if (task, rows, steps) in known:
                    continue
                with tempfile.TemporaryDirectory() as work:
                    data = Path(work) / "data"
                    subset(args.data, task, rows, data)
                    chosen = [f"task={task}", "target=7.5x", f"data.dir={data}"]
                    chosen += [f"teacher.steps={steps}", f"optim.steps={steps}", "teacher.margin=0"]
                    found = run(Path(work), [*chosen, *overrides])
                line = {"task": task, "rows": rows, "asked": steps} | found
                with RESULTS.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
