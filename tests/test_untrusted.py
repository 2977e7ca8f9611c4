"""Folders and files from strangers: nothing in them is run, no path leads out of a run's folder."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import stranger
import torch
from helpers import Result, run_in
from transformers import AutoModelForSequenceClassification

import lada
from lada.artifact import accept
from lada.artifact.container import write
from lada.errors import LadaError
from lada.training.checkpoints import Checkpoints, _digest

Cli = Callable[..., Result]


class Bomb:
    """Leaves a file behind wherever it is unpickled."""

    def __init__(self, mark: Path):
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.mark),)


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    return tmp_path / "was-run"


@pytest.fixture
def teacher(train_py: Cli, tiny: list[str], teachers: Path, tmp_path: Path) -> Path:
    """A copy of a fine-tuned folder."""
    assert train_py(*tiny, f"paths.outputs={tmp_path}/first").code == 0
    key = json.loads((run_in(tmp_path / "first") / "results.json").read_text())["teacher"]["key"]
    shutil.copytree(teachers / key, tmp_path / "given")
    return tmp_path / "given"


def code_in(folder: Path, mark: Path) -> None:
    """What `trust_remote_code` would run, and names of classes to make."""
    (folder / "modeling.py").write_text(f"import os\nos.mkdir({str(mark)!r})\n")
    for name in ("config.json", "tokenizer_config.json"):
        config = json.loads((folder / name).read_text())
        config["auto_map"] = {
            "AutoModelForSequenceClassification": "modeling.Model",
            "AutoTokenizer": ["modeling.Model", None],
            "AutoConfig": "modeling.Model",
        }
        config["_target_"] = "os.mkdir"
        config["_args_"] = [str(mark)]
        (folder / name).write_text(json.dumps(config))


def test_code_in_a_model_folder(train_py: Cli, tiny: list[str], teacher: Path, mark: Path) -> None:
    code_in(teacher, mark)
    result = train_py(*tiny, "teacher=folder", f"teacher.path={teacher}")
    assert result.code == 0, result.err
    assert not mark.exists()


def test_pickled_model(train_py: Cli, tiny: list[str], teacher: Path, mark: Path) -> None:
    (teacher / "model.safetensors").unlink()
    torch.save({"bert": Bomb(mark)}, teacher / "pytorch_model.bin")
    result = train_py(*tiny, "teacher=folder", f"teacher.path={teacher}")
    assert result.code == 2
    assert "Traceback" not in result.err
    assert not mark.exists()


def test_code_in_an_artifact(train_py: Cli, tiny: list[str], tmp_path: Path, mark: Path) -> None:
    assert train_py(*tiny).code == 0
    folder = run_in(tmp_path / "out") / "artifact"
    code_in(folder, mark)
    torch.save(Bomb(mark), folder / "pytorch_model.bin")
    with pytest.raises(LadaError, match="another config"):
        lada.load(folder)
    # The same with weights that do belong to it.
    blobs = stranger.packed(folder / "model.safetensors")
    write(folder / "model.safetensors", blobs, json.loads((folder / "config.json").read_text()))
    with pytest.raises(LadaError, match=r"tokenizer_config\.json is modified"):
        lada.load(folder)
    accept(folder, ["tokenizer_config.json"])
    assert lada.load(folder)("it we lovely 3").label in ("good", "bad")
    AutoModelForSequenceClassification.from_pretrained(folder)
    assert not mark.exists()


def test_pickled_checkpoint(train_py: Cli, tiny: list[str], tmp_path: Path, mark: Path) -> None:
    assert train_py(*tiny).code == 0
    run = run_in(tmp_path / "out")
    (run / "results.json").unlink()
    file = run / "bomb"
    torch.save({"lada": Bomb(mark)}, file)
    file = file.rename(run / f"checkpoints/step-99999999-{_digest(file)}.ckpt")
    for resume in ("auto", str(file)):
        result = train_py(*tiny, f"resume={resume}")
        assert result.code == 2
        assert "not a checkpoint of this project" in result.err
        assert not mark.exists()


def test_names_are_no_paths(train_py: Cli, tiny: list[str], tmp_path: Path) -> None:
    for override in ("task.name=../../x", "model.name=../../x", "method.name=../x"):
        result = train_py(*tiny, override)
        assert result.code == 2
        assert "Traceback" not in result.err
    assert not list(tmp_path.parent.glob("x"))
    checkpoints = Checkpoints(tmp_path, {}, minutes=1, keep=1)
    with pytest.raises(LadaError, match="names"):
        checkpoints.load_state_dict({"best_score": 0.5, "best_name": "../../secret.ckpt"})
