"""Ranges of keys, and what a search is asked for."""

from pathlib import Path

import pytest

from lada.errors import LadaError
from lada.search.compose import check_trials
from lada.search.settings import SearchSettings, settings_of
from lada.search.space import Range, read_space


def test_ranges_and_words() -> None:
    space = read_space(
        [
            "task=demo",
            "optim.lr=log(1e-4,1e-3)",
            "schedule.rounds=int(2,8)",
            "distill.hidden=uniform(0,1)",
            "method=choice(lada,lada_plus)",
            "data.dir='choice(a)'",
        ]
    )
    assert space.words == ("task=demo", "data.dir='choice(a)'")
    assert space.ranges == (
        Range("optim.lr", "log", (1e-4, 1e-3)),
        Range("schedule.rounds", "int", (2, 8)),
        Range("distill.hidden", "uniform", (0.0, 1.0)),
        Range("method", "choice", options=("lada", "lada_plus")),
    )
    params = {
        "optim.lr": 0.00012345678901234567,
        "schedule.rounds": 3,
        "distill.hidden": 1.0,
        "method": "lada",
    }
    *_, lr, rounds, hidden, method = space.words_of(params, 4)
    assert (rounds, hidden, method) == ("schedule.rounds=3", "distill.hidden=1.0", "method=lada")
    assert float(lr.partition("=")[2]) == params["optim.lr"]
    assert not space.finds_ratios


def test_commas_in_brackets_and_quotes_divide_nothing() -> None:
    (found,) = read_space(["task.train_file=choice([a,b], 'c,d', e)"]).ranges
    assert found.options == ("[a,b]", "'c,d'", "e")


def test_the_ratios_of_a_search() -> None:
    points = read_space(["ratios=search", "target=5x"])
    assert points.words == ("ratios=point", "target=5x")
    assert [r.key for r in points.ranges] == ["ratios.encoder", "ratios.by_rank"]
    narrow = read_space(["ratios=search", "ratios.by_rank=uniform(0.5,1)"])
    assert {r.key: r.ends for r in narrow.ranges} == {
        "ratios.encoder": (0.0, 1.0),
        "ratios.by_rank": (0.5, 1.0),
    }
    random = read_space(["ratios=random"])
    assert random.words_of({}, 3) == ["ratios=random", "ratios.draw=3"]
    assert points.finds_ratios and random.finds_ratios
    with pytest.raises(LadaError, match="no key has a range"):
        read_space(["ratios=random", "ratios.draw=3"])


@pytest.mark.parametrize(
    ("word", "line"),
    [
        ("optim.lr=log(0,1)", "a lower end over 0"),
        ("optim.lr=uniform(2,1)", "the smaller one first"),
        ("optim.lr=uniform(0,inf)", "finite"),
        ("optim.lr=uniform(a,b)", "two numbers, as in uniform"),
        ("optim.lr=uniform(1)", "two numbers"),
        ("schedule.rounds=int(2,8.5)", r"two numbers, as in int\(2,8\)"),
        ("method=choice(lada,lada)", "different values"),
        ("method=choice()", "different values"),
        ("-m", "takes KEY=VALUE and --config-dir=DIR alone"),
        ("lr", "is not KEY=VALUE"),
        ("resume=never", "resumes its trials"),
        ("hydra.run.dir=a", "its own folders"),
    ],
)
def test_wrong_words(word: str, line: str) -> None:
    with pytest.raises(LadaError, match=line):
        read_space(["ratios=search", word])


def test_a_key_has_one_range() -> None:
    with pytest.raises(LadaError, match="has a range already"):
        read_space(["optim.lr=log(1e-4,1e-3)", "optim.lr=uniform(0.1,1)"])


def test_settings() -> None:
    words = "trials=7 objectives=[score,bytes] sampler=nsga halving=[2,40] keep=0.25 name=a-1"
    found = settings_of([f"search.{word}" for word in words.split()])
    assert found == SearchSettings(
        trials=7,
        objectives="[score,bytes]",
        sampler="nsga",
        halving="[2,40]",
        keep=0.25,
        name="a-1",
    )
    assert found.goals == ["score", "bytes"]
    assert found.rungs == [2, 40]
    assert SearchSettings().rungs == []


@pytest.mark.parametrize(
    ("word", "line"),
    [
        ("trials=0", "search.trials=0"),
        ("trials=2.5", "search.trials=2.5"),
        ("trial=3", "no such key; did you mean search.trials"),
        ("objectives=accuracy", "choose among score, bytes, ms"),
        ("objectives=[score,score]", "at most once"),
        ("halving=[4,2]", "ascending list of steps"),
        ("halving=0", "is not an ascending list of steps"),
        ("keep=1", "search.keep=1"),
        ("lease=0", "search.lease=0"),
        ("name=a/b", "the name of a choice"),
    ],
)
def test_wrong_settings(word: str, line: str) -> None:
    with pytest.raises(LadaError, match=line):
        settings_of([f"search.{word}"])


def test_trials_that_would_be_rejected_are_known_before(tmp_path: Path) -> None:
    check_trials(read_space(["ratios=search", "optim.lr=log(1e-4,1e-2)", "task=demo"]))
    for word, line in (
        ("optim.lr=log(1e-4,10)", "optim.lr=10"),
        ("optim.lrr=uniform(0,1)", "optim.lrr: no such key"),
        ("method=choice(lada,ladda)", "method=ladda: no such choice; did you mean lada"),
        ("method=choice(lada,pruning)", "method=pruning has no rank"),
        (f"--config-dir={tmp_path}/none", "is not a folder"),
    ):
        with pytest.raises(LadaError, match=line):
            check_trials(read_space(["ratios=search", word]))


def test_choices_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "target").mkdir()
    (tmp_path / "target" / "mine.yaml").write_text("ratio: 3.0\n")
    words = ["ratios=search", "target=mine"]
    space = read_space([*words, f"--config-dir={tmp_path}"])
    assert space.words[0] == f"--config-dir={tmp_path}"  # options before KEY=VALUE
    check_trials(space)
    path = f"hydra.searchpath=[file://{tmp_path}/more]"
    (tmp_path / "more" / "target").mkdir(parents=True)
    (tmp_path / "more" / "target" / "other.yaml").write_text("ratio: 4.0\n")
    more = [path, f"--config-dir={tmp_path}", "ratios=search"]
    check_trials(read_space([*more, "target=choice(mine,other)"]))
    with pytest.raises(LadaError, match="target=mine: no such choice"):
        check_trials(read_space(words))
