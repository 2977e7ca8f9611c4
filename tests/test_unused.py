"""A key that a run would pass over is an error, and nothing is converted without a word."""

import json
from functools import cache
from inspect import signature
from itertools import product

import pytest
import torch
from helpers import ROOT
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf
from transformers import BertConfig, BertForSequenceClassification

import lada
from lada.config import Config, check, known_keys
from lada.config.whole import keys
from lada.errors import LadaError
from lada.keywords import Request
from lada.methods import methods
from lada.run.entry import guarded
from lada.schema import keys_of

METHODS = methods()
OWN_SIZE = ("early_exit", "quantization")

GIVEN = ["teacher=folder", "teacher.path=somewhere"]
FILES = ["task=csv", "task.train_file=a.csv", "task.dev_file=b.csv"]


def checked(*overrides: str) -> Config:
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        return check(compose("train", overrides=list(overrides)), overrides)


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["teacher=folder", "teacher.path=null"], "teacher=folder needs the folder"),
        ([*GIVEN, "teacher.lr=1e-4"], "teacher.lr=1e-4: is not used, since teacher.path is given"),
        ([*GIVEN, "teacher.steps=50"], "teacher.steps=50: is not used"),
        ([*GIVEN, "model=local", "model.path=x"], "the student starts from teacher.path"),
        (["task.train_file=a.csv"], "task.train_file=a.csv: is not used, since it goes with"),
        (["task=sst2", "task.text_pair=auto"], "this is task=sst2"),
        (["task.label=stars"], "task.label=stars"),
        (["data.dir=GLUE"], "data.dir=GLUE: is not used, since task=demo reads no folder"),
        ([*FILES, "data.dir=GLUE"], "task=csv reads no folder"),
        (["method.word_weight=0.5"], "method.allocation=uniform compares no errors"),
        (["schedule.every=epoch", "schedule.rounds=4"], "schedule.every=epoch sets the number"),
        (["schedule.delta=0.8", "schedule.rounds=4"], "schedule.delta sets the number"),
        (["logger=tensorboard", "logger.project=x"], "logger=tensorboard has no projects"),
        (["trainer.precision=fp32", "trainer.skipped_steps=1"], "fp32 skips no step"),
        (["trainer.accelerator=cpu", "trainer.jobs_per_gpu=2"], "does not share a GPU"),
        (["method=quantization", "target=none", "optim.epochs=5"], "quantization trains nothing"),
        (["method=quantization", "target=none", "schedule=cubic"], "nothing in rounds"),
        (["method=quantization", "target=none", "compile=true"], "quantization trains nothing"),
        (["method=early_exit", "target=none", "schedule.recovery=0.1"], "nothing in rounds"),
        (["method=kd", "target=none", "method.embedding=keep"], "leaves the word embeddings"),
        (["method=kd", "target=none", "schedule.rounds=2"], "target=none compresses nothing"),
        (["method=finetune", "method.embedding=keep", "schedule=linear"], "embedding=keep"),
        (["method=tinybert", "schedule.shape=linear"], "a student from scratch"),
        (["trainer.devices=16"], "several processes need trainer=ddp"),
        (["trainer.num_nodes=2"], "several processes need trainer=ddp"),
    ],
)
def test_what_is_not_used_is_an_error(args: list[str], words: str) -> None:
    with pytest.raises(LadaError) as error:
        checked(*args)
    assert words in str(error.value)


@pytest.mark.parametrize(
    "args",
    [
        ["debug=fast", *GIVEN],
        ["debug=fast", "method=quantization", "target=none"],
        [*FILES, "task.text_pair=answer", "task.text="],
        ["task=mnli", "data.dir=GLUE"],
        [*GIVEN, "model=minilm-l6", "teacher.margin=1"],
        ["schedule.delta=0.8"],
        ["schedule.every=200"],
        ["method=kd", "schedule.start=full"],
        ["method=kd", "teacher_cache.gb=12", "trainer.threads=1"],
        ["method=bert_small", "method.path=F", "schedule.rounds=3"],
        ["logger=wandb", "logger.project=x"],
        ["trainer=ddp", "trainer.devices=2"],
        ["compile=True", "submit=FALSE"],
        ["optim.lr=1", "distill.hidden=0"],
    ],
)
def test_what_is_used_is_accepted(args: list[str]) -> None:
    checked(*args)


@pytest.mark.parametrize(
    ("word", "say"),
    [
        ("compile=1", "true or false"),
        ("submit=yes", "true or false"),
        ("compile=0.0", "true or false"),
        ("optim.warmup=true", "a number"),
        ("seed=false", "a whole number"),
        ("trainer.checks=2.0", "a whole number"),
        ("teacher.epochs='3'", "a number or null"),
        ("data.validation='100'", "a whole number or null"),
        ("data.validation=[1]", "a whole number or null"),
        ("ratios.svd={a:1}", "a number or null"),
        ("schedule.shape=null", "must have a value"),
        ("schedule.every=1.5", "a whole number"),
        ("paths.outputs=2024", """write 'paths.outputs="2024"'"""),
        ("resume=false", "must be text"),
        ("paths.cache=", "is empty"),
    ],
)
def test_nothing_is_converted(word: str, say: str) -> None:
    with pytest.raises(LadaError) as error:
        checked(word)
    assert say in str(error.value)
    assert word.partition("=")[0] in str(error.value)


