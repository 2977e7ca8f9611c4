"""Run the entries of `settings.yaml`; each finished run leaves its row in records/.

    python experiments/comparison/run.py --task sst2,qnli --size 7.5x,1.8MB --seeds 1,2 \
        --data GLUE optim.steps=2000

First a learning rate is chosen for every entry, in short runs that validation decides (--rates),
until the rates on both sides of the best are worse; then come the runs. One that has a row is not
done again, an unfinished one is resumed. A size that an entry cannot reach becomes a record with
the reason. Without --entry the plan of the settings says which entries a task has at a size. Every
other argument is an override of train.py for all runs. Exit code 1 if any failed. `table.py` makes
the tables.

With --equal-seconds entries whose training is faster than the reference's are run again, with as
many steps as fit in its seconds; their rows go to records/seconds/. Runs of one epoch
(optim.epochs=1) belong to records/epoch/: give that as --records.
"""

import argparse
import hashlib
import json
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

sys.path.insert(0, str(Path(__file__).parents[2]))

from experiments.runs import at_once, names, place, train
from lada.report.record import write_json
from lada.report.rows import Row, kind_and_metrics, make_row, read_rows, training_seconds

HERE = Path(__file__).parent
RATES = HERE / "rates.json"
RECORDS = HERE / "records"
SECONDS = "seconds"
"""The folder of the rows at equal seconds, within that of the others."""
EPOCH = "epoch"
"""The folder of the rows of runs of one epoch, within that of the others."""
GIVEN = ("task", "seed", "method", "target", "optim.lr")
"""What settings and options give, and no override of all runs."""

Settings = dict[str, Any]
"""The content of settings.yaml."""
Rates = dict[str, dict[str, dict[str, Any]]]
"""By task, entry and size of the short runs: ``rate``, ``steps`` and ``validation`` (score by
rate, None where the training diverged); or ``not_reachable``, the reason."""


@dataclass(frozen=True)
class Case:
    """One entry at one size on one task."""

    task: str
    entry: str
    size: str

    @property
    def stem(self) -> str:
        """The start of the names of its files."""
        return f"{self.task}_{re.sub('[^a-z0-9.+]+', '_', self.entry)}_{self.size}"

    def words(self, settings: Settings) -> list[str]:
        """Its overrides."""
        entry, size = settings["entries"][self.entry], settings["sizes"][self.size]
        in_bytes = entry.get("in_bytes", []) if "target=bytes" in size else []
        return [f"task={self.task}", *entry["overrides"], *size, *in_bytes]


@dataclass(frozen=True)
class Run:
    """A run of a case."""

    case: Case
    seed: int
    rate: float
    steps: int | None = None
    """None: as many as the overrides say."""


@dataclass(frozen=True)
class Outcome:
    """What came of a run: the folder of a finished one, or an error."""

    folder: Path | None = None
    error: str = ""

    @property
    def not_reachable(self) -> bool:
        """Whether the method cannot have the size, other than a failure."""
        return bool(re.match(r"error: target\.(ratio|mb)=", self.error))

    @property
    def diverged(self) -> bool:
        """Whether the rate was too high."""
        return "NaN or infinite at step" in self.error


def read_settings() -> Settings:
    found = OmegaConf.to_container(OmegaConf.load(HERE / "settings.yaml"))
    assert isinstance(found, dict)
    return {str(key): value for key, value in found.items()}


def words_of(run: Run, settings: Settings, args: argparse.Namespace) -> list[str]:
    """The arguments of a run, other than its folder."""
    length = [] if run.steps is None else ["optim.epochs=null", f"optim.steps={run.steps}"]
    own = [*run.case.words(settings), f"seed={run.seed}", *place("data.dir", args.data)]
    return [*own, *args.overrides, f"optim.lr={run.rate:g}", *length]


def do(run: Run, settings: Settings, args: argparse.Namespace) -> Outcome:
    """Do a run, unless it is done; its folder is named by all that it is given."""
    words = words_of(run, settings, args)
    digest = hashlib.sha256(json.dumps(words).encode()).hexdigest()[:8]
    folder = args.outputs / f"{run.case.stem}_{run.seed}_{digest}"
    if (folder / "results.json").exists():
        return Outcome(folder)
    error = train([*words, *place("hydra.run.dir", folder)])
    return Outcome(folder) if error is None else Outcome(error=error)


