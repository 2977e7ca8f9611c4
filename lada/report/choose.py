"""Which point of a trade-off to take: the smallest that is as good as the best.

Points are finished runs on one task with the same dev examples. Those that meet the limits are
compared with the best of them by paired tests (`lada.report.differences`); a difference that is not
significant is no reason for a larger file.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lada.heads.kinds import Metric
from lada.report.differences import difference, interval
from lada.report.rows import Row, kind_and_metrics, make_row, read_row
from lada.report.stats import holm

LEVEL = 0.05
RESULTS = "results.json"


@dataclass(frozen=True)
class Limits:
    """What a point has to meet; None: no limit. A number that is not over 0 is rejected.

    Attributes:
        mb: most megabytes (10^6 bytes) of ``model.safetensors``.
        ms: most milliseconds for one example, as the run has measured them.
        retention: least share of the teacher's score, in percent.
    """

    mb: float | None = None
    ms: float | None = None
    retention: float | None = None

    def __post_init__(self) -> None:
        options = {"--max-mb": self.mb, "--max-ms": self.ms, "--min-retention": self.retention}
        for option, value in options.items():
            if value is not None and not 0.0 < value < float("inf"):
                raise ValueError(f"{option} {value:g}: must be over 0 and finite. Give a number.")


@dataclass(frozen=True)
class Point:
    """A finished run.

    Attributes:
        name: what it is shown as.
        row: see `lada.report.rows.make_row`.
    """

    name: str
    row: Row

    @property
    def metric(self) -> Metric:
        """The one that decides."""
        return kind_and_metrics(self.row)[1][0]

    @property
    def split(self) -> str:
        """The first dev split."""
        name: str = next(iter(self.row["artifact"]["scores"]))
        return name

    def score(self, who: str = "artifact") -> float:
        """Of the artifact or the teacher."""
        value: float = self.row[who]["scores"][self.split][self.metric.name]
        return value

    @property
    def interval(self) -> tuple[float, float]:
        """95 %, of the artifact's score."""
        return interval([self.row], "artifact", self.split)

    @property
    def retention(self) -> float:
        """Percent of the teacher's score."""
        teacher = self.score("teacher")
        return 100.0 * self.score() / teacher if teacher else float("nan")

    @property
    def mb(self) -> float:
        """Megabytes of the file."""
        return float(self.row["artifact"]["stored_bytes"]) / 1e6

    @property
    def ms(self) -> float:
        """Milliseconds for one example."""
        return float(self.row["latency"]["artifact"])

    def misses(self, limits: Limits) -> list[str]:
        """The limits that it does not meet, as words."""
        found = []
        if limits.mb is not None and self.mb > limits.mb:
            found.append(f"{self.mb:.2f} MB")
        if limits.ms is not None and self.ms > limits.ms:
            found.append(f"{self.ms:.1f} ms")
        if limits.retention is not None and not self.retention >= limits.retention:
            found.append(f"{self.retention:.1f} % kept")
        return found


@dataclass(frozen=True)
class Choice:
    """The point to take, and why.

    Attributes:
        points: those that meet the limits: first the chosen one, then the runner-up. Those that do
            not differ significantly from the best come first, the smallest first; then the others,
            the best first.
        best: the one with the highest score.
        p_values: of the difference of each of ``points`` to ``best``, adjusted (Holm); its own is
            1.
        missed: the others, and the limits that they do not meet.
    """

    points: tuple[Point, ...]
    best: Point
    p_values: tuple[float, ...]
    missed: tuple[tuple[Point, tuple[str, ...]], ...]

    @property
    def equals(self) -> int:
        """How many points do not differ significantly from the best, itself included."""
        return sum(p > LEVEL for p in self.p_values)


def choose(points: Sequence[Point], limits: Limits) -> Choice:
    """The smallest of the points that meet the limits and are as good as the best of them.

    Raises:
        ValueError: there is none, or the points are not of one task and the same dev examples.
    """
    _check_comparable(points)
    missed = {i: tuple(point.misses(limits)) for i, point in enumerate(points)}
    fits = [point for i, point in enumerate(points) if not missed[i]]
    out = tuple((points[i], words) for i, words in missed.items() if words)
    if not fits:
        raise ValueError(_none_fits(points, limits))
    best = max(fits, key=lambda point: (point.score(), -point.mb))
    others = [point for point in fits if point is not best]
    tests = [difference([(best.row, point.row)], best.split)[1] for point in others]
    p_of = {id(best): 1.0} | {id(o): p for o, p in zip(others, holm(tests), strict=True)}
    order = sorted(
        fits,
        key=lambda point: (
            (0, point.mb, -point.score()) if p_of[id(point)] > LEVEL else (1, -point.score(), 0.0)
        ),
    )
    return Choice(tuple(order), best, tuple(p_of[id(point)] for point in order), out)