HOSTILE = (1e300, -1e300, 10**400, -(10**400), float("nan"), float("inf"), -float("inf"))


@cache
def composed(method: str) -> DictConfig:
    GlobalHydra.instance().clear()
    own_size = ["target=none"] if method in OWN_SIZE else []
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        return compose("train", overrides=[f"method={method}", *own_size])


@pytest.mark.parametrize("key", known_keys())
def test_every_number_has_bounds(key: str) -> None:
    """As for text, no number is any."""
    name = key.removeprefix("method.")
    owners = [m for m, kind in METHODS.items() if key != name and name in keys_of(kind)]
    for method, value in product(owners or ["lada"], HOSTILE):
        config = composed(method).copy()
        OmegaConf.update(config, key, value)
        with pytest.raises(LadaError) as error:
            check(config)
        said = "method" if key == "method.name" else key
        assert any(line.startswith(f"{said}=") for line in error.value.args)
        assert max(map(len, error.value.args)) < 400


def test_every_number_has_an_upper_bound_and_defaults_are_far_below() -> None:
    for key in keys().values():
        if key.kind is float and key.most is None:
            raise AssertionError(f"{key.name} has no upper bound")
        if key.most is None or isinstance(key.default, str) or not key.why:
            continue
        assert key.default is None or 10 * key.default <= key.most, key


def test_counts_are_bounded_by_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for cores, most in ((1, 8), (2, 8), (64, 256)):
        monkeypatch.setattr("lada.limits.cores", lambda cores=cores: cores)
        for key in ("trainer.threads", "data.workers"):
            checked(f"{key}={most}")
            with pytest.raises(LadaError, match=f"{key}={most + 1}: must be at most {most} "):
                checked(f"{key}={most + 1}")


def dense() -> BertForSequenceClassification:
    with torch.device("meta"):
        return BertForSequenceClassification(BertConfig())


@pytest.mark.parametrize(
    "args",
    [
        ["method=tinybert", "method.width=4104", "method.inner=30000"],
        ["method=bert_small", "method.layers=256", "method.width=1200"],
        ["method=bilstm", "method.hidden=32768"],
        ["method=minialbert", "method.adapter=32768"],
    ],
)
def test_a_student_larger_than_its_teacher_is_rejected(args: list[str]) -> None:
    config = checked(*args, "target=none")
    with pytest.raises(LadaError, match="2 times as large"):
        config.method.make(config.context).plan(dense(), 1)


def test_a_width_that_no_number_of_heads_divides() -> None:
    with pytest.raises(LadaError, match="at most 32,768"):
        checked("method=tinybert", "method.width=1000000000000")
    with pytest.raises(LadaError, match=r"does not divide method\.width=32767"):
        checked("method=tinybert", "method.width=32767")


@pytest.mark.parametrize(
    "args",
    [["schedule.every=1", "optim.steps=1000000"], ["schedule.delta=0.999", "target=10x"]],
)
def test_rounds_are_bounded(args: list[str]) -> None:
    config = checked(*args)
    if "schedule.every=1" in args:
        with pytest.raises(LadaError, match="1,000,000 rounds"):
            config.schedule.rounds_at(config.target.ratio, 1_000_000)
    else:
        assert len(config.schedule.rounds_at(config.target.ratio, 100_000)) == 2302


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (MemoryError(), "out of memory before or after training"),
        (RuntimeError("can't start new thread"), "trainer.threads, data.workers"),
        (RuntimeError("libgomp: Resource temporarily unavailable"), "trainer.threads"),
        (RuntimeError("not enough memory: you tried to allocate 64 bytes."), "asked for 64 bytes"),
    ],
)
def test_a_failure_is_called_by_its_cause(
    error: Exception, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def fit() -> None:
        raise error

    def main() -> None:
        raise error

    with pytest.raises(SystemExit):
        guarded(main)
    said = capsys.readouterr().err
    assert words in said
    assert "batch" not in said
    with pytest.raises(SystemExit):
        guarded(fit)
    assert ("optim.batch_size" in capsys.readouterr().err) == (
        "memory" in words or "asked" in words
    )


def test_columns_from_python_are_those_of_the_command_line() -> None:
    nothing = {name: key.default for name, key in signature(lada.compress).parameters.items()}
    columns = ["joy", 'a "b", ${c}']
    request = Request({**nothing, "label": columns})
    word = next(word for word in request.words() if word.startswith("task.label="))
    assert checked(*FILES, word).task.label == json.dumps(columns) == request.config().task.label
