"""Bad input: one clear line, exit code 2, no traceback, nothing trained, nothing left behind."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import Result, sentences, write_csv

Cli = Callable[..., Result]


def rejected(result: Result, *words: str) -> None:
    lines = [line for line in result.err.splitlines() if line.strip()]
    assert result.code == 2, result
    assert len(lines) == 1, result.err
    assert lines[0].startswith("error: ")
    assert "Traceback" not in result.err + result.out
    for word in words:
        assert word in lines[0], lines[0]


def without_task(args: list[str]) -> list[str]:
    return [a for a in args if not a.startswith("task")]


def left_behind(folder: Path) -> list[Path]:
    return [p for p in folder.rglob("*") if p.is_file()] if folder.exists() else []


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["task=sst3"], ["task=sst3", "did you mean sst2?", "Choose one of"]),
        (["target=8x"], ["target=8x", "7.5x"]),
        (["tsk=sst2"], ["tsk", "did you mean task?"]),
        (["optim.lrr=1"], ["optim.lrr", "did you mean optim.lr?"]),
        (["lr=1"], ["lr: no such key", "did you mean"]),
        (["optim.lr=fast"], ["optim.lr", "fast"]),
        (["optim.lr=-1"], ["optim.lr=-1", "must be over 0"]),
        (["optim.lr=nan"], ["optim.lr=nan"]),
        (["optim.epochs=0"], ["optim.epochs=0"]),
        (["seed=-1"], ["seed=-1"]),
        (["target=custom"], ["target.ratio: has no value"]),
        (["target=custom", "target.ratio=0.5"], ["target.ratio=0.5"]),
        (["model=local"], ["model.path=null", "model=local"]),
        (["method.lower_rank=drop"], ["method.lower_rank=drop", "truncate, refactorize"]),
        (["schedule.every=often"], ["schedule.every=often", "epoch"]),
        (["schedule.delta=0.9", "schedule=cubic"], ["schedule.delta=0.9", "geometric"]),
        (["schedule.start=full", "schedule.rounds=1"], ["schedule.start=full", "rounds=2"]),
        (["schedule.start=half"], ["schedule.start=half", "compressed, full"]),
        (["distill.prediction=0"], ["distill.prediction=0"]),
        (["trainer.precision=fp8"], ["trainer.precision=fp8", "bf16"]),
        (["resume=nowhere.ckpt"], ["resume=nowhere.ckpt", "no such file"]),
        (["method=magic"], ["method=magic"]),
        (["=x"], ["=x"]),
        (["+optim.leraning_rate=1"], ["optim.leraning_rate", "no such key", "did you mean"]),
        (["model.path=here"], ["model.path=here", "model=local"]),
        (["model.name=foo"], ["model.name=foo"]),
        (["trainer.accumulate=33"], ["optim.batch_size=32", "33 parts"]),
        (["trainer.strategy=fsdp"], ["trainer.strategy=fsdp", "whole matrices", "ddp"]),
        (["trainer.strategy=deepspeed"], ["trainer.strategy=deepspeed", "mask", "ddp"]),
        (["trainer.devices=2"], ["trainer.devices=2", "trainer=ddp"]),
        (["trainer=ddp", "trainer.accelerator=cpu"], ["trainer.devices=N"]),
        (["trainer=ddp", "trainer.accelerator=gpu"], ["trainer.accelerator=cpu", "0 GPUs"]),
        (
            ["trainer=ddp", "trainer.devices=2", "trainer.num_nodes=2", "trainer.accelerator=cpu"],
            ["trainer.num_nodes=2", "torchrun"],
        ),
        (["trainer.accelerator=gpu"], ["trainer.accelerator=gpu", "CUDA"]),
        (["task=[a"], ["task=[a"]),
        (["optim=null"], ["optim=null", "optim=NAME"]),
        (["+schedule=0.5"], ["+schedule=0.5", "group of keys"]),
        (["=1"], ["=1", "KEY=VALUE"]),
        (["seed=" + 5000 * "9"], ["seed=999", "in quotes"]),
        (["seed=" + 300 * "[" + 300 * "]"], ["too many brackets"]),
        (["data.dir=/my data/a=b"], ["""write 'data.dir="/my data/a=b"'"""]),
        (["task.text=a,b"], ["""write 'task.text="a,b"'""", "add -m"]),
        (["x" * 10_000 + "=1"], ["xxx"]),
    ],
)
def test_config(train_py: Cli, tiny: list[str], tmp_path: Path, args, words) -> None:
    rejected(train_py(*tiny, *args), *words)
    assert left_behind(tmp_path / "out") == []


@pytest.mark.parametrize(
    ("word", "words"),
    [
        ("optim=null,adamw", ["optim=null,adamw: optim is a group of keys"]),
        ("hydra/launcher=none", ["hydra/launcher=none: no such choice", "basic"]),
        ("hydra/sweeper=5", ["hydra/sweeper=5: hydra/sweeper is a group"]),
        ("seed=range(1,3,0)", ["must not be zero"]),
    ],
)
def test_sweep(train_py: Cli, tiny: list[str], tmp_path: Path, word: str, words: list[str]) -> None:
    rejected(train_py("-m", *tiny, word), *words)
    assert not list(tmp_path.rglob("run.json"))


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["target=custom", "target.ratio=60"], ["target.ratio=60", "largest is x"]),
        (["ratios=custom"], ["ratios.embedding", "ratios=solved"]),
        (["ratios=custom", "ratios.svd=2"], ["needs two of"]),
        (["ratios.svd=2"], ["ratios=solved", "ratios=custom"]),
        (
            ["ratios=custom", "ratios.embedding=2", "ratios.svd=2", "ratios.pruning=2"],
            ["the three ratios make x", "target is x5"],
        ),
        (["ratios=custom", "ratios.embedding=1", "ratios.svd=2"], ["ratios.embedding"]),
        (["target=custom", "target.ratio=3", "ratios=paper"], ["ratios=paper", "ratios=solved"]),
        (["schedule.rounds=10000"], ["rounds", "optim.epochs"]),
        (["schedule.start=full", "schedule.every=10000"], ["schedule.start=full", "more steps"]),
        (
            ["schedule.recovery=0.75", "optim.epochs=null", "optim.steps=8"],
            ["4 rounds do not fit into 3 steps"],
        ),
        (["data.validation=100000"], ["data.validation=100000"]),
        (["task.max_length=3"], ["task.max_length=3"]),
        (["task.max_length=300"], ["task.max_length=300", "128"]),
    ],
)
def test_plan(train_py: Cli, tiny: list[str], tmp_path: Path, args, words) -> None:
    rejected(train_py(*tiny, *args), *words)
    assert left_behind(tmp_path / "out") == []


def test_largest_target_named_is_accepted(train_py: Cli, tiny: list[str]) -> None:
    line = train_py(*tiny, "target=custom", "target.ratio=60").err
    largest = float(line.split("largest is x")[1].split()[0])
    # A teacher that has learnt nothing ends the run after its plan.
    ends = ["teacher.lr=1e-9", "teacher.margin=100"]
    again = train_py(*tiny, "target=custom", f"target.ratio={largest}", *ends)
    rejected(again, "near chance")


@pytest.mark.parametrize(
    ("name", "rows", "words"),
    [
        ("empty", [], ["no examples"]),
        ("one_class", [(text, "good") for text, _ in sentences(40, 3)], ["class"]),
        ("broken", [*sentences(20, 3), ("a", "good", "extra")], ["line 22"]),
        ("few", sentences(5, 3), ["5 examples"]),
    ],
)
def test_train_file(train_py: Cli, tiny: list[str], tmp_path: Path, name, rows, words) -> None:
    file = write_csv(tmp_path / f"{name}.csv", rows, ("text", "label"))
    rejected(train_py(*tiny, f"task.train_file={file}"), str(file) if name != "few" else "", *words)
    assert left_behind(tmp_path / "out") == []


def test_missing_file(train_py: Cli, tiny: list[str], tmp_path: Path) -> None:
    rejected(train_py(*tiny, f"task.train_file={tmp_path}/no.csv"), "no.csv", "task.train_file")


def test_wrong_column(train_py: Cli, tiny: list[str]) -> None:
    rejected(train_py(*tiny, "task.text=txt"), "txt", "text", "label")


def test_unseen_label(train_py: Cli, tiny: list[str], tmp_path: Path) -> None:
    dev = write_csv(tmp_path / "dev.csv", [("a", "good"), ("b", "ugly")], ("text", "label"))
    rejected(train_py(*tiny, f"task.dev_file={dev}"), "ugly", "line 3")


def test_glue_folder_missing(train_py: Cli, tiny: list[str], tmp_path: Path) -> None:
    rejected(
        train_py(*without_task(tiny), "task=sst2", f"data.dir={tmp_path}"), "data.dir", "SST-2"
    )


def test_no_network(train_py: Cli, tiny: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    rejected(train_py(*without_task(tiny), "task=sst2"), "data.dir=")
    rejected(train_py(*tiny, "model=bert-base"), "model=local", "model.path=")


def test_model_is_no_bert(train_py: Cli, tiny: list[str], tmp_path: Path) -> None:
    (tmp_path / "gpt").mkdir()
    (tmp_path / "gpt/config.json").write_text(json.dumps({"model_type": "gpt2"}))
    path = f"model.path={tmp_path / 'gpt'}"
    rejected(train_py(*tiny, "model=local", path), "gpt2 is not supported", "bert")
    rejected(train_py(*tiny, "model=local", f"model.path={tmp_path}/none"), "no such folder")
    rejected(train_py(*tiny, "teacher=folder", f"teacher.path={tmp_path}/none"), "config.json")


def test_output_folder_cannot_be_written(train_py: Cli, tiny: list[str], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    rejected(train_py(*tiny, f"paths.outputs={tmp_path}/file"), "file", "paths.outputs")
    rejected(train_py(*tiny, f"paths.teachers={tmp_path}/file"), "file")


def test_teacher_near_chance(train_py: Cli, tiny: list[str], tmp_path: Path) -> None:
    result = train_py(*tiny, "teacher.lr=1e-9", "teacher.epochs=1")
    rejected(result, "near chance", "% on the validation split", "teacher.epochs")
    assert left_behind(tmp_path / "out") == []


def test_nan_loss_says_the_step(train_py: Cli, tiny: list[str]) -> None:
    result = train_py(*tiny, "distill.hidden=3e38")
    rejected(result, "NaN or infinite", "at step 0", "No checkpoint was saved")
