"""`lada.compress`: the same run as the command line's, and nothing else in the process changed."""

import csv
import json
import logging
import os
import random
import warnings
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import stranger
import torch
from helpers import Result, run_in, sentences
from huggingface_hub.utils import are_progress_bars_disabled
from safetensors.torch import load_file
from transformers import AutoModelForSequenceClassification, AutoTokenizer, BertModel
from transformers.utils import logging as hf_logging

import lada
from lada.config import (
    DataConfig,
    OptimConfig,
    PathsConfig,
    ScheduleConfig,
    TeacherConfig,
    TrainerConfig,
)
from lada.state import LOGGERS, restored

TEACHER = TeacherConfig(lr=2e-3, epochs=4)
SCHEDULE = ScheduleConfig(rounds=4)
TRAINER = TrainerConfig(precision="fp32", threads=1)


@pytest.fixture
def like_tiny(teachers: Path, tmp_path: Path) -> dict[str, Any]:
    """The arguments that say what the overrides of `tiny` say, but for the data."""
    paths = PathsConfig(
        outputs=str(tmp_path / "api"), cache=str(tmp_path / "cache"), teachers=str(teachers)
    )
    return {
        "target": 5,
        "epochs": 3,
        "lr": 1e-3,
        "max_length": 32,
        "progress": "none",
        "teacher": TEACHER,
        "schedule": SCHEDULE,
        "trainer": TRAINER,
        "paths": paths,
    }


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as f:
        return list(csv.DictReader(f))


def _tensors(result: lada.Result) -> Any:
    """Of the artifact's file; its header has a digest of config.json, which names the teacher."""
    return stranger.packed(result.artifact / "model.safetensors")


def _bytes(artifact: Path) -> bytes:
    return (artifact / "model.safetensors").read_bytes()


def test_files_and_objects_give_the_artifact_of_the_command_line(
    tiny: list[str],
    train_py: Callable[..., Result],
    csv_files: tuple[Path, Path],
    like_tiny: dict[str, Any],
    tmp_path: Path,
) -> None:
    assert train_py(*tiny).code == 0
    expected = run_in(tmp_path / "out") / "artifact"
    files = lada.compress("tiny", *map(str, csv_files), **like_tiny)
    assert _bytes(files.artifact) == _bytes(expected)
    assert (files.artifact / "config.json").read_bytes() == (expected / "config.json").read_bytes()
    test = _rows(csv_files[1])[:20]  # it decides nothing
    objects = lada.compress("tiny", *map(_rows, csv_files), test=test, **like_tiny)
    assert _bytes(objects.artifact) == _bytes(expected)
    assert list(objects.scores) == ["dev", "test"] and objects.scores["test"]["rows"] == 20
    assert objects.scores["dev"] == files.scores["dev"]
    assert objects.record["data"].pop("test")["rows"] == 20
    assert objects.record["data"] == files.record["data"]
    assert objects.record["teacher"]["key"] == files.record["teacher"]["key"]
    assert objects.folder != files.folder
    # What a run says of itself holds no path, and the command line that does the same.
    command = "python train.py task=csv method=lada model=tiny teacher.lr=0.002 teacher.epochs=4"
    assert files.record["command"].startswith(command)
    assert str(tmp_path) not in files.record["command"]


@pytest.mark.slow
def test_a_task_by_name_gives_the_artifact_of_the_command_line(
    tiny: list[str], train_py: Callable[..., Result], like_tiny: dict[str, Any], tmp_path: Path
) -> None:
    words = [word for word in tiny if not word.startswith("task")]
    assert train_py(*words, "task=demo", "task.max_length=32", "method=pruning_kd").code == 0
    found = lada.compress("tiny", task="demo", method="pruning_kd", **like_tiny)
    assert _bytes(found.artifact) == _bytes(run_in(tmp_path / "out") / "artifact")


