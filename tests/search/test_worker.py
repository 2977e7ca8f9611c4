"""A worker, with trials of a fraction of a second in the place of runs."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers import ROOT

from lada.search.ledger import Ledger
from lada.search.settings import SearchSettings
from lada.search.space import read_space
from lada.search.worker import Worker

TRIAL = ROOT / "experiments" / "search" / "small_trial.py"
WORDS = ["optim.lr=log(1e-4,1e-2)", "ratios=random"]
Making = Callable[..., tuple[Worker, list[str]]]


@pytest.fixture
def made(tmp_path: Path) -> Making:
    """A worker of trials without waits, and the lines that it says."""

    def make(script: Path = TRIAL, **settings: Any) -> tuple[Worker, list[str]]:
        search, space, said = (
            SearchSettings(**{"trials": 3, "sampler": "random"} | settings),
            read_space(WORDS),
            list[str](),
        )

        def command(words: list[str], folder: Path) -> list[str]:
            return [sys.executable, "-I", "-S", str(script), str(folder), "0", *words]

        ledger = Ledger(tmp_path, search, space)
        worker = Worker(
            ledger,
            search,
            space,
            home=tmp_path,
            trials=tmp_path / "trials",
            command=command,
            poll=0.02,
            say=said.append,
        )
        return worker, said

    return make


def test_trials_are_done_and_told(made: Making, tmp_path: Path) -> None:
    worker, said = made()
    worker.work()
    trials = worker.ledger.trials()
    assert [trial.state.name for trial in trials] == ["COMPLETE"] * 3
    for trial in trials:
        record = json.loads((tmp_path / trial.user_attrs["folder"] / "results.json").read_text())
        assert trial.values == [record["artifact"]["validation_score"]]
        assert trial.user_attrs["attempts"] == 1
        assert trial.user_attrs["words"][-1] == f"ratios.draw={trial.number}"
    assert [line.partition(":")[0] for line in said[::2]] == [f"trial {n}" for n in range(3)]


def test_trials_know_the_name_of_their_search(made: Making, tmp_path: Path) -> None:
    """By it they are a group in dashboards."""
    script, told = tmp_path / "script.py", tmp_path / "told"
    script.write_text(
        "import os, pathlib, runpy\n"
        f"pathlib.Path({str(told)!r}).write_text(os.environ['LADA_SWEEP'])\n"
        f"runpy.run_path({str(TRIAL)!r}, run_name='__main__')\n"
    )
    made(script, trials=1)[0].work()
    assert told.read_text() == tmp_path.name


def test_a_trial_that_fails_is_told_and_does_not_stop_the_search(
    made: Making, tmp_path: Path
) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import sys, runpy\n"
        "if sys.argv[-1].endswith('=1'): print('error: no space left'); sys.exit(2)\n"
        f"runpy.run_path({str(TRIAL)!r}, run_name='__main__')\n"
    )
    worker, said = made(script)
    worker.work()
    trials = worker.ledger.trials()
    assert [trial.state.name for trial in trials] == ["COMPLETE", "FAIL", "COMPLETE"]
    assert trials[1].user_attrs["error"] == "no space left"
    assert "trial 1 failed: no space left" in said


def test_a_run_that_is_killed_is_resumed(made: Making, tmp_path: Path) -> None:
    """By something else than its worker, such as the kernel for the want of memory."""
    script = tmp_path / "script.py"
    script.write_text(
        "import os, sys, runpy, pathlib\n"
        "tries = pathlib.Path(sys.argv[1], 'tries')\n"
        "count = len(tries.read_text()) if tries.exists() else 0\n"
        "tries.write_text('x' * (count + 1))\n"
        "if count < int(sys.argv[-1][-1]) * 2: os.kill(os.getpid(), 9)\n"
        f"runpy.run_path({str(TRIAL)!r}, run_name='__main__')\n"
    )
    worker, _ = made(script)
    worker.work()
    trials = worker.ledger.trials()
    assert [trial.state.name for trial in trials] == ["COMPLETE", "COMPLETE", "FAIL"]
    assert trials[2].user_attrs["error"] == "killed by signal 9"


def test_halving_is_by_the_curves(made: Making, tmp_path: Path) -> None:
    """As if each trial had come to each step after those before it, however fast they were."""
    worker, _ = made(trials=6, halving="[2,4]", keep=0.5)
    worker.work()
    trials = worker.ledger.trials()
    gone, states = {2: list[float](), 4: list[float]()}, []
    for trial in trials:
        loss = abs(trial.params["optim.lr"] - 0.001) * 100
        state = "COMPLETE"
        for step, before in gone.items():
            score = round(step / 6 - loss, 6)
            assert trial.user_attrs[f"score at step {step}"]["score"] == score
            before.append(score)
            if sorted(before, reverse=True).index(score) >= max(1, len(before) // 2):
                state = "PRUNED"
                break
        states.append(state)
    assert [trial.state.name for trial in trials] == states
    assert {*states} == {"COMPLETE", "PRUNED"}


def test_a_worker_that_has_lost_its_lease_stops_its_run(made: Making, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text("import time; time.sleep(600)")
    worker, said = made(script, trials=1, lease=1.0)
    other = Ledger(tmp_path, worker.search, worker.space, boot="another host", clock=lambda: 1e12)

    def take_over(taken: Any) -> bool:
        theirs = other.take()
        assert theirs is not None and other.tell(theirs, [0.5])
        return bool(kept(taken))

    kept = worker.ledger.keep
    worker.ledger.keep = take_over  # type: ignore[method-assign]
    worker.work()
    assert said[-1] == "trial 0: another worker has taken it over"
    assert [trial.values for trial in other.trials()] == [[0.5]]


def test_a_worker_that_is_stopped_gives_its_trial_up(made: Making, tmp_path: Path) -> None:
    """By SIGTERM, say, which `lada search` makes a SystemExit: the run is told to stop, too."""
    script = tmp_path / "script.py"
    script.write_text(
        "import signal, sys, time, pathlib\n"
        "place = pathlib.Path(sys.argv[1])\n"
        "def stop(*args): (place / 'stopped').touch(); sys.exit(143)\n"
        "signal.signal(signal.SIGTERM, stop)\n"
        "(place / 'started').touch()\n"
        "time.sleep(600)\n"
    )

    class Stopped(Worker):
        def _climb(self, taken: Any, folder: Path, climbed: int = 0) -> int:
            if (folder / "started").exists():
                sys.exit(143)
            return climbed

    worker, _ = made(script, trials=1)
    with pytest.raises(SystemExit):
        Stopped(**vars(worker)).work()
    assert (tmp_path / "trials/0000/1/stopped").exists()
    taken = Ledger(tmp_path, worker.search, worker.space, boot="another host").take()
    assert taken is not None and (taken.number, taken.attempt) == (0, 2)


@pytest.mark.slow
def test_killed_workers(tmp_path: Path) -> None:
    """The check of experiments/search: budget, trials and results do not depend on kills."""
    script, out = ROOT / "experiments" / "search" / "kills.py", tmp_path / "kills.json"
    options = "--searches 4 --trials 4 --kills 2 --seconds 0.3".split()
    done = subprocess.run(
        [sys.executable, str(script), *options, "--out", str(out)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    rows = json.loads(out.read_text())["searches"]
    assert sum(row["kills"] for row in rows) > 0
    assert all(all(row["held"].values()) for row in rows)
