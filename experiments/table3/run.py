"""Run any part of the comparison; each finished run leaves one row in rows/.

    python experiments/table3/run.py --data GLUE --tasks sst2,mnli --targets 7.5x,2.5x \
        --methods lada,pruning_kd --seeds 1,2 --epochs 1 --rates 1e-4,3e-4

Every job is a sweep of one (python train.py -m ...): a finished one is not done again, an
unfinished one is resumed, one that fails does not stop others. Exit code 1 if any failed. Other
arguments are overrides of train.py for all jobs; they win over those of settings.yaml.
"""

import argparse
import itertools
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from omegaconf import OmegaConf

sys.path.insert(0, str(Path(__file__).parents[2]))

from experiments.runs import at_once, names, place, train
from lada.report.majority import verdict
from lada.report.rows import kind_and_metrics, make_row, row_name, write_row

HERE = Path(__file__).parent
MODELS = HERE.parents[1] / "conf/model"

NAMED = ("model", "task", "target", "method", "seed", "optim.lr")
"""What a row is named by, and options give."""


UNTRAINED = ("quantization",)
"""Methods that take no settings of a training."""


@dataclass(frozen=True)
class Job:
    """One run of the comparison."""

    task: str
    target: str
    method: str
    rate: float
    seed: int
    overrides: tuple[str, ...]

    @property
    def name(self) -> str:
        return Path(row_name(self.task, self.target, self.method, self.rate, self.seed)).stem


def jobs(args: argparse.Namespace, overrides: list[str]) -> Iterator[Job]:
    """All requested jobs, seed by seed, so that the first finished ones can be compared."""
    settings = OmegaConf.to_container(OmegaConf.load(HERE / "settings.yaml"))
    assert isinstance(settings, dict)
    common = [f"model={args.model}"]
    common += place("data.dir", args.data)
    length = [f"optim.epochs={args.epochs:g}"] if args.epochs else []
    own_rate = OmegaConf.load(MODELS / f"{args.model}.yaml").lr
    without = settings["not_to_be_had"].get(args.model, {})
    cases = itertools.product(args.seeds, args.tasks, args.targets, args.methods)
    for seed, task, target, method in cases:
        if target in without.get(method, ()):
            print(f"{task}_{target}_{method}_{seed}: not possible", flush=True)
            continue
        own = settings.get(args.model, {}).get(method, {}).get(target, [])
        chosen = [f"task={task}", f"target={target}", f"method={method}", f"seed={seed}"]
        trained = method not in UNTRAINED
        given = overrides if trained else [w for w in overrides if not w.startswith("optim.")]
        for rate in args.rates if trained and args.rates else [own_rate]:
            training = [*length, f"optim.lr={rate:g}"] if trained else []
            words = (*common, *chosen, *training, *own, *given)
            yield Job(task, target, method, rate, int(seed), words)


def run(job: Job, sweeps: Path, rows: Path) -> bool:
    """Do one job, write its row and print its outcome; returns whether it has a row."""
    sweep = sweeps / job.name
    (sweep / "sweep.json").unlink(missing_ok=True)  # of an earlier run
    error = train(["-m", *job.overrides, *place("hydra.sweep.dir", sweep)])
    try:
        (outcome,) = json.loads((sweep / "sweep.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        print(f"{job.name}: failed ({error or 'no outcome'})", flush=True)
        return False
    if outcome["exit_code"]:
        print(f"{job.name}: failed ({outcome['error']}); log: {outcome.get('log')}", flush=True)
        return False
    try:
        row = make_row(Path(outcome["folder"]), job.target)
    except (OSError, ValueError) as error:
        print(f"{job.name}: has no row ({error}); resume=never runs it again", flush=True)
        return False
    file = write_row(rows, row)
    score = next(iter(row["artifact"]["scores"].values()))
    note = " (no better than the majority class)" if verdict(score, None) else ""
    metric = kind_and_metrics(row)[1][0]
    # An accuracy is the usual case and has no name.
    name = "" if metric.name == "accuracy" else f"{metric.heading} "
    found = f"{name}{metric.shown(score[metric.name])}{note}"
    print(f"{job.name}: {found} at x{row['reached']:.2f}, {file}", flush=True)
    return True


def parse(arguments: list[str]) -> tuple[argparse.Namespace, list[str]]:
    """The command line: what to run, and overrides for all of it."""

    def rates(text: str) -> list[float]:
        return [float(name) for name in names(text)]

    parser = argparse.ArgumentParser(
        allow_abbrev=False, description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--tasks", type=names, required=True, help="sst2,mnli,qqp,qnli")
    parser.add_argument("--targets", type=names, required=True, help="2.5x,5x,7.5x,10x,none")
    parser.add_argument("--methods", type=names, required=True, help="lada,hybrid,pruning,...")
    parser.add_argument("--seeds", type=names, default=["1"], help="1,2,3 (default: 1)")
    parser.add_argument(
        "--rates", type=rates, default=[], help="1e-4,3e-4: learning rates (default: the model's)"
    )
    parser.add_argument("--model", default="minilm-l6", help="default: minilm-l6")
    parser.add_argument("--data", type=Path, help="folder of the GLUE files (default: the hub)")
    parser.add_argument("--epochs", type=float, help="of compression (default: as in conf/optim)")
    parser.add_argument("--jobs", type=int, default=1, help="at once (default: 1)")
    parser.add_argument("--rows", type=Path, default=HERE / "rows", help="of another comparison")
    parser.add_argument("--sweeps", type=Path, default=Path("outputs/table3"), help="runs and logs")
    return parser.parse_known_args(arguments)


def main(arguments: list[str]) -> int:
    args, overrides = parse(arguments)
    for word in overrides:
        key = word.partition("=")[0]
        if word.startswith("-") or key in NAMED:
            print(f"error: {word}: no override of all jobs; see --help", file=sys.stderr)
            return 2
    wanted = list(jobs(args, overrides))
    done = at_once(args.jobs, lambda job: run(job, args.sweeps, args.rows), wanted)
    print(f"{sum(done)} of {len(wanted)} have a row in {args.rows}")
    return 0 if all(done) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
