"""experiments/table3: the commands, from runs of seconds to the table."""

import csv
import io
import json
import runpy
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers import ROOT, comparison_row, sentences, write_csv
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from transformers import BertConfig, BertForSequenceClassification

from lada.config import check
from lada.errors import LadaError
from lada.methods import methods
from lada.report.rows import read_rows, write_row

FOLDER = ROOT / "experiments/table3"
SETTINGS: dict[str, Any] = OmegaConf.to_container(OmegaConf.load(FOLDER / "settings.yaml"))
SHAPES = {
    "minilm-l6": BertConfig(hidden_size=384, num_hidden_layers=6, intermediate_size=1536),
    "bert-base": BertConfig(),
}


def script(name: str) -> dict[str, Any]:
    return runpy.run_path(str(FOLDER / name))


@cache
def _teacher(model: str) -> BertForSequenceClassification:
    with torch.device("meta"):
        return BertForSequenceClassification(SHAPES[model])


def _ratio(model: str, method: str, target: str) -> float:
    overrides = [f"model={model}", f"method={method}", f"target={target}"]
    own = SETTINGS[model].get(method, {}).get(target, [])
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        config = check(compose("train", [*overrides, *own]))
    return config.method.make(config.context).plan(_teacher(model), 1).rounds[-1].ratio


@pytest.mark.parametrize("target", ["2.5x", "5x", "7.5x", "10x", "none"])
@pytest.mark.parametrize("method", list(methods()))
@pytest.mark.parametrize("model", list(SHAPES))
def test_settings_fit_their_targets(model: str, method: str, target: str) -> None:
    """Or say that there is no such run."""
    if target in SETTINGS["not_to_be_had"][model].get(method, ()):
        with pytest.raises(LadaError):
            _ratio(model, method, target)
    elif target == "none":
        _ratio(model, method, target)
    else:
        assert _ratio(model, method, target) == pytest.approx(float(target[:-1]), rel=0.02)


def test_jobs_take_what_their_target_needs() -> None:
    run = script("run.py")
    line = "--data glue's --tasks sst2 --targets 7.5x,2.5x --methods lada,kd --seeds 1,2 --epochs 2"
    args, overrides = run["parse"]([*line.split(), "distill.hidden=0"])
    jobs = list(run["jobs"](args, overrides))
    assert [job.name for job in jobs[:4]] == [
        "sst2_7.5x_lada_0.0003_1", "sst2_7.5x_kd_0.0003_1",
        "sst2_2.5x_lada_0.0003_1", "sst2_2.5x_kd_0.0003_1",
    ]  # fmt: skip
    assert len(jobs) == 8
    assert jobs[1].overrides[-2:] == ("method.layers=1", "distill.hidden=0")  # the user's win
    assert "method.layers=1" not in jobs[3].overrides
    assert {"optim.epochs=2", "optim.lr=0.0003"} <= set(jobs[0].overrides)
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        assert compose("train", list(jobs[0].overrides)).data.dir == str(Path("glue's").absolute())


