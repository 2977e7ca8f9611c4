"""Trials, leases and decisions that workers share."""

from pathlib import Path
from typing import Any

import pytest

from lada.search.ledger import JOURNAL, Ledger
from lada.search.settings import SearchSettings
from lada.search.space import read_space

SPACE = read_space(["optim.lr=log(1e-4,1e-2)", "schedule.rounds=choice(2,4)"])


class Clock:
    """Seconds that a test sets."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def worker(folder: Path, clock: Clock, host: str = "a", **settings: Any) -> Ledger:
    """A worker that takes those of other hosts for unreachable."""
    return Ledger(folder, SearchSettings(**{"trials": 4} | settings), SPACE, clock=clock, boot=host)


def test_the_budget_is_met_exactly(tmp_path: Path, clock: Clock) -> None:
    first, second = worker(tmp_path, clock), worker(tmp_path, clock)
    taken = [ledger.take() for ledger in (first, second, second, first)]
    assert [t.number for t in taken if t] == [0, 1, 2, 3]
    assert first.take() is None and second.take() is None
    for t, ledger in zip(taken, (first, second, second, first), strict=True):
        assert not first.finished()
        assert t is not None and ledger.tell(t, [0.5])
    assert first.finished() and second.finished()
    assert [trial.number for trial in first.trials()] == [0, 1, 2, 3]


def test_a_lease_that_has_expired_is_taken_over(tmp_path: Path, clock: Clock) -> None:
    first = worker(tmp_path, clock, "a", trials=1)
    second = worker(tmp_path, clock, "b", trials=1)
    mine = first.take()
    assert mine is not None and mine.attempt == 1
    clock.now += 59.0
    assert second.take() is None
    assert first.keep(mine)
    clock.now += 59.0
    assert second.take() is None  # it was renewed
    clock.now += 2.0
    theirs = second.take()
    assert theirs is not None and theirs.attempt == 2
    assert theirs.params == mine.params
    # The first was asleep: it may neither renew, nor decide, nor tell.
    assert not first.keep(mine)
    assert first.climb(mine, 10, 0.5) is None
    assert not first.tell(mine, [0.9])
    first.release(mine)
    assert second.keep(theirs)
    assert second.tell(theirs, [0.7])
    assert [trial.values for trial in first.trials()] == [[0.7]]


def test_who_wakes_up_first_keeps_its_trial(tmp_path: Path, clock: Clock) -> None:
    first, second = worker(tmp_path, clock, "a", trials=1), worker(tmp_path, clock, "b", trials=1)
    mine = first.take()
    clock.now += 1000.0
    assert mine is not None and first.keep(mine)
    assert second.take() is None


def test_a_worker_that_died_on_this_host_is_known_at_once(tmp_path: Path, clock: Clock) -> None:
    first, second = worker(tmp_path, clock, trials=1), worker(tmp_path, clock, trials=1)
    other = worker(tmp_path, clock, "another host", trials=1)
    assert first.take() is not None
    assert second.take() is None
    first._alive.release()  # as the kernel does
    assert other.take() is None
    taken = second.take()
    assert taken is not None and taken.attempt == 2


def test_what_is_given_up_can_be_taken_at_once(tmp_path: Path, clock: Clock) -> None:
    first, second = worker(tmp_path, clock, "a", trials=1), worker(tmp_path, clock, "b", trials=1)
    taken = first.take()
    assert taken is not None
    first.release(taken)
    assert second.take() is not None


def test_a_record_that_was_cut_is_removed(tmp_path: Path, clock: Clock) -> None:
    """A worker killed in the middle of a record: without this, the next record would join it."""
    ledger = worker(tmp_path, clock)
    taken = ledger.take()
    whole = (tmp_path / JOURNAL).read_bytes()
    for end in (b"{", b'{"op_code":4,"worker_id":"x"', b'{"op_code":6}'):
        (tmp_path / JOURNAL).write_bytes(whole + end)
        assert len(ledger.trials()) == 1
        assert (tmp_path / JOURNAL).read_bytes() == whole
    assert taken is not None and ledger.tell(taken, [0.5])


def test_a_trial_without_a_lease_is_nobody_s(tmp_path: Path, clock: Clock) -> None:
    """Killed between the record of a trial and its lease."""
    first, second = worker(tmp_path, clock, "a"), worker(tmp_path, clock, "b")
    first.take()
    (tmp_path / "leases" / "0000.json").unlink()
    taken = second.take()
    assert taken is not None and (taken.number, taken.attempt) == (0, 1)


@pytest.mark.parametrize("sampler", ["tpe", "random", "nsga"])
def test_values_are_a_function_of_seed_number_and_history(
    tmp_path: Path, clock: Clock, sampler: str
) -> None:
    drawn = []
    for name in ("a", "b"):
        ledger = worker(tmp_path / name, clock, sampler=sampler, trials=14)
        if name == "b":  # another process
            assert ledger.take() is not None
            ledger.close()
            ledger = worker(tmp_path / name, clock, sampler=sampler, trials=14)
        while (taken := ledger.take()) is not None:
            ledger.tell(taken, [taken.params["optim.lr"]])
        drawn.append([trial.params for trial in ledger.trials()])
    assert drawn[0] == drawn[1]
    assert len({params["optim.lr"] for params in drawn[0]}) == 14
    assert {params["schedule.rounds"] for params in drawn[0]} == {"2", "4"}
    other = worker(tmp_path / "c", clock, sampler=sampler, seed=2)
    taken = other.take()
    assert taken is not None and taken.params not in drawn[0]


def test_independent_values_do_not_depend_on_the_order(tmp_path: Path, clock: Clock) -> None:
    one = worker(tmp_path / "one", clock, sampler="random")
    while (taken := one.take()) is not None:
        one.tell(taken, [0.5])
    several = [worker(tmp_path / "several", clock, sampler="random") for _ in range(2)]
    both = [(ledger, ledger.take()) for ledger in (*several, *several)]
    for ledger, taken in reversed(both):
        assert taken is not None and ledger.tell(taken, None, error="full")
    assert [t.params for t in one.trials()] == [t.params for t in several[0].trials()]


def test_halving_decides_once(tmp_path: Path, clock: Clock) -> None:
    ledger = worker(tmp_path, clock, halving="[10,20]")
    trials = [ledger.take() for _ in range(3)]
    first, second, third = (t for t in trials if t is not None)
    assert ledger.climb(first, 10, 0.5)
    assert ledger.climb(second, 10, 0.4) is False
    assert ledger.climb(third, 10, 0.6)
    # By now the first is not among the best half, but it was when it came.
    assert ledger.climb(first, 10, 0.5)
    assert ledger.climb(first, 20, 0.1)  # the first there
    assert ledger.tell(second, None)
    assert [t.state.name for t in ledger.trials()] == ["RUNNING", "PRUNED", "RUNNING"]


def test_several_objectives(tmp_path: Path, clock: Clock) -> None:
    ledger = worker(tmp_path, clock, objectives="[score,bytes]")
    for values in ([0.9, 300.0], [0.8, 200.0], [0.7, 250.0]):
        taken = ledger.take()
        assert taken is not None and ledger.tell(taken, values)
    taken = ledger.take()
    assert taken is not None and ledger.tell(taken, None, error="no space left")
    assert sorted(trial.number for trial in ledger.best_of_each()) == [0, 1]
    last = ledger.trials()[3]
    assert last.state.name == "FAIL"
    assert last.user_attrs["error"] == "no space left"
