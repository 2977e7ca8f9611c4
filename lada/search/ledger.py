"""What the workers of a search share: Optuna's journal and a lease for each running trial.

Every change is made under one lock of the file system, which the kernel releases when its holder
dies. A trial is created by one record that has all of its values, so that a worker that is killed
leaves a trial or none. A record that it has written in part is removed before the next is written.
"""

import json
import secrets
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from filelock import FileLock, Timeout

from lada.errors import LadaError
from lada.report.record import write_json
from lada.search.halving import continues
from lada.search.settings import OBJECTIVES, SearchSettings
from lada.search.space import Space

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler
    from optuna.storages import JournalStorage
    from optuna.study import Study
    from optuna.trial import FrozenTrial

JOURNAL = "journal.log"
STUDY = "lada"
RUNG = "score at step {}"
"""Name of the trial attribute that has the score at a step of halving, and what was decided."""


@dataclass(frozen=True)
class Taken:
    """A trial that a worker has the lease of.

    Attributes:
        params: the values of the keys that have a range.
        attempt: how often it was taken, this time included.
    """

    number: int
    params: dict[str, Any]
    attempt: int


class Ledger:
    """The trials of a search, as one worker sees and changes them.

    Args:
        folder: of the search.
        clock: seconds, the same on all hosts to within a fraction of the lease.
        boot: a name of the running system. A worker that was on the same one has died if its lock
            is free; of others only the lease tells. Empty: not known.

    Example:
        >>> from lada.search.space import read_space
        >>> space = read_space(["optim.lr=log(1e-4,1e-2)"])
        >>> ledger = Ledger(Path("search"), SearchSettings(trials=2), space)
        >>> first, second = ledger.take(), ledger.take()
        >>> first.number, second.number, ledger.take()
        (0, 1, None)
        >>> ledger.tell(first, [0.9]), ledger.tell(second, None, error="no space left")
        (True, True)
        >>> ledger.finished()
        True
    """

    def __init__(
        self,
        folder: Path,
        search: SearchSettings,
        space: Space,
        *,
        clock: Callable[[], float] = time.time,
        boot: str | None = None,
    ):
        self._folder, self._search, self._space = folder, search, space
        self._clock = clock
        self._boot = _boot_id() if boot is None else boot
        self.worker = secrets.token_hex(4)
        for name in ("leases", "workers"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        # Held while this process lives.
        self._alive = FileLock(self._sign(self.worker), timeout=0)
        self._alive.acquire()

    def close(self) -> None:
        """Give up being a worker; its leases lapse."""
        self._alive.release()
        self._sign(self.worker).unlink(missing_ok=True)

    def take(self) -> Taken | None:
        """The next trial for this worker: one whose worker is gone, or a new one; None: neither."""
        with self._open() as (study, _):
            trials = study.get_trials(deepcopy=False)
            for trial in trials:
                if not trial.state.is_finished():
                    lease = self._lease(trial.number)
                    if lease is None or self._has_lapsed(lease):
                        attempt = 1 + (0 if lease is None else int(lease["attempt"]))
                        return self._taken(trial.number, trial.params, attempt)
            if len(trials) >= self._search.trials:
                return None
            return self._taken(len(trials), self._created(study), 1)

    def keep(self, taken: Taken) -> bool:
        """Renew a lease; False: another worker has it."""
        with self._locked():
            if not self._holds(taken):
                return False
            self._write(taken, self._clock() + self._search.lease)
            return True

    def release(self, taken: Taken) -> None:
        """Let another worker have the trial at once."""
        with self._locked():
            if self._holds(taken):
                self._write(taken, 0.0)

    def climb(self, taken: Taken, step: int, score: float) -> bool | None:
        """Whether a trial continues after a step of halving; None: another worker has it.

        The decision is made once: who resumes the trial finds it.

        Args:
            score: at the first validation check at that step or later.
        """
        name = RUNG.format(step)
        with self._open() as (study, storage):
            if not self._holds(taken):
                return None
            trials = study.get_trials(deepcopy=False)
            told = {t.number: t.user_attrs[name] for t in trials if name in t.user_attrs}
            if taken.number in told:
                return bool(told[taken.number]["continues"])
            others = [float(attribute["score"]) for attribute in told.values()]
            onward = continues(score, others, self._search.keep)
            storage.set_trial_user_attr(
                _id_of(storage, taken.number), name, {"score": score, "continues": onward}
            )
            return onward

    def tell(
        self,
        taken: Taken,
        values: list[float] | None,
        *,
        error: str | None = None,
        about: Mapping[str, Any] | None = None,
    ) -> bool:
        """Finish a trial; False: another worker has it, and nothing is told.

        Args:
            values: of the objectives; None: it failed, or it was stopped.
            error: the line with which it failed; None with no values: halving has stopped it.
            about: what else is known of it.
        """
        from optuna.trial import TrialState

        with self._open() as (study, storage):
            if not self._holds(taken):
                return False
            found = {**(about or {}), "attempts": taken.attempt}
            if error is not None:
                found["error"] = error
            for name, value in found.items():
                storage.set_trial_user_attr(_id_of(storage, taken.number), name, value)
            if values is not None:
                study.tell(taken.number, values)
            else:
                state = TrialState.PRUNED if error is None else TrialState.FAIL
                study.tell(taken.number, state=state)
            self._file(taken.number).unlink(missing_ok=True)
            return True

    def trials(self) -> list["FrozenTrial"]:
        """All trials so far."""
        with self._open() as (study, _):
            return list(study.get_trials())

    def best_of_each(self) -> list["FrozenTrial"]:
        """The finished trials that no other is better than in every objective: the Pareto front."""
        with self._open() as (study, _):
            return list(study.best_trials)

    def finished(self) -> bool:
        """Whether all trials are done."""
        trials = self.trials()
        return len(trials) >= self._search.trials and all(t.state.is_finished() for t in trials)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with FileLock(self._folder / ".lock"):
            yield

    @contextmanager
    def _open(self) -> Iterator[tuple["Study", "JournalStorage"]]:
        """The study, read anew, under the lock."""
        import optuna
        from optuna.storages import JournalStorage
        from optuna.storages.journal import JournalFileBackend

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        with self._locked(), warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            file = self._folder / JOURNAL
            _mend(file)
            held: Any = _Held()
            storage = JournalStorage(JournalFileBackend(str(file), lock_obj=held))
            if not storage.get_all_studies():  # asking to create it would write a record
                directions = [OBJECTIVES[goal] for goal in self._search.goals]
                optuna.create_study(study_name=STUDY, storage=storage, directions=directions)
            study = optuna.load_study(study_name=STUDY, storage=storage)
            if not study.metric_names:
                study.set_metric_names(self._search.goals)
            yield study, storage

    def _created(self, study: "Study") -> dict[str, Any]:
        """A new trial, by a single record; returns its values.

        They are drawn in a copy of the study in memory: Optuna's own `ask` writes a record for each
        value. All that is random in them is a function of the seed and the number of the trial.
        """
        import optuna
        from optuna.trial import TrialState, create_trial

        number = len(study.get_trials(deepcopy=False))
        copy = optuna.create_study(
            sampler=_sampler(self._search, number), directions=study.directions
        )
        copy.add_trials(study.get_trials())
        asked = copy.ask({r.key: r.distribution() for r in self._space.ranges})
        drawn = copy.get_trials()[-1]
        study.add_trial(
            create_trial(
                state=TrialState.RUNNING,
                params=asked.params,
                distributions=drawn.distributions,
                system_attrs=drawn.system_attrs,
            )
        )
        return dict(asked.params)

    def _taken(self, number: int, params: dict[str, Any], attempt: int) -> Taken:
        taken = Taken(number, dict(params), attempt)
        self._write(taken, self._clock() + self._search.lease)
        return taken

    def _write(self, taken: Taken, until: float) -> None:
        lease = {
            "worker": self.worker,
            "boot": self._boot,
            "attempt": taken.attempt,
            "until": until,
        }
        write_json(self._file(taken.number), lease)

    def _holds(self, taken: Taken) -> bool:
        lease = self._lease(taken.number)
        mine = {"worker": self.worker, "attempt": taken.attempt}
        return lease is not None and mine.items() <= lease.items()

    def _lease(self, number: int) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = json.loads(self._file(number).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        return found

    def _has_lapsed(self, lease: dict[str, Any]) -> bool:
        if lease["until"] <= self._clock():
            return True
        if not self._boot or lease["boot"] != self._boot:
            return False
        try:
            with FileLock(self._sign(lease["worker"]), timeout=0):
                return True
        except Timeout:
            return False

    def _file(self, number: int) -> Path:
        return self._folder / "leases" / f"{number:04d}.json"

    def _sign(self, worker: str) -> Path:
        return self._folder / "workers" / f"{worker}.lock"


def _sampler(search: SearchSettings, number: int) -> "BaseSampler":
    from optuna.samplers import NSGAIISampler, RandomSampler, TPESampler

    kinds = {"tpe": TPESampler, "random": RandomSampler, "nsga": NSGAIISampler}
    seed = int(np.random.SeedSequence([search.seed, number]).generate_state(1)[0])
    found: BaseSampler = kinds[search.sampler](seed=seed)
    return found


def _id_of(storage: "JournalStorage", number: int) -> int:
    study = storage.get_study_id_from_name(STUDY)
    return int(storage.get_trial_id_from_study_id_trial_number(study, number))


def _mend(journal: Path) -> None:
    """Remove the last record if it was written in part: the next would be appended to it."""
    try:
        data = journal.read_bytes()
    except FileNotFoundError:
        return
    whole = data.rfind(b"\n") + 1
    if whole < len(data):
        with journal.open("rb+") as file:
            file.truncate(whole)


class _Held:
    """A lock of the journal for who has that of the search already."""

    def acquire(self) -> bool:
        return True

    def release(self) -> None:
        pass


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def check_installed() -> None:
    """Reject a search without Optuna.

    Raises:
        LadaError: it is not installed.
    """
    try:
        import optuna  # noqa: F401
    except ImportError:
        raise LadaError(
            "lada search: Optuna is not installed. Run pip install 'ladabert[search]'."
        ) from None
