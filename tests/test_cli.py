"""``lada``: each command on a real artifact, and what it says to a mistake."""

import argparse
import io
import json
import os
import runpy
import shlex
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from helpers import ROOT, Result, small_bert
from transformers import BertForSequenceClassification
from transformers.utils import logging as hf_logging

import lada
from lada import cli
from lada.files import output_file
from lada.nn.pretrained import load_tokenizer
from lada.nn.rounds import compress_
from lada.nn.surgery import inventory, replace_
from lada.ops.budget import solve_default
from lada.ops.plan import make_plan
from lada.report.record import write_json


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("teacher")
    small_bert().save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def folder(teacher: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = BertForSequenceClassification.from_pretrained(teacher)
    counted = inventory(model)
    plan = make_plan(counted, 4.0, solve_default(counted, 4.0), "geometric", 1)
    replace_(model, {s.name: s.rank for s in plan.rounds[0].shares})
    compress_(model, plan.rounds[0], lower_rank="truncate", threshold="factor")
    out = tmp_path_factory.mktemp("run") / "artifact"
    tokenizer = load_tokenizer(None, ["the soup was not bad at all"])
    lada.save(model, tokenizer, out, {"task": "demo", "max_length": 16})
    return out


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]):
    def call(*args: object, stdin: str = "") -> Result:
        monkeypatch.setattr("sys.argv", ["lada", *map(str, args)])
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
        capfd.readouterr()
        with pytest.raises(SystemExit) as end:
            cli.main()
        return Result(int(end.value.code or 0), *capfd.readouterr())

    return call


def lines(result: Result) -> list[dict]:
    assert result.code == 0, result.err
    return [json.loads(line) for line in result.out.splitlines()]


def test_help_has_an_example_each(run) -> None:
    assert run("--help").code == 0
    assert "predict" in run().out
    for command in (
        "predict", "inspect", "bench", "export", "verify", "choose", "dashboard", "report",
    ):  # fmt: skip
        result = run(command, "--help")
        assert result.code == 0
        assert f"Example: lada {command} " in " ".join(result.out.split())


def test_choose(run, tmp_path: Path) -> None:
    (tmp_path / "rows").mkdir()
    for target in ("2.5x", "7.5x"):
        name = f"sst2_{target}_lada_0.0003_1.json"
        shutil.copy(ROOT / "experiments/table3/rows" / name, tmp_path / "rows")
    limits = ["--max-mb", 3.5, "--min-retention", 97]
    result = run("choose", tmp_path / "rows", *limits)
    assert result.code == 0, result.err
    out = " ".join(result.out.split())
    assert out.startswith("take sst2_7.5x_lada_0.0003_1: accuracy 86.7 % (84.3-88.8), 97.4 %")
    assert "1 of 2 runs has at most 3.5 MB, at least 97.0 % of the teacher's score." in out
    found = json.loads(run("choose", tmp_path / "rows", *limits, "--json").out)
    assert found["chosen"] == "sst2_7.5x_lada_0.0003_1"
    assert found["runs"][1]["misses"] == ["8.47 MB"]
    result = run("choose", tmp_path / "rows", "--max-mb", 1)
    assert result.code == 2
    assert "the smallest file has 3.30 MB" in result.err


