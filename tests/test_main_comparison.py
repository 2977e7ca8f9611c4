"""experiments/comparison: rates, runs, what cannot be reached, equal seconds, tables."""

import importlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from helpers import ROOT, comparison_row
from hydra import compose, initialize_config_dir
from matplotlib import pyplot

from lada.config import check
from lada.methods import methods
from lada.report.comparison import compare

FOLDER = ROOT / "experiments/comparison"


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT))
    return importlib.import_module("experiments.comparison.run")


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT))
    return importlib.import_module("experiments.comparison.table")


@pytest.fixture
def draw(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT))
    return importlib.import_module("experiments.comparison.draw")


Score = Callable[[dict[str, str]], float | str]
"""The validation score of a run, or its error, by its overrides."""


class Fake:
    """In place of `train`: runs that only note what they were given."""

    def __init__(self, score: Score) -> None:
        self.score = score
        self.calls: list[dict[str, str]] = []

    def __call__(self, words: Sequence[str]) -> str | None:
        given = dict(word.split("=", 1) for word in words)
        self.calls.append(given)
        found = self.score(given)
        if isinstance(found, str):
            return found
        folder = Path(given["hydra.run.dir"].strip('"'))
        folder.mkdir(parents=True)
        record = {"artifact": {"validation_score": found}, "given": given}
        (folder / "results.json").write_text(json.dumps(record))
        return None


def row_of(folder: Path, target: str, label: str) -> dict[str, Any]:
    """A row of such a run: as many right as its steps, in a second per step, or half of one."""
    given = json.loads((folder / "results.json").read_text())["given"]
    steps = int(given.get("optim.steps", 100))
    pace = 1.0 if given["method"] == "lada_plus" else 0.5
    return comparison_row(
        given["method"], [n < min(steps, 190) for n in range(200)], int(given["seed"]),
        target=target, label=label, task=given["task"], rate=float(given["optim.lr"]), steps=steps,
        seconds={"compression": pace * steps}, settings={"optim.steps": steps},
    )  # fmt: skip


@pytest.fixture
def call(
    run: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., tuple[int, Fake]]:
    """The runner with these runs: exit code and what was run."""

    def do(score: Score, line: str, *more: str) -> tuple[int, Fake]:
        fake = Fake(score)
        monkeypatch.setattr(run, "train", fake)
        monkeypatch.setattr(run, "make_row", row_of)
        places = [f"--{name}={tmp_path / name}" for name in ("records", "outputs")]
        places.append(f"--rates={tmp_path / 'rates.json'}")
        return run.main([*line.split(), *places, *more]), fake

    return do


def best_at(rate: str) -> Score:
    return lambda given: 0.9 if given["optim.lr"] == rate else 0.8


def test_a_rate_is_chosen_on_validation_and_serves(
    call: Callable[..., tuple[int, Fake]], tmp_path: Path
) -> None:
    line = "--task sst2 --entry lada_plus --size 2.5x,20x --seeds 1,2 optim.steps=1000"
    code, fake = call(best_at("0.0003"), line)
    assert code == 0
    short, main = fake.calls[:3], fake.calls[3:]
    assert [x["optim.lr"] for x in short] == ["0.001", "0.0003", "0.0001"]
    assert {(x["target"], x["optim.steps"], x["seed"]) for x in short} == {("7.5x", "400", "1")}
    assert {x["optim.lr"] for x in main} == {"0.0003"}
    assert [(x["target"], x["seed"], x["optim.steps"]) for x in main] == [
        (target, seed, "1000") for seed in ("1", "2") for target in ("2.5x", "custom")
    ]  # fmt: skip
    rates = json.loads((tmp_path / "rates.json").read_text())
    assert rates["sst2"]["lada_plus"] == {
        "7.5x": {
            "rate": 0.0003, "steps": 400,
            "validation": {"0.0001": 0.8, "0.0003": 0.9, "0.001": 0.8},
        }
    }  # fmt: skip
    files = sorted(file.name for file in (tmp_path / "records").iterdir())
    assert files == [f"sst2_lada_plus_{s}_{n}.json" for s in ("2.5x", "20x") for n in (1, 2)]
    assert call(best_at("0.001"), line)[1].calls == []