def test_columns_and_texts_without_labels(like_tiny: dict[str, Any], tmp_path: Path) -> None:
    """Keywords for the columns, and texts without labels that have predictions, too."""
    said: dict[str, list[float]] = {"bad": [0.9, 0.1], "good": [0.2, 0.8]}
    train: list[dict[str, Any]] = [
        {"t": text, "l": label, "p": said[label]} for text, label in sentences(320, 1)
    ]
    for row in train[:300]:
        row["p"] = None
    dev = [{"t": text, "l": label} for text, label in sentences(80, 2)]
    more = [{"t": f"more {row['t']}", "p": row["p"]} for row in train[300:]]
    found = lada.compress(
        "tiny", train, dev, unlabeled=more, text="t", label="l", kind="single_label",
        probabilities="p", probabilities_weight=0.25, **like_tiny,
    )  # fmt: skip
    data = found.record["data"]
    assert data["unlabeled"]["rows"] == 20
    assert data["probabilities"]["weight"] == 0.25
    assert 20 < data["probabilities"]["rows"] <= 40  # some are in the validation split
    other = lada.compress(
        "tiny", train, dev, unlabeled=[row["t"] for row in more], text="t", label="l", **like_tiny
    )
    assert "probabilities" not in other.record["data"]
    assert other.record["data"]["unlabeled"]["rows"] == 20
    assert other.record["teacher"]["key"] == found.record["teacher"]["key"]
    with pytest.raises(lada.LadaError, match=r"^unlabeled\[1\]: has no text 't'. Give strings, or"):
        lada.compress("tiny", train, dev, unlabeled=["x", 1], text="t", label="l", **like_tiny)
    with pytest.raises(
        lada.LadaError, match=r"^probabilities_weight=0.25: is not used, since prob"
    ):
        lada.compress(
            "tiny", train, dev, text="t", label="l", probabilities_weight=0.25, **like_tiny
        )


def _questions(count: int, seed: int) -> list[dict[str, Any]]:
    draw = random.Random(seed)
    rows = []
    for _ in range(count):
        before = " ".join(draw.choices(("the", "a", "went", "saw"), k=draw.randint(2, 5)))
        answer = {"answer": draw.choice(("rome", "oslo")), "answer_start": len(before) + 1}
        context = f"{before} {answer['answer']} and left"
        rows.append({"question": "where?", "context": context, **answer})
    return rows


@pytest.mark.slow
def test_questions_as_objects_and_as_files(like_tiny: dict[str, Any], tmp_path: Path) -> None:
    rows = [_questions(240, 1), _questions(40, 2)]
    files = [tmp_path / "train.jsonl", tmp_path / "dev.jsonl"]
    for file, each in zip(files, rows, strict=True):
        file.write_text("\n".join(map(json.dumps, each)))
    objects, read = (
        lada.compress("tiny", *given, task="squad", **like_tiny) for given in (rows, files)
    )
    assert _bytes(objects.artifact) == _bytes(read.artifact)
    assert objects.scores == read.scores and objects.folder != read.folder
    answer = objects.classifier(("where?", "the saw rome and left"))
    assert answer.text in "the saw rome and left" and answer.probability > 0