def test_dashboard(run, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = json.loads(run("dashboard", "--project", "p", "--split", "test", "--json").out)
    assert shown["project"] == "p"
    panels = [panel for section in shown["sections"] for panel in section["panels"]]
    assert ["confusion/map/test"] in [panel["keys"] for panel in panels]
    monkeypatch.setattr("lada.training.backends.is_logged_in", lambda: False)
    told = run("dashboard")
    assert told.code == 2
    assert (
        told.err == "error: dashboard: publishing needs a login. Run wandb login, or give --json.\n"
    )
    monkeypatch.setattr("lada.training.backends.is_logged_in", lambda: True)
    monkeypatch.setattr("lada.report.publish.publish", lambda view, entity: f"{entity}/{view.name}")
    assert run("dashboard", "--entity", "team").out == "team/LadaBERT\n"
    monkeypatch.setattr("wandb.Api", lambda: SimpleNamespace(default_entity=None))
    told = run("dashboard")
    line = "error: --entity: the login has no default entity. Give --entity NAME.\n"
    assert (told.code, told.err) == (2, line)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert "pip install wandb-workspaces" in run("dashboard").err


def test_inspect(run, folder: Path, teacher: Path, tmp_path: Path) -> None:
    result = run("inspect", folder)
    assert result.code == 0
    for word in ("layer.0.attention.self.query", "factors", "density", "vectors"):
        assert word in result.out
    drawn = tmp_path / "parts.png"
    found = json.loads(run("inspect", folder, "--teacher", teacher, "--json", "--plot", drawn).out)
    assert drawn.read_bytes().startswith(b"\x89PNG")
    assert sum(part["stored_bytes"] for part in found["parts"]) < found["stored_bytes"]
    model = lada.load(folder).model
    dense = BertForSequenceClassification.from_pretrained(teacher)
    for part in found["parts"]:
        if part["kind"] == "factors":
            ours = model.get_submodule(part["name"]).product()
            theirs = dense.get_submodule(part["name"]).weight
            assert part["error"] == pytest.approx(
                float((ours - theirs).detach().norm() / theirs.detach().norm())
            )
            assert list(ours.shape) == part["shape"]
    whole = next(p for p in found["parts"] if p["name"] == "classifier.weight")
    assert whole["error"] < 0.01


def test_verify(run, folder: Path, tmp_path: Path) -> None:
    result = run("verify", folder)
    assert result.code == 0
    assert "intact" in result.out
    assert "as recorded: tokenizer.json, tokenizer_config.json" in result.out
    shutil.copytree(folder, tmp_path / "broken")
    file = tmp_path / "broken/model.safetensors"
    content = bytearray(file.read_bytes())
    content[-5] ^= 1
    file.write_bytes(content)
    result = run("verify", tmp_path / "broken")
    assert result.code == 2
    assert "is corrupt" in result.err


def test_verify_names_what_changed_and_accepts_it(run, folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "a copy"
    shutil.copytree(folder, copy)
    config = copy / "tokenizer_config.json"
    config.write_text(config.read_text().replace('"do_lower_case": true', '"do_lower_case": false'))
    (copy / "vocab.txt").write_text("[PAD]\n")
    for command in (("verify",), ("predict", "not bad")):
        result = run(command[0], copy, *command[1:])
        assert result.code == 2
        assert "tokenizer_config.json is modified, vocab.txt is added" in result.err
    shown = result.err.strip().partition("lada verify ")[2]
    assert run("verify", *shlex.split(shown)).code == 0
    assert run("verify", copy).code == 0
    (copy / "vocab.txt").unlink()
    assert "vocab.txt is missing" in run("verify", copy).err
    assert run("verify", copy, "--accept", copy / "vocab.txt").code == 0
    result = run("verify", copy, "--accept", "model.safetensors")
    assert (result.code, "not a file of the tokenizer" in result.err) == (2, True)


def test_verify_says_that_version_1_covers_no_tokenizer(run, tmp_path: Path) -> None:
    copy = tmp_path / "old"
    shutil.copytree(ROOT / "tests/artifact/version_1.2", copy)
    result = run("verify", copy)
    assert result.code == 0
    assert "tokenizer is not covered (version 1.2)" in result.out
    result = run("verify", copy, "--accept", "tokenizer.json")
    assert result.code == 0
    assert "as recorded: tokenizer.json, tokenizer_config.json" in result.out


def test_export(run, folder: Path, tmp_path: Path) -> None:
    hf_logging.enable_progress_bar()  # as in a process of its own
    result = run("export", folder, "--to", "dense", "--out", tmp_path / "dense")
    assert "%|" not in result.err
    assert result.code == 0, result.err
    size = (tmp_path / "dense/model.safetensors").stat().st_size
    assert f"{size:,} bytes" in result.out


@pytest.mark.slow
def test_quantize(run, folder: Path, tmp_path: Path) -> None:
    classifier = lada.load(folder)
    whole, small = tmp_path / "whole", tmp_path / "small"
    lada.save(classifier.model, classifier.tokenizer, whole, classifier.about, values="fp32")
    result = run("quantize", whole, "--out", small)
    assert result.code == 0, result.err
    sizes = [(f / "model.safetensors").stat().st_size for f in (small, whole)]
    assert [f"{size:,}" in result.out for size in sizes] == [True, True]
    assert "of 4 examples" in result.out
    assert lada.load(small).about == classifier.about
    assert lada.load(small).model.config.lada["values"] == "int8"
    again = run("quantize", folder, "--out", tmp_path / "again")
    assert (again.code, "are already int8" in again.err) == (2, True)


@pytest.mark.slow
@pytest.mark.parametrize(
    "engines",
    ["torch", "torch-bf16,onnx-int8,openvino-bf16"],
    ids=["torch", "others"],
)  # fmt: skip
def test_bench(run, folder: Path, teacher: Path, tmp_path: Path, engines: str) -> None:
    out = tmp_path / "speed.json"
    result = run("bench", folder, "--against", teacher, "--lengths", "8,16", "--repeats", 3,
                 "--engines", engines, "--out", out)  # fmt: skip
    assert result.code == 0, result.err
    names = engines.split(",")
    found = json.loads(out.read_text())
    assert "openvino" in found["machine"]["versions"]
    keys = {(r["model"], r["engine"], r["threads"], r["batch"], r["length"]) for r in found["rows"]}
    threads = {1, found["cores"]}
    assert len(keys) == len(found["rows"]) == 2 * len(names) * len(threads) * 2 * 2
    assert all(0 < r["low"] <= r["median"] <= r["high"] for r in found["rows"])
    # bf16 is torch's file and process over again.
    starts = {(s["model"], s["engine"]) for s in found["starts"]}
    assert len(starts) == 2 * len(set(names) - {"torch-bf16"})
    assert all(s["load_seconds"] > 0 and s["peak_megabytes"] > 10 for s in found["starts"])
    for word in ("faster", "best", names[-1], "peak memory"):
        assert word in result.out


@pytest.mark.slow
def test_ctrl_c_after_engines_is_still_a_ctrl_c(folder: Path, tmp_path: Path) -> None:
    """What engines do to the process's signal stack is put right again."""
    code = (
        "import gc, signal, sys\n"
        "from lada.cli import main\n"
        f"sys.argv = ['lada', 'bench', {str(folder)!r}, '--lengths', '8', '--repeats', '3',\n"
        "            '--engines', 'openvino,openvino-int8']\n"
        "try:\n"
        "    main()\n"
        "except SystemExit as end:\n"
        "    assert not end.code\n"
        "gc.collect()\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # ignored in a background job
        "try:\n"
        "    signal.raise_signal(signal.SIGINT)\n"
        "except KeyboardInterrupt:\n"
        "    sys.exit(7)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 7, done.stderr


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["frob"], "No such command"),
        (["predict", "FOLDER", "a\ud83d"], "lone surrogate"),
        (["bench", "FOLDER", "--out", "/nowhere/x.json"], "/nowhere is not a folder"),
        (["predict"], "FOLDER"),
        (["predict", "/nowhere", "a"], "no such folder"),
        (["predict", "FOLDER", "a", "--file", "b"], "not both"),
        (["predict", "FOLDER", "--file", "/nowhere"], "/nowhere"),
        (["export", "FOLDER", "--to", "gguf", "--out", "x"], "dense, onnx, openvino"),
        (["export", "FOLDER", "--to", "onnx"], "--out"),
        (["export", "FOLDER", "--to", "onnx", "--int8", "--out", "x"], "--sentences"),
        (["inspect", "FOLDER", "--plot", "x.mp3"], "mp3"),
        (["choose", "/nowhere"], "/nowhere: no such folder"),
        (["choose", "FOLDER"], "has no finished run"),
        (["report", "/nowhere"], "/nowhere: no such folder"),
        (["report", "FOLDER"], "has no finished run"),
        (["choose", "FOLDER", "--max-mb", "nan"], "--max-mb"),
        (["inspect", "FOLDER", "--teacher", "/nowhere"], "/nowhere"),
        (["bench", "FOLDER", "--engines", "abacus"], "abacus"),
        (["bench", "FOLDER", "--lengths", "a"], "--lengths a"),
        (["bench", "FOLDER", "--lengths", "1"], "2 or more"),
        (["bench", "FOLDER", "--lengths", "4000"], "32 positions"),
    ],
)
def test_mistakes_are_one_line(run, folder: Path, args: list[str], words: str) -> None:
    result = run(*[folder if arg == "FOLDER" else arg for arg in args])
    assert result.code == 2
    assert len(result.err.strip().splitlines()) == 1, result.err
    assert words in result.err