def test_the_rates_of_one_task_serve_others(
    call: Callable[..., tuple[int, Fake]], tmp_path: Path
) -> None:
    line = "--task sst2,mnli,qqp --entry lada --size 7.5x optim.steps=400"

    def score(given: dict[str, str]) -> float:
        best = {"sst2": "0.001", "qnli": "0.0003"}
        return 0.9 if given["optim.lr"] == best.get(given["task"]) else 0.8

    calls = call(score, line)[1].calls
    assert [(x["task"], x["optim.lr"]) for x in calls] == [
        ("sst2", "0.001"), ("qnli", "0.001"), ("sst2", "0.0003"), ("qnli", "0.0003"),
        ("sst2", "0.003"), ("qnli", "0.0001"), ("mnli", "0.0003"), ("qqp", "0.0003"),
    ]  # fmt: skip
    rates = json.loads((tmp_path / "rates.json").read_text())
    assert {task: found["lada"]["7.5x"]["rate"] for task, found in rates.items()} == {
        "sst2": 0.001, "qnli": 0.0003,
    }  # fmt: skip


def test_without_entries_the_plan_decides(call: Callable[..., tuple[int, Fake]]) -> None:
    def cases(line: str) -> set[tuple[str, str]]:
        line += " optim.steps=400"
        return {(x["task"], x["method"]) for x in call(best_at("0.001"), line)[1].calls}

    pairs = {"qnli", "mnli"}
    assert {m for t, m in cases("--task mnli --size 7.5x") if t == "mnli"} == {
        "lada_plus", "lada", "factorization_kd", "grain",
    }  # fmt: skip
    assert cases("--task mnli --size 10x") == {("mnli", "lada_plus")}
    assert cases("--task mnli --size 7.5x --entry smp") == {(task, "smp") for task in pairs}


@pytest.mark.parametrize(
    ("best", "tried"),
    [
        ("0.003", ["0.001", "0.0003", "0.003"]),
        ("0.001", ["0.001", "0.0003", "0.003"]),
        ("0.0003", ["0.001", "0.0003", "0.0001"]),
        ("0.0001", ["0.001", "0.0003", "0.0001"]),
    ],
)
def test_rates_are_tried_until_both_neighbours_of_the_best_are_worse(
    call: Callable[..., tuple[int, Fake]], tmp_path: Path, best: str, tried: list[str]
) -> None:
    def score(given: dict[str, str]) -> float:  # one peak
        rates = ["0.0001", "0.0003", "0.001", "0.003"]
        return 0.9 - 0.1 * abs(rates.index(given["optim.lr"]) - rates.index(best))

    code, fake = call(score, "--task sst2 --entry lada --size 7.5x optim.steps=1000")
    assert code == 0
    found = json.loads((tmp_path / "rates.json").read_text())["sst2"]["lada"]["7.5x"]
    assert (found["rate"], found["steps"]) == (float(best), 400)
    assert list(found["validation"]) == tried
    assert [x["optim.lr"] for x in fake.calls] == [*tried, best]


def test_main_runs_of_as_many_steps_are_not_done_twice(
    call: Callable[..., tuple[int, Fake]],
) -> None:
    line = "--task sst2 --entry lada --size 7.5x,2.5x --seeds 1,2 optim.steps=400"
    calls = call(best_at("0.0003"), line)[1].calls
    assert [(x["optim.lr"], x["target"], x["seed"]) for x in calls] == [
        *((rate, "7.5x", "1") for rate in ("0.001", "0.0003", "0.0001")),
        ("0.0003", "2.5x", "1"), ("0.0003", "7.5x", "2"), ("0.0003", "2.5x", "2"),
    ]  # fmt: skip