def steps_given(overrides: Iterable[str]) -> int | None:
    """The steps of the main runs, if the overrides say so."""
    given = [word.partition("=")[2] for word in overrides if word.startswith("optim.steps=")]
    return int(given[-1]) if given and given[-1].isdigit() else None


def short_steps(settings: Settings, overrides: Iterable[str]) -> int:
    """Steps of the runs that choose a rate: never more than those of the main ones."""
    steps, given = int(settings["rates"]["steps"]), steps_given(overrides)
    return steps if given is None else min(steps, given)


def choose(
    cases: Sequence[Case], rates: Rates, settings: Settings, args: argparse.Namespace
) -> None:
    """Choose the rates that these cases lack, and write them; a failure is told.

    Args:
        cases: at the sizes of the short runs.
        rates: of earlier calls; the new ones are added.
    """
    of = settings["rates"]
    lacking = [
        x for x in dict.fromkeys(cases) if x.size not in rates.get(x.task, {}).get(x.entry, {})
    ]
    steps = short_steps(settings, args.overrides)
    # Main runs of as many steps are these very runs: their folders serve both.
    own = None if steps == steps_given(args.overrides) else steps
    values, first = sorted(map(float, of["values"])), float(of["first"])
    results: dict[Case, dict[float, Outcome]] = {case: {} for case in lacking}
    while True:
        tried = [(case, next_rate(found, values, first)) for case, found in results.items()]
        runs = [Run(case, of["seed"], rate, own) for case, rate in tried if rate is not None]
        if not runs:
            break
        outcomes = at_once(args.jobs, lambda run: do(run, settings, args), runs)
        for run, outcome in zip(runs, outcomes, strict=True):
            results[run.case][run.rate] = outcome
    for case, found in results.items():
        chosen = chosen_rate(found, steps)
        if chosen is None:
            failed = next(o for o in found.values() if o.folder is None)
            print(f"{case.stem}: no rate, since a run failed ({failed.error})", flush=True)
            continue
        rates.setdefault(case.task, {}).setdefault(case.entry, {})[case.size] = chosen
        write_json(args.rates, rates)
        said = chosen.get("not_reachable") or f"rate {chosen['rate']:g}"
        print(f"{case.stem}: {said}", flush=True)


def next_rate(found: dict[float, Outcome], values: Sequence[float], first: float) -> float | None:
    """The rate that is tried next; None if the best of those tried has no neighbour left to try.

    Scores are taken to have one peak over rates. None, too, where a run failed or the size cannot
    be reached.

    Args:
        found: of one case, by rate.
        values: the rates there are, in rising order.
        first: the rate to begin with.
    """
    if not found:
        return first
    if any(outcome.folder is None and not outcome.diverged for outcome in found.values()):
        return None
    scores = {rate: score_of(outcome) for rate, outcome in found.items()}
    place = values.index(max(scores, key=lambda rate: scores[rate]))
    lower, higher = values[max(place - 1, 0)], values[min(place + 1, len(values) - 1)]
    return next((rate for rate in (lower, higher) if rate not in found), None)


def score_of(outcome: Outcome) -> float:
    """The validation score; that of a run that diverged is below all others."""
    return -1.0 if outcome.folder is None else validation(outcome.folder)


def validation(folder: Path) -> float:
    """The validation score of a finished run."""
    text = (folder / "results.json").read_text(encoding="utf-8")
    return float(json.loads(text)["artifact"]["validation_score"])


def chosen_rate(found: dict[float, Outcome], steps: int) -> dict[str, Any] | None:
    """What the file of rates has of the short runs of one case; None if one of them failed."""
    for outcome in found.values():
        if outcome.not_reachable:
            return {"not_reachable": outcome.error}
    scores: dict[float, float] = {}
    for rate, outcome in found.items():
        if outcome.folder is not None:
            scores[rate] = validation(outcome.folder)
        elif not outcome.diverged:
            return None
    if not scores:
        return None
    best = max(scores, key=lambda rate: scores[rate])
    by_rate = {f"{rate:g}": scores.get(rate) for rate in found}
    return {"rate": best, "steps": steps, "validation": by_rate}


def serving_task(case: Case, settings: Settings) -> str:
    """The task of the short runs whose rate it has."""
    return str(settings["rates"]["tasks"][case.task])


def of_entry(case: Case, rates: Rates, settings: Settings) -> dict[str, Any]:
    """What the short runs of its entry found, by size."""
    return rates.get(serving_task(case, settings), {}).get(case.entry, {})