def file_facts(path: Path) -> tuple[int, ...]:
    """What tells that a path was replaced or written; not its time of access: a look changes it."""
    found = path.lstat()
    return found.st_mode, found.st_ino, found.st_size, found.st_mtime_ns


@pytest.mark.parametrize("kind", ["pipe", "link to a pipe", "folder", "socket"])
@pytest.mark.parametrize(
    "command",
    [["bench", "--out"], ["inspect", "--plot"], ["export", "--to", "dense", "--out"],
     ["quantize", "--out"]],
    ids=lambda command: command[0],
)  # fmt: skip
def test_only_files_are_replaced(run, folder, tmp_path, monkeypatch, command, kind) -> None:
    """Before any work: nothing is loaded."""
    out = tmp_path / "out.png"
    if kind == "folder":
        out.mkdir()
    elif kind == "socket":
        monkeypatch.chdir(tmp_path)  # the path of a socket may not be long
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind("out.png")
    else:
        os.mkfifo(tmp_path / "pipe")
        out.symlink_to("pipe") if "link" in kind else os.rename(tmp_path / "pipe", out)
    monkeypatch.setattr(cli.artifact, "load", None)
    before = file_facts(out)
    result = run(command[0], folder, *command[1:], out)
    assert (result.code, len(result.err.strip().splitlines())) == (2, 1)
    assert str(out) in result.err
    assert file_facts(out) == before