def _check_comparable(points: Sequence[Point]) -> None:
    if not points:
        raise ValueError("choose: there is no finished run. Give a folder with results.json in it.")
    tasks = {(point.row["task"], point.metric.title) for point in points}
    if len(tasks) > 1:
        names = ", ".join(sorted(f"{task} ({title})" for task, title in tasks))
        raise ValueError(
            f"choose: the runs are of several tasks: {names}. Give --task, or a folder of one."
        )
    digests = {point.row["data"][point.split].get("sha256") for point in points}
    if len(digests) > 1:
        raise ValueError(
            f"choose: the runs have {len(digests)} different sets of dev examples, so that their "
            "scores do not compare. Give folders of runs on the same data."
        )


def _none_fits(points: Sequence[Point], limits: Limits) -> str:
    """One line that says how near the points come to each limit."""
    parts = []
    if limits.mb is not None:
        parts.append(f"the smallest file has {min(p.mb for p in points):.2f} MB")
    if limits.ms is not None:
        parts.append(f"the fastest takes {min(p.ms for p in points):.1f} ms")
    if limits.retention is not None:
        parts.append(f"the best keeps {max(p.retention for p in points):.1f} %")
    together = " (not the same run)" if len(parts) > 1 else ""
    return (
        f"choose: none of the {len(points)} runs meets all limits; {', '.join(parts)}{together}. "
        "Give other limits, or more runs."
    )


def reason(choice: Choice, limits: Limits) -> str:
    """Why the chosen point is the one, in one to three sentences."""
    chosen, count = choice.points[0], len(choice.points)
    wanted = [
        text
        for value, text in (
            (limits.mb, f"at most {limits.mb} MB"),
            (limits.ms, f"at most {limits.ms} ms"),
            (limits.retention, f"at least {limits.retention} % of the teacher's score"),
        )
        if value is not None
    ]
    total, title = count + len(choice.missed), chosen.metric.title
    have = "has" if count == 1 else "have"
    among = f"{count} of {total} runs {have} {', '.join(wanted)}. " if wanted else ""
    if count == 1:
        return among.rstrip() or "It is the only run."
    of = "Of these" if wanted else f"Of {total} runs"
    best, p = choice.best, choice.p_values[0]
    if chosen is best:
        larger = "those that do not differ significantly from it are larger"
        rest = larger if choice.equals > 1 else "the others are significantly worse"
        return f"{among}{of}, it has the best {title}; {rest}."
    return (
        f"{among}{of}, {best.name} has the best {title} ({best.metric.shown(best.score())}). The "
        f"difference from it is not significant (p {p:.2g}), and this file is smaller by "
        f"{best.mb - chosen.mb:.2f} MB."
    )


def find_points(folders: Sequence[Path], task: str | None = None) -> list[Point]:
    """The finished runs in folders, at any depth; or, where there are none, the rows of runs.

    Args:
        folders: of runs (``results.json``), or of rows (`lada.report.rows.write_row`).
        task: only those of this task.

    Raises:
        ValueError: there is no such folder, it has neither, or a run in it cannot be read.
    """
    found = []
    for folder in folders:
        if not folder.is_dir():
            raise ValueError(f"{folder}: no such folder. Give the folder of runs, or of one.")
        runs = sorted(file.parent for file in folder.rglob(RESULTS))
        files = [] if runs else sorted(folder.glob("*.json"))
        try:
            rows = [(str(run), make_row(run, "")) for run in runs]
            rows += [(file.stem, row) for file in files if "latency" in (row := read_row(file))]
        except (OSError, ValueError, KeyError) as error:
            raise ValueError(
                f"{folder}: a run in it cannot be read ({type(error).__name__}: {error}). Give "
                "another folder."
            ) from None
        if not rows:
            raise ValueError(f"{folder}: has no finished run. Give the folder of runs, or of one.")
        found += [Point(name, row) for name, row in rows]
    return [point for point in found if task in (None, point.row["task"])]