def test_fewer_bits_at_sizes_in_bytes(run: ModuleType) -> None:
    settings = run.read_settings()
    for size, expected in (("7.5x", False), ("20x", False), ("1.8MB", True), ("1.2MB", True)):
        assert ("artifact=int4" in run.Case("qnli", "lada_plus", size).words(settings)) == expected
        assert "artifact=int4" not in run.Case("qnli", "lada", size).words(settings)


def test_short_runs_are_not_longer_than_the_others(run: ModuleType) -> None:
    settings = run.read_settings()
    assert run.short_steps(settings, ["optim.steps=2000", "trainer.threads=1"]) == 400
    assert run.short_steps(settings, ["optim.steps=8"]) == 8


def test_what_cannot_be_reached_is_no_failure(
    call: Callable[..., tuple[int, Fake]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def score(given: dict[str, str]) -> float | str:
        if given["target"] == "custom":
            return "error: target.ratio=20: the least is x9.1."
        return 0.5

    line = "--task sst2 --entry tinybert --size 7.5x,20x"
    code, fake = call(score, line)
    assert (code, len(fake.calls)) == (0, 3 + 2)  # both neighbours of the first rate are tried
    reason = json.loads((tmp_path / "records/sst2_tinybert_20x.json").read_text())
    assert reason["not_reachable"] == "error: target.ratio=20: the least is x9.1."
    assert "not reachable" in capsys.readouterr().out
    assert call(score, f"{line} --seeds 1,2")[1].calls[0]["seed"] == "2"  # the reason is for all


def test_a_size_chooses_for_itself_where_none_serves(
    call: Callable[..., tuple[int, Fake]], tmp_path: Path
) -> None:
    def score(given: dict[str, str]) -> float | str:
        return 0.5 if given["target"] == "2.5x" else "error: target.ratio=7.5: too small."

    code, fake = call(score, "--task sst2 --entry grain --size 2.5x,7.5x")
    assert code == 0
    assert [x["target"] for x in fake.calls] == ["7.5x", *["2.5x"] * 4]
    found = json.loads((tmp_path / "rates.json").read_text())["sst2"]["grain"]
    assert set(found) == {"2.5x", "7.5x"}
    assert "not_reachable" in found["7.5x"]
    files = sorted(file.name for file in (tmp_path / "records").iterdir())
    assert files == ["sst2_grain_2.5x_1.json", "sst2_grain_7.5x.json"]


def test_a_failure_is_told_and_stops_no_other(
    call: Callable[..., tuple[int, Fake]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def score(given: dict[str, str]) -> float | str:
        return "error: no space left" if given["method"] == "lada" else 0.5

    line = "--task sst2 --entry lada,lada_plus --size 7.5x"
    assert call(score, line)[0] == 1
    out = capsys.readouterr().out
    assert "sst2_lada_7.5x: no rate, since a run failed (error: no space left)" in out
    assert [file.name for file in (tmp_path / "records").iterdir()] == [
        "sst2_lada_plus_7.5x_1.json"
    ]
    # Those that were done are not done again.
    assert {x["method"] for x in call(lambda _: 0.5, line)[1].calls} == {"lada"}


def test_a_rate_that_diverges_is_not_chosen(
    call: Callable[..., tuple[int, Fake]], tmp_path: Path
) -> None:
    def score(given: dict[str, str]) -> float | str:
        line = "error: the loss or its gradient is NaN or infinite at step 9."
        return line if given["optim.lr"] == "0.001" else 0.5

    assert call(score, "--task sst2 --entry xtc --size 1.8MB")[0] == 0
    found = json.loads((tmp_path / "rates.json").read_text())["sst2"]["xtc"]["1.8MB"]
    assert found["rate"] == 0.0003  # the higher of equals
    assert found["validation"] == {"0.001": None, "0.0003": 0.5, "0.0001": 0.5}


@pytest.mark.parametrize("word", ["target=5x", "target.mb=2", "optim.lr=1e-3", "--epoch=2"])
def test_what_options_give_is_no_override(
    call: Callable[..., tuple[int, Fake]], word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        call(best_at("0.001"), "--task sst2", word)
    assert f"{word}: no override of all runs" in capsys.readouterr().err


def test_equal_seconds(
    call: Callable[..., tuple[int, Fake]],
    table: ModuleType,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    line = "--task sst2 --entry lada_plus,tinybert,lada --size 7.5x --seeds 1,2 optim.steps=60"
    assert call(best_at("0.001"), line)[0] == 0
    slow = tmp_path / "records/sst2_lada_7.5x_1.json"
    row = json.loads(slow.read_text()) | {"seconds": {"compression": 99.0}}
    slow.write_text(json.dumps(row))
    code, fake = call(best_at("0.001"), line, "--equal-seconds")
    assert code == 0
    assert [(x["method"], x["seed"], x["optim.steps"], x["optim.lr"]) for x in fake.calls] == [
        ("tinybert", "1", "120", "0.001"), ("tinybert", "2", "120", "0.001"),
    ]  # fmt: skip
    assert "sst2_lada_7.5x: not faster than lada_plus" in capsys.readouterr().out
    made = table.make(tmp_path / "records", table.read_settings())
    (after,) = made.split("### sst2, at equal seconds")[1:]
    names = [line.split(" | ")[1] for line in after.split("###")[0].splitlines() if "| 2 |" in line]
    assert names == ["teacher, minilm-l6", "lada_plus †", "tinybert"]
    assert after.count("| 120 |") == 1


def test_seconds_of_other_machines_are_not_compared(run: ModuleType) -> None:
    def row(steps: int, seconds: float, **more: Any) -> dict[str, Any]:
        part = {"steps": steps, "seconds": {"compression": seconds}, "label": "lada_plus"}
        return comparison_row("kd", [True], **part, **more)

    assert run.longer(row(400, 100.0), row(400, 250.0)) == 1000
    assert run.longer(row(400, 250.0), row(400, 100.0)) is None
    with pytest.raises(ValueError, match="it ran on"):
        run.longer(row(4, 1.0, machine={"device": "cuda"}), row(4, 2.0))
    with pytest.raises(ValueError, match="resumed"):
        run.longer(row(4, 1.0, resumed=True), row(4, 2.0))


def test_table(table: ModuleType, tmp_path: Path) -> None:
    right = {"lada_plus": 150, "lada": 100, "factorization_kd, whitened": 148}
    for label, count in right.items():
        for seed in (1, 2):
            bits = [number < count for number in range(200)]
            row = comparison_row(label.split(",")[0], bits, seed, label=label, settings={})
            (tmp_path / f"{label}_{seed}.json").write_text(json.dumps(row))
    reason = {
        "task": "sst2", "label": "tinybert", "target": "20x",
        "not_reachable": "error: target.ratio=20: too small",
    }  # fmt: skip
    (tmp_path / "reason.json").write_text(json.dumps(reason))
    made = table.make(tmp_path, table.read_settings())
    first = made.split("### Entries")[0]
    lines = [x.split(" | ") for x in first.splitlines() if x.startswith("| ")]
    assert {len(line) for line in lines} == {len(lines[0])}
    _, _, teacher, plus, lada, rank, tinybert = lines
    assert teacher[1] == "teacher, minilm-l6"
    assert plus[:5] == ["| 7.5x", "lada_plus †", "dev", "2", "75.0 (75.0-75.0)"]
    assert plus[7:10] == ["", "", ""]
    assert rank[1] == "factorization_kd, whitened †"
    assert rank[7:10] == ["-1.0", "0.12", "="]
    assert (lada[1], lada[7:10]) == ("lada", ["-25.0", "<0.0001", "worse"])
    kept = 100 * 0.75 / row["teacher"]["scores"]["dev"]["accuracy"]
    assert (teacher[6], plus[6]) == ("", f"{kept:.1f}")
    assert [*tinybert[:2], tinybert[4]] == ["| 20x", "tinybert †", "not reachable"]
    assert "over the 2 differences of this table" in first
    assert "Not reachable: tinybert at 20x (error: target.ratio=20: too small)" in first
    assert "Not run yet at 2.5x: lada_plus; lada; factorization_kd; pruning_kd;" in first
    assert "At 10x: lada_plus. At 20x" in first
    assert "Not run yet: qnli, mnli, qqp." in first


def test_runs_of_one_epoch_have_their_own_table(table: ModuleType, tmp_path: Path) -> None:
    for folder, steps in ((tmp_path, 400), (tmp_path / table.EPOCH, 2042)):
        folder.mkdir(exist_ok=True)
        row = comparison_row("lada_plus", [True, False], label="lada_plus", steps=steps)
        (folder / "row.json").write_text(json.dumps(row))
    first, longer = table.make(tmp_path, table.read_settings()).split("### sst2, one epoch")
    assert (first.count("| 400 |"), first.count("| 2,042 |")) == (1, 0)
    assert (longer.count("| 400 |"), longer.count("| 2,042 |")) == (0, 1)


def test_picture(draw: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for label, count in {"lada_plus": 150, "lada": 100}.items():
        row = comparison_row(label, [n < count for n in range(200)], label=label)
        (tmp_path / f"{label}.json").write_text(json.dumps(row))
    draw.main(["--task", "sst2", f"--records={tmp_path}", f"--out={tmp_path}"])
    assert capsys.readouterr().out.split() == [f"{tmp_path}/sst2.pdf", f"{tmp_path}/sst2.png"]
    assert all((tmp_path / f"sst2.{end}").stat().st_size > 5000 for end in ("pdf", "png"))
    with pytest.raises(SystemExit, match="no rows of lada_plus on qnli"):
        draw.main(["--task", "qnli", f"--records={tmp_path}"])


def test_no_better_than_the_majority_class_is_below_all_others(draw: ModuleType) -> None:
    rows = [
        comparison_row(label, [n < count for n in range(200)], label=label)
        for label, count in {"lada_plus": 190, "lada": 180, "smp": 100}.items()
    ]
    chance = {"class": 1, "accuracy": 0.5, "p_value": 0.5}
    counts = {"answers": [90, 110], "examples": [100, 100], "majority": chance}
    rows[2]["artifact"]["scores"]["dev"] |= {"mcc": 0.0, "macro_f1": 0.5, **counts}
    lines = compare(rows, reference=None)
    figure, axis = pyplot.subplots()
    try:
        draw.draw(figure, axis, lines, "lada_plus")
        texts = {text.get_text() for text in axis.texts}
        assert texts == {"lada_plus", "lada", "smp: 50.0", "teacher, 0.0 MB"}
        assert 80 < axis.get_ylim()[0] < 90  # the arrow stands for a score of 50
    finally:
        pyplot.close(figure)


def test_readme_holds_the_records(table: ModuleType) -> None:
    made = table.make(FOLDER / "records", table.read_settings())
    assert made in (FOLDER / "README.md").read_text()


def test_settings_are_of_each_other(run: ModuleType) -> None:
    settings = run.read_settings()
    sizes = set(settings["sizes"])
    for key in ("sizes", "tasks"):
        serves = settings["rates"][key]
        assert set(serves) == set(settings[key])
        assert all(serves[x] == x for x in serves.values())  # what serves has its own rate
    for part in settings["plan"]:
        assert all(set(part[key]) <= set(settings[key]) for key in ("tasks", "sizes", "entries"))
    planned = {entry for part in settings["plan"] for entry in part["entries"]}
    assert planned == set(settings["entries"])
    assert settings["reference"] in settings["entries"]
    for entry in settings["entries"].values():
        assert set(entry["published"]) <= sizes
        assert entry["note"]


@pytest.mark.parametrize("size", ["7.5x", "1.8MB"])
def test_entries_are_accepted(run: ModuleType, size: str) -> None:
    settings = run.read_settings()
    seen = 0
    for entry in settings["entries"]:
        words = run.Case("sst2", entry, size).words(settings)
        (method,) = (word.partition("=")[2] for word in words if word.startswith("method="))
        if method not in methods():
            continue
        seen += 1
        with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
            assert check(compose("train", words)).method.name == method
    assert seen >= 7