def test_a_link_to_nowhere_is_no_new_folder(run, folder, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("gone")
    result = run("export", folder, "--to", "dense", "--out", tmp_path / "link")
    assert (result.code, "exists already" in result.err) == (2, True)


def test_records_replace_files_alone(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(lada.LadaError, match="a device, pipe or socket"):
        write_json(tmp_path / "pipe", {})
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to("real")
    write_json(tmp_path / "link", {"a": 1})
    assert (tmp_path / "link").is_symlink()
    assert json.loads((tmp_path / "real").read_text()) == {"a": 1}
    parser = argparse.ArgumentParser(exit_on_error=False)
    parser.add_argument("--out", type=output_file)
    with pytest.raises(argparse.ArgumentError, match="a device, pipe or socket"):
        parser.parse_args(["--out", str(tmp_path / "pipe")])
    assert parser.parse_args(["--out", str(tmp_path / "new")]).out == tmp_path / "new"


def test_version_and_module(run, monkeypatch: pytest.MonkeyPatch, capfd) -> None:
    result = run("--version")
    assert (result.code, result.out) == (0, f"lada {lada.__version__}\n")
    monkeypatch.setattr("sys.argv", ["lada", "--version"])
    with pytest.raises(SystemExit) as end:
        runpy.run_module("lada", run_name="__main__")
    assert not end.value.code
    assert capfd.readouterr().out == result.out