@pytest.mark.parametrize("word", ["--epoch=2", "model=bert-base", "seed=3", "optim.lr=1e-3"])
def test_what_is_no_override_is_rejected(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    line = "--tasks sst2 --targets 7.5x --methods lada"
    try:
        code = script("run.py")["main"]([*line.split(), word])
    except SystemExit as end:  # argparse's own
        code = end.code
    assert code == 2
    assert "error: " in capsys.readouterr().err


def shown(folder: Path, capsys: pytest.CaptureFixture[str], *args: str) -> str:
    script("table.py")["main"](["--rows", str(folder), *args])
    return capsys.readouterr().out


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    right = {"lada": 150, "kd": 100, "pruning_kd": 149}
    for method, count in right.items():
        for seed in (1, 2):
            bits = [number < count - seed for number in range(200)]
            write_row(tmp_path / "rows", comparison_row(method, bits, seed))
    return tmp_path / "rows"


def test_table(rows: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [x.split(" | ") for x in shown(rows, capsys).splitlines() if x.startswith("| ")]
    header, rule, teacher, lada, pruning, kd = lines
    assert {len(line) for line in lines} == {len(header)} == {len(rule)}
    assert teacher[2] == "teacher, minilm-l6"
    assert (teacher[4], teacher[-1]) == ("100.0 (100.0-100.0)", "93.5 |")
    assert lada[:6] == ["| sst2 dev, 200", "7.5x", "lada", "2", "74.2 (74.0-74.5)", "67.5-79.6"]
    assert (lada[7], lada[9], lada[-1]) == ("", "", "89.9 |")
    assert (pruning[7], pruning[8], pruning[9], pruning[-1]) == ("-0.5", "0.5", "=", " |")
    assert (kd[7], kd[8], kd[9]) == ("-25.0", "<0.0001", "worse")


def test_a_test_file_is_not_called_dev(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for seed in (1, 2):
        row = comparison_row("lada", [number < 150 for number in range(200)], seed)
        row["data"]["test"] = {"rows": 200, "sha256": "t"}
        for who in ("teacher", "artifact"):
            for part in ("scores", "correct"):
                row[who][part]["test"] = row[who][part]["dev"]
        write_row(tmp_path / "rows", row)
    out = shown(tmp_path / "rows", capsys)
    lines = [x.split(" | ") for x in out.splitlines() if x.startswith("| ")]
    assert lines[0][0].startswith("| task, split, examples")
    assert lines[0][4].startswith("accuracy % (lowest-highest)")
    assert {line[0].strip() for line in lines[2:]} == {"| sst2 dev, 200", "| sst2 test, 200"}
    assert "Ours: dev and test, scored once" in out
    assert "dev examples" not in out


def test_table_for_programs_and_for_papers(rows: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = {
        x["method"]: x for x in csv.DictReader(io.StringIO(shown(rows, capsys, "--format=csv")))
    }
    assert float(found["kd"]["difference"]) == -0.25
    assert float(found["lada"]["paper_test"]) == 0.899
    assert (found["pruning_kd"]["mark"], found["lada"]["p"]) == ("=", "")
    latex = shown(rows, capsys, "--format=latex")
    assert r"pruning\_kd" in latex
    assert r"dev \%" in latex
    assert latex.count(r" \\") == 5


def test_layers_run_stand_under_the_table(rows: Path, capsys: pytest.CaptureFixture[str]) -> None:
    curve = [
        {"threshold": limit, "mean_layers": layers, "accuracy": accuracy}
        for limit, layers, accuracy in ((1.0, 1.0, 0.5), (0.3, 4.5, 0.75), (0.0, 6.0, 0.8))
    ]
    given = {"threshold": 0.3, "by_split": {"dev": curve}}
    write_row(rows, comparison_row("early_exit", [True] * 200, target="none", exits=given))
    (line,) = (x for x in shown(rows, capsys).splitlines() if x.startswith("early_exit"))
    assert "seed 1: at its threshold, 0.3, 75.0 % with 4.50 of 6 layers" in line
    assert line.endswith("in % (layers): 50.0 (1.00), 80.0 (6.00).")


def test_no_rows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(tmp_path / "none", capsys) == "No rows yet.\n"


def test_readme_holds_the_rows() -> None:
    table = script("table.py")
    made = table["make"](read_rows(FOLDER / "rows"), "markdown")
    assert made in (FOLDER / "README.md").read_text()


def test_methods_of_settings_are_methods() -> None:
    parts = (*(SETTINGS[model] for model in SHAPES), *SETTINGS["not_to_be_had"].values())
    assert {method for methods in parts for method in methods} <= set(methods())


def test_learning_rates() -> None:
    run = script("run.py")
    line = "--tasks sst2 --targets 7.5x --methods lada,kd --rates 1e-4,3e-5"
    jobs = list(run["jobs"](*run["parse"](line.split())))
    assert [job.name for job in jobs] == [
        f"sst2_7.5x_{method}_{rate}_1" for method in ("lada", "kd") for rate in ("0.0001", "3e-05")
    ]
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        assert compose("train", list(jobs[1].overrides)).optim.lr == 3e-5


def test_impossible_jobs_are_skipped(capsys: pytest.CaptureFixture[str]) -> None:
    run = script("run.py")
    line = "--tasks sst2 --targets 7.5x,none --methods lada,pkd,early_exit"
    jobs = list(run["jobs"](*run["parse"](line.split())))
    assert [job.name for job in jobs] == [
        "sst2_7.5x_lada_0.0003_1",
        "sst2_none_pkd_0.0003_1",
        "sst2_none_early_exit_0.0003_1",
    ]
    assert capsys.readouterr().out.count("not possible") == 3


def test_the_outcome_of_the_time_before_is_not_taken_for_this_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sweep = tmp_path / "sweeps/csv_5x_lada_0.001_1"
    sweep.mkdir(parents=True)
    done = {"exit_code": 0, "folder": str(tmp_path / "a run"), "error": None}
    (sweep / "sweep.json").write_text(json.dumps([done]))
    line = "--model tiny --tasks csv --targets 5x --methods lada optim.epoch=2"
    places = ["--rows", str(tmp_path / "rows"), "--sweeps", str(tmp_path / "sweeps")]
    assert script("run.py")["main"]([*line.split(), *places]) == 1
    assert "csv_5x_lada_0.001_1: failed" in capsys.readouterr().out


@pytest.mark.slow
def test_runs_leave_rows_and_are_not_done_again(tiny: list[str], tmp_path: Path) -> None:
    run = script("run.py")
    own = [a for a in tiny if a.partition("=")[0] not in run["NAMED"]]
    line = "--model tiny --tasks csv --targets 5x --methods bert_small,lada"
    places = ["--rows", str(tmp_path / "rows"), "--sweeps", str(tmp_path / "sweeps")]
    command = [sys.executable, str(FOLDER / "run.py"), *line.split(), *places, *own]
    first = subprocess.run(command, capture_output=True, text=True, check=False)
    assert first.returncode == 1, first.stderr
    assert "csv_5x_bert_small_0.001_1: failed (error: target.ratio=5" in first.stdout
    assert "1 of 2 have a row" in first.stdout
    files = sorted((tmp_path / "rows").iterdir())
    assert [f.name for f in files] == ["csv_5x_lada_0.001_1.json"]
    found = json.loads(files[0].read_text())
    assert found["curve"][-1]["step"] == found["steps"]
    assert all(look["seconds"] > 0 for look in found["curve"])
    before = {f: f.read_text() for f in files}
    again = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "1 of 2 have a row" in again.stdout
    assert {f: f.read_text() for f in files} == before
    assert len(list(tmp_path.rglob("results.json"))) == 1


@pytest.mark.slow
def test_rows_of_a_kind_that_is_not_scored_by_accuracy(tiny: list[str], tmp_path: Path) -> None:
    run, rows = script("run.py"), tmp_path / "rows"
    files = []
    for split, count in (("train", 300), ("dev", 60)):
        examples = [(text, f"{len(text.split())}.5") for text, _ in sentences(count, len(split))]
        file = write_csv(tmp_path / f"{split}.csv", examples, ("text", "label"))
        files.append(f"task.{split}_file={file}")
    given = (*run["NAMED"], "task.train_file", "task.dev_file")
    own = [a for a in tiny if a.partition("=")[0] not in given]
    line = "--model tiny --tasks csv --targets 5x --methods lada,pruning_kd"
    places = ["--rows", str(rows), "--sweeps", str(tmp_path / "sweeps")]
    more = ["task.kind=regression", "teacher.margin=5"]
    command = [*line.split(), *places, *own, *files, *more]
    done = subprocess.run(
        [sys.executable, str(FOLDER / "run.py"), *command],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "csv_5x_lada_0.001_1: Pearson 0." in done.stdout
    table = script("table.py")["make"](read_rows(rows), "markdown")
    lines = [x.split(" | ") for x in table.splitlines() if x.startswith("| csv dev, 60 |")]
    assert [line[2] for line in lines] == ["teacher, tiny", "lada", "pruning_kd"]
    assert all(-1 <= float(line[4]) <= 1 for line in lines)
    assert lines[2][10] in ("=", "worse", "better")