def rate_of(case: Case, rates: Rates, settings: Settings) -> float | None:
    """The rate that was chosen at the size that serves, or at the case's own; None without any."""
    found = of_entry(case, rates, settings)
    for size in (settings["rates"]["sizes"][case.size], case.size):
        if "rate" in found.get(size, {}):
            return float(found[size]["rate"])
    return None


def ask_rates(cases: Sequence[Case], settings: Settings, args: argparse.Namespace) -> Rates:
    """The rates of these cases; where the size that serves cannot be reached, the own decides."""
    rates: Rates = {}
    if args.rates.exists():
        rates = json.loads(args.rates.read_text(encoding="utf-8"))
    serves = settings["rates"]["sizes"]
    at_serving = [Case(serving_task(x, settings), x.entry, serves[x.size]) for x in cases]
    choose(at_serving, rates, settings, args)
    alone = [
        Case(serving_task(case, settings), case.entry, case.size)
        for case in cases
        if "not_reachable" in of_entry(case, rates, settings).get(serves[case.size], {})
    ]
    choose(alone, rates, settings, args)
    return rates


def row_file(folder: Path, case: Case, seed: int) -> Path:
    """Where the row of a run is."""
    return folder / f"{case.stem}_{seed}.json"


def reason_file(folder: Path, case: Case) -> Path:
    """Where it is said why a size cannot be reached; for all seeds."""
    return folder / f"{case.stem}.json"


def write_reason(folder: Path, case: Case, reason: str) -> None:
    """A record of a size that cannot be reached."""
    about = {"task": case.task, "label": case.entry, "target": case.size, "not_reachable": reason}
    folder.mkdir(parents=True, exist_ok=True)
    write_json(reason_file(folder, case), about)
    print(f"{case.stem}: not reachable ({reason})", flush=True)


def read_records(folder: Path) -> tuple[list[Row], list[dict[str, str]]]:
    """The rows in a folder, and the records of what cannot be reached."""
    found = read_rows(folder)
    reasons = [record for record in found if "not_reachable" in record]
    return [record for record in found if "not_reachable" not in record], reasons


def record(run: Run, settings: Settings, args: argparse.Namespace, folder: Path) -> bool:
    """Do a run and write its row; returns whether there is one, or the reason for none."""
    case = run.case
    outcome = do(run, settings, args)
    if outcome.not_reachable:
        write_reason(folder, case, outcome.error)
        return True
    if outcome.folder is None:
        print(f"{case.stem}_{run.seed}: failed ({outcome.error})", flush=True)
        return False
    row = make_row(outcome.folder, case.size, case.entry)
    folder.mkdir(parents=True, exist_ok=True)
    file = row_file(folder, case, run.seed)
    write_json(file, row, indent=None)
    metric = kind_and_metrics(row)[1][0]
    score = next(iter(row["artifact"]["scores"].values()))[metric.name]
    print(f"{file.stem}: {metric.heading} {metric.shown(score)}, {file}", flush=True)
    return True


def is_planned(case: Case, settings: Settings) -> bool:
    """Whether the plan of the settings has the case."""
    return any(
        case.task in part["tasks"] and case.size in part["sizes"] and case.entry in part["entries"]
        for part in settings["plan"]
    )


def main_runs(cases: Sequence[Case], settings: Settings, args: argparse.Namespace) -> list[bool]:
    """Whether each run has a row."""
    wanted = [(case, seed) for seed in args.seeds for case in cases]
    lacking = [x for x in wanted if not row_file(args.records, *x).exists()]
    lacking = [x for x in lacking if not reason_file(args.records, x[0]).exists()]
    rates = ask_rates([case for case, _ in lacking], settings, args)
    runs, done = [], [True] * (len(wanted) - len(lacking))
    for case, seed in lacking:
        rate = rate_of(case, rates, settings)
        own = of_entry(case, rates, settings).get(case.size, {})
        if rate is not None:
            runs.append(Run(case, seed, rate))
        elif "not_reachable" in own:
            write_reason(args.records, case, own["not_reachable"])
            done.append(True)
        else:
            print(f"{case.stem}_{seed}: left out, since it has no rate", flush=True)
            done.append(False)
    return done + at_once(args.jobs, lambda run: record(run, settings, args, args.records), runs)