def _state() -> dict[str, Any]:
    """All of the process that a run might change."""
    names = (*LOGGERS, "torch", "lightning", "transformers", "datasets", "huggingface_hub")
    loggers = {
        name: (log.level, log.propagate, log.disabled, tuple(log.handlers))
        for name, log in zip(names, map(logging.getLogger, names), strict=True)
    }
    return {
        "torch": torch.get_rng_state().tolist(),
        "numpy": str(np.random.get_state()),
        "random": random.getstate(),
        "threads": torch.get_num_threads(),
        "grad": torch.is_grad_enabled(),
        "dtype": torch.get_default_dtype(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "precision": torch.get_float32_matmul_precision(),
        "environment": dict(os.environ),
        "filters": list(warnings.filters),
        "root": (logging.root.level, tuple(logging.root.handlers)),
        "loggers": loggers,
        "verbosity": hf_logging.get_verbosity(),
        "bars": (hf_logging.is_progress_bar_enabled(), are_progress_bars_disabled()),
        "folder": os.getcwd(),
    }


def _changed(before: dict[str, Any]) -> dict[str, Any]:
    """What differs from an earlier state: each value before and now, of dicts by their keys."""
    out: dict[str, Any] = {}
    for name, now in _state().items():
        then = before[name]
        if isinstance(now, dict):
            pairs = {key: (then.get(key), now.get(key)) for key in then.keys() | now.keys()}
            out |= {f"{name} {key}": pair for key, pair in pairs.items() if pair[0] != pair[1]}
        elif now != then:
            out[name] = (then, now)
    return out


def test_a_run_prints_nothing_and_changes_nothing(
    csv_files: tuple[Path, Path], like_tiny: dict[str, Any], capfd: pytest.CaptureFixture[str]
) -> None:
    like_tiny |= {"progress": "auto", "epochs": None, "steps": 8}
    compress = lada.compress  # imports Lightning, which sets an environment variable of its own
    torch.manual_seed(5)
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        state = _state()
        found = compress("tiny", *csv_files, **like_tiny)
        assert found.record["machine"]["threads"] == 1
        assert _changed(state) == {}
        # Also where it fails: the teacher is too near to chance.
        strict = TeacherConfig(steps=1, margin=100.0)
        with pytest.raises(lada.LadaError, match="near chance"):
            compress("tiny", *csv_files, **(like_tiny | {"teacher": strict}))
        assert _changed(state) == {}
    finally:
        torch.set_num_threads(before)
    assert capfd.readouterr() == ("", "")


def test_what_is_changed_in_the_block_is_restored() -> None:
    import torch._dynamo.config as dynamo

    flag = dynamo.fail_on_recompile_limit_hit
    state = _state()

    def change() -> None:
        torch.manual_seed(99)
        np.random.seed(99)
        random.seed(99)
        torch.set_num_threads(2 if torch.get_num_threads() == 1 else 1)
        torch.set_grad_enabled(False)
        dynamo.fail_on_recompile_limit_hit = not flag
        os.environ["LADA_TEST"] = "1"
        os.environ.pop("PATH")
        warnings.filterwarnings("ignore", message="nothing")
        logging.basicConfig(level=logging.DEBUG, force=True)
        for name in ("lada", "lightning.pytorch", "torch.distributed.elastic"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
            logging.getLogger(name).addHandler(logging.NullHandler())
        hf_logging.set_verbosity(5)
        hf_logging.disable_progress_bar()
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), restored(compiled=True):
        change()
    assert _changed(state) == {}
    assert dynamo.fail_on_recompile_limit_hit == flag


def test_lines_are_shown_where_they_are_asked_for(
    csv_files: tuple[Path, Path], like_tiny: dict[str, Any], capfd: pytest.CaptureFixture[str]
) -> None:
    found = lada.compress(
        "tiny", *csv_files, **(like_tiny | {"progress": "lines", "epochs": None, "steps": 8})
    )
    out, err = capfd.readouterr()
    assert out == ""
    assert "compression: step 8 of 8" in err
    assert found.record["steps"] == 8


def test_runs_of_one_second_have_folders_of_their_own(tmp_path: Path) -> None:
    from lada.api import _new_folder

    config: Any = SimpleNamespace(
        target=SimpleNamespace(ratio=7.5, mb=None),
        task=SimpleNamespace(name="csv"),
        method=SimpleNamespace(name="lada"),
        paths=SimpleNamespace(outputs=str(tmp_path)),
    )
    folders = set()
    for _ in range(50):
        folder = _new_folder(config)
        folder.mkdir(parents=True)
        folders.add(folder)
    assert len(folders) == 50


def test_models_as_objects_and_folders(
    csv_files: tuple[Path, Path], like_tiny: dict[str, Any], teachers: Path
) -> None:
    first = lada.compress("tiny", *csv_files, **like_tiny)
    folder = teachers / first.record["teacher"]["key"]
    given = like_tiny | {"teacher": None}
    from_folder = lada.compress(folder, *csv_files, **given)
    assert from_folder.record["teacher"]["given"]
    assert _tensors(from_folder) == _tensors(first)
    model = AutoModelForSequenceClassification.from_pretrained(folder).train()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    from_object = lada.compress(model, *csv_files, tokenizer=tokenizer, **given)
    assert _tensors(from_object) == _tensors(first)
    assert model.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert all(p.requires_grad and p.grad is None for p in model.parameters())
    # Another head than the task's is used with fine_tune alone.
    three = [{"text": f"{word} {i}", "label": word} for i in range(99) for word in "abc"]
    dev = [{"text": f"{word} {i}", "label": word} for i in range(99, 120) for word in "abc"]
    with pytest.raises(lada.LadaError, match=r"^model: it has 2 classes"):
        lada.compress(model, three, dev, tokenizer=tokenizer, **given)
    # Also from an encoder without a head.
    trained = lada.compress(
        model.base_model,
        three,
        dev,
        tokenizer=tokenizer,
        fine_tune=True,
        **(like_tiny | {"epochs": 1}),
    )
    assert not trained.record["teacher"]["given"]
    assert trained.classifier.labels == ("a", "b", "c")


@pytest.fixture
def encoder(tmp_path: Path) -> Path:
    """A BERT without a head."""
    from helpers import small_bert

    small_bert().bert.save_pretrained(tmp_path / "encoder")
    return tmp_path / "encoder"


ROWS = [{"text": f"text {i}", "label": "xy"[i % 2]} for i in range(40)]
DEV = [{"text": "unseen", "label": "x"}]
WRONG: list[tuple[dict[str, Any], str]] = [
    ({"train": None, "dev": None}, "train: is not given. Give train and dev, or a built-in task"),
    ({"dev": None}, "dev: is not given."),
    ({"task": "demo"}, "train: task=demo has its own examples."),
    ({"task": "squad", "train": None}, "train: is not given."),
    ({"task": "squad", "dev": None}, "dev: is not given."),
    ({"task": "squad"}, "train[0]: has no text 'question'. Give a string."),
    ({"task": "csv", "train": None, "dev": None}, "task=csv: this is the command line's name"),
    ({"task": "sst3", "train": None, "dev": None}, "task=sst3: no such choice; did you mean sst2?"),
    ({"method": "ladder"}, "method=ladder: no such choice; did you mean"),
    ({"method": 3}, "method: is of type int."),
    ({"target": 0.5}, "target=0.5: must be at least 1"),
    ({"target": "7.5x"}, "target=7.5x: must be a number"),
    ({"lr": 2}, "lr=2: must be over 0 and at most 1"),
    ({"steps": 0}, "steps=0: must be at least 1"),
    ({"epochs": 1, "steps": 1}, "steps=1: epochs=1 is given too."),
    ({"batch_size": True}, "batch_size=true: must be a whole number"),
    ({"max_length": 2}, "max_length=2: must be at least 4"),
    ({"seed": -1}, "seed=-1: must be at least 0"),
    ({"seed": True}, "seed=true: must be a whole number"),
    ({"values": "int5"}, "values=int5: choose one of"),
    ({"progress": "rich"}, "progress=rich: choose one of"),
    ({"ratios": "quick"}, "ratios=quick: no such choice"),
    ({"optim": {"lr": 1}}, "optim: is of type dict. Give OptimConfig(...)."),
    ({"optim": OptimConfig(steps=3), "steps": 5}, "steps: is given in optim= too."),
    ({"text": "review"}, "train[0]: has no column 'review', the nearest is 'text'"),
    ({"text_pair": "text"}, "text_pair=text: text names the same column."),
    ({"trainer": TrainerConfig(strategy="ddp", devices=2)}, "trainer.strategy=ddp: it starts"),
    ({"model": 5}, "model: is of type int. Give a transformers model"),
    ({"model": "./nowhere"}, "model=./nowhere: no such folder."),
    ({"model": "tiny", "tokenizer": object()}, "tokenizer: goes with a model object"),
    ({"data_dir": "GLUE"}, "data_dir=GLUE: is not used"),
    ({"distill": "prediction", "method": "kd"}, "distill=prediction: "),
]


@pytest.mark.parametrize(("given", "message"), WRONG)
def test_wrong_arguments_are_named(
    given: dict[str, Any], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(lada.LadaError) as caught:
        lada.compress(**({"model": "tiny", "train": ROWS, "dev": DEV} | given))
    assert str(caught.value).startswith(message), caught.value
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.rglob("results.json"))


def test_models_that_cannot_be_taken(encoder: Path, tmp_path: Path) -> None:
    from helpers import small_bert

    paths = PathsConfig(cache=str(tmp_path / "cache"))
    for model, message in (
        (encoder, f"model={encoder}: has no classification head. Give fine_tune=True"),
        (str(encoder), f"model={encoder}: has no classification head."),
        (small_bert(), "tokenizer: is not given. Give the tokenizer of the model"),
        (
            BertModel(small_bert().config),
            "model: is a BertModel, which has no head. Give fine_tune=True",
        ),
    ):
        with pytest.raises(lada.LadaError) as caught:
            lada.compress(model, ROWS, DEV, paths=paths)
        assert str(caught.value).startswith(message)


def test_result(csv_files: tuple[Path, Path], like_tiny: dict[str, Any], tmp_path: Path) -> None:
    folder = tmp_path / "given [folder]"
    data = DataConfig(validation=30)
    found = lada.compress("tiny", *csv_files, **like_tiny, data=data, output=folder)
    assert found.folder == folder
    assert found.record["data"]["validation"]["rows"] == 30
    assert load_file(found.artifact / "model.safetensors")
    labels = [row["label"] for row in _rows(csv_files[1])]
    answers = found.classifier([row["text"] for row in _rows(csv_files[1])])
    right = sum(a.label == label for a, label in zip(answers, labels, strict=True))
    assert found.scores["dev"]["accuracy"] == pytest.approx(right / len(labels))
    assert abs(found.ratio / 5 - 1) < 0.005
    text = str(found)
    assert f"{100 * right / len(labels):.1f}" in text
    assert f"artifact: {found.artifact}" in text
    assert "\x1b" not in text
    assert repr(found) == f"Result(folder={folder!r})"
    html = found._repr_html_()
    assert html.count("<tr>") == 5
    for cell in ("dev accuracy %", "nonzero parameters", "file, bytes"):
        assert f">{cell}</th>" in html
        assert cell in text
    with pytest.raises(lada.LadaError, match=r"already has a run\. Give another folder \(output="):
        lada.compress("tiny", *csv_files, **like_tiny, data=data, output=folder)


def test_text_in_a_record_is_escaped() -> None:
    record: dict[str, Any] = {
        "config": {
            "task": {"name": "csv"},
            "model": {"name": "<img src=x>"},
            "method": {"name": "lada"},
        },
        "start": "",
        "target": 5.0,
        "warnings": ['answers "<script>alert(1)</script>" for every example'],
        "teacher": {
            "scores": {"a<b": {"accuracy": 0.5}}, "nonzeros": 10, "stored_bytes": 10
        },
        "artifact": {
            "scores": {"a<b": {"accuracy": 0.5, "rows": 2, "accuracy_95": [0.1, 0.9]}},
            "nonzeros": 2,
            "stored_bytes": 2,
        },
        "speed": {"length": 8, "teacher": 2.0, "artifact": 1.0},
    }  # fmt: skip
    html = lada.Result(Path("/tmp/<b>&"), record)._repr_html_()
    for raw in ("<script", "<img", "a<b", "<b>"):
        assert raw not in html
    for escaped in (
        "&lt;script&gt;",
        "&lt;img src=x&gt;",
        "a&lt;b accuracy %",
        "/tmp/&lt;b&gt;&amp;",
    ):
        assert escaped in html