def longer(row: Row, reference: Row) -> int | None:
    """The steps that a run has in the seconds of the reference; None if it is not faster.

    Raises:
        ValueError: the seconds cannot be compared.
    """
    own, theirs = training_seconds(row), training_seconds(reference)
    if own is None or theirs is None:
        raise ValueError("a run was resumed, so that its seconds are not known")
    machines = [
        [r["machine"].get(k) for k in ("device", "cpu", "threads")] for r in (row, reference)
    ]
    if machines[0] != machines[1]:
        raise ValueError(f"it ran on {machines[0]}, {reference['label']} on {machines[1]}")
    steps = round(row["steps"] * theirs / own)
    return steps if steps > row["steps"] else None


def equal_seconds(
    cases: Sequence[Case], settings: Settings, args: argparse.Namespace
) -> list[bool]:
    """Whether each run with more steps has a row; those of one case have the same number.

    The seconds are those of the first seed that both the entry and the reference have.
    """
    rows, _ = read_records(args.records)
    found = {(r["task"], r["label"], r["target"], r["seed"]): r for r in rows}
    folder, runs, done = args.records / SECONDS, [], []
    for case in cases:
        pairs = [
            (found[case.task, case.entry, case.size, seed], theirs)
            for (task, entry, size, seed), theirs in sorted(found.items())
            if (task, entry, size) == (case.task, settings["reference"], case.size)
            and (case.task, case.entry, case.size, seed) in found
        ]
        if case.entry == settings["reference"]:
            continue
        if not pairs:
            print(
                f"{case.stem}: left out, since it or {settings['reference']} has no row", flush=True
            )
            continue
        try:
            steps = longer(*pairs[0])
        except ValueError as error:
            print(f"{case.stem}: left out: {error}", flush=True)
            done.append(False)
            continue
        if steps is None:
            print(f"{case.stem}: not faster than {settings['reference']}", flush=True)
            continue
        for seed in args.seeds:
            if row_file(folder, case, seed).exists():
                done.append(True)
            else:
                runs.append(Run(case, seed, pairs[0][0]["rate"], steps))
    return done + at_once(args.jobs, lambda run: record(run, settings, args, folder), runs)


def parse(arguments: list[str], settings: Settings) -> argparse.Namespace:
    """The command line; ``overrides``: those of all runs."""

    def one_of(known: Iterable[str]) -> Any:
        def read(text: str) -> list[str]:
            # The names of entries have commas: one may be given several times.
            found = [text] if text in known else names(text)
            if unknown := [name for name in found if name not in known]:
                raise argparse.ArgumentTypeError(f"{unknown[0]}: choose of {'; '.join(known)}")
            return found

        return read

    parser = argparse.ArgumentParser(
        allow_abbrev=False, description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument(
        "--task", type=one_of(settings["tasks"]), default=settings["tasks"], help="default: all"
    )
    parser.add_argument(
        "--entry",
        type=one_of(settings["entries"]),
        action="extend",
        help="default: those of the plan",
    )
    parser.add_argument("--size", type=one_of(settings["sizes"]), default=list(settings["sizes"]))
    parser.add_argument(
        "--seeds", type=lambda text: [int(x) for x in names(text)], default=[1], help="default: 1"
    )
    parser.add_argument("--jobs", type=int, default=1, help="at once (default: 1)")
    parser.add_argument("--data", type=Path, help="folder of the GLUE files (default: the hub)")
    parser.add_argument("--rates", type=Path, default=RATES, help="file of the learning rates")
    parser.add_argument("--equal-seconds", action="store_true", help="see above")
    parser.add_argument("--records", type=Path, default=RECORDS)
    parser.add_argument("--outputs", type=Path, default=Path("outputs/comparison"))
    args, args.overrides = parser.parse_known_args(arguments)
    for word in args.overrides:
        key = word.partition("=")[0]
        if word.startswith("-") or key in GIVEN or key.startswith("target."):
            parser.error(f"{word}: no override of all runs; see --help")
    return args


def main(arguments: list[str]) -> int:
    """0 if every run has a record."""
    settings = read_settings()
    args = parse(arguments, settings)
    entries = args.entry or list(settings["entries"])
    cases = [Case(t, e, s) for t in args.task for s in args.size for e in entries]
    if args.entry is None:
        cases = [case for case in cases if is_planned(case, settings)]
    done = (equal_seconds if args.equal_seconds else main_runs)(cases, settings, args)
    print(f"{sum(done)} of {len(done)} have a record in {args.records}")
    return 0 if all(done) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
