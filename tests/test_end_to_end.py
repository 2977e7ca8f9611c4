"""Whole runs on a random two-layer model: what stands in the folder is what was promised."""

import csv
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import stranger
import torch
from helpers import Result, sentences, write_csv
from safetensors.numpy import load_file

import lada
from lada.methods.structures import Factorized
from lada.nn.compressed import compressed_layers
from lada.nn.pretrained import load_tokenizer
from lada.ops.schedule import rate
from lada.training.callbacks import compression_of
from lada.training.modules import StudentModule

Cli = Callable[..., Result]
ROOT = Path(__file__).parents[1]


def run_folder(tmp_path: Path) -> Path:
    (found,) = (tmp_path / "out").rglob("results.json")
    return found.parent


def record(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "results.json").read_text())


@pytest.mark.parametrize("extra", [[], ["target=2.5x"], ["target=7.5x"], ["target=10x"]])
def test_run(train_py: Cli, tiny: list[str], tmp_path: Path, csv_files, extra) -> None:
    result = train_py(*tiny, *extra)
    assert result.code == 0, result.err
    folder = run_folder(tmp_path)
    found = record(folder)
    target = found["target"]
    assert found["reached"] == pytest.approx(target, rel=0.005)

    # Counted again from the file, by hand.
    tensors = stranger.tensors(folder / "artifact/model.safetensors")
    kept = sum(stranger.kept(folder / "artifact/model.safetensors").values())
    nonzero = sum(np.count_nonzero(t) if "factor_" in n else t.size for n, t in tensors.items())
    assert 0.98 * kept < nonzero <= kept  # int8 rounds some that are kept to zero
    assert kept == found["artifact"]["nonzeros"]
    assert found["teacher"]["parameters"] / kept == pytest.approx(target, rel=0.005)
    assert not any("mask" in name or "rank" in name for name in tensors)
    size = (folder / "artifact/model.safetensors").stat().st_size
    assert found["artifact"]["stored_bytes"] == size < found["teacher"]["stored_bytes"]

    # Scored again from the file, through the public door.
    with csv_files[1].open() as f:
        rows = list(csv.DictReader(f))
    classifier = lada.load(folder / "artifact")
    answers = classifier.classify([row["text"] for row in rows])
    correct = sum(a.label == row["label"] for a, row in zip(answers, rows, strict=True))
    scores = found["artifact"]["scores"]["dev"]
    assert (scores["correct"], scores["rows"]) == (correct, len(rows))
    assert scores["accuracy"] == pytest.approx(correct / len(rows))
    low, high = scores["accuracy_95"]
    assert 0 <= low < scores["accuracy"] <= high <= 1

    # Its answers to each row are kept, for tests that pair two runs.
    tensors = load_file(folder / "predictions.safetensors")
    assert set(tensors) == {"teacher/dev", "artifact/dev", "labels/dev"}
    assert all(t.dtype == np.int16 and t.shape == (len(rows),) for t in tensors.values())
    words = [["bad", "good"][number] for number in tensors["artifact/dev"]]
    assert words == [answer.label for answer in answers]
    right = tensors["teacher/dev"] == tensors["labels/dev"]
    assert right.sum() == found["teacher"]["scores"]["dev"]["correct"]

    # No pickle and no checkpoint in what is given away.
    suffixes = {p.suffix for p in (folder / "artifact").iterdir()}
    assert suffixes <= {".safetensors", ".json", ".txt", ".md"}
    assert "teacher" in result.out
    assert "artifact" in result.out
    assert str(folder / "artifact") in result.out


def test_record(train_py: Cli, tiny: list[str], tmp_path: Path) -> None:
    assert train_py(*tiny, "seed=7").code == 0
    found = record(run_folder(tmp_path))
    assert found["seed"] == 7
    assert found["config"]["optim"]["lr"] == 1e-3
    assert "seed=7" in found["command"]
    phases = {"data", "teacher", "teacher outputs", "compression", "artifact", "evaluation"}
    assert set(found["seconds"]) == phases
    assert found["peak_bytes"]["process"] > 100_000_000
    assert all(len(part["sha256"]) == 64 for part in found["data"].values())
    assert found["plan"]["rounds"][0]["step"] == 0
    # PyPI's builds for CUDA add "+cu130" to one of them only.
    assert torch.__version__.startswith(found["machine"]["versions"]["torch"])
    assert found["precision"] == "fp32"
    assert found["teacher"]["scores"]["dev"]["accuracy"] > 0.8  # or the tests compare noise


def test_same_seed_same_artifact(train_py: Cli, tiny: list[str], tmp_path: Path) -> None:
    files = []
    for name in ("a", "b"):
        out = tmp_path / name
        assert train_py(*tiny, f"hydra.run.dir={out}").code == 0
        files.append((out / "artifact/model.safetensors").read_bytes())
    assert files[0] == files[1]
    out = tmp_path / "c"
    assert train_py(*tiny, f"hydra.run.dir={out}", "seed=2").code == 0
    assert (out / "artifact/model.safetensors").read_bytes() != files[0]


@pytest.mark.parametrize(
    "extra",
    [
        ["method.lower_rank=refactorize"],
        pytest.param(["method.threshold=global"], marks=pytest.mark.slow),
        pytest.param(["method.threshold=proportional"], marks=pytest.mark.slow),
        pytest.param(["schedule=cubic", "trainer.accumulate=4"], marks=pytest.mark.slow),
        ["schedule=linear", "schedule.every=epoch"],
        pytest.param(["schedule.every=5"], marks=pytest.mark.slow),
        pytest.param(["schedule.delta=0.6"], marks=pytest.mark.slow),
        pytest.param(
            ["schedule.start=full", "schedule=cubic", "schedule.recovery=0.75"],
            marks=pytest.mark.slow,
        ),
        pytest.param(
            ["schedule.start=full", "method.lower_rank=refactorize", "method.threshold=global"],
            marks=pytest.mark.slow,
        ),
        ["distill=prediction"],
        pytest.param(
            ["distill.maps=probabilities", "trainer.precision=bf16"], marks=pytest.mark.slow
        ),
        pytest.param(
            ["ratios=custom", "ratios.embedding=8", "ratios.svd=2"], marks=pytest.mark.slow
        ),
        ["target=custom", "target.ratio=6"],
    ],
)
def test_choices(
    train_py: Cli, tiny: list[str], tmp_path: Path, extra, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps, rates, renewing = [], {}, []
    original, compress_ = StudentModule.on_train_batch_end, Factorized.compress_

    def check(self: StudentModule, *args: Any) -> None:
        for layer in compressed_layers(self.model).values():
            assert not layer.factor_a[~layer.mask_a].any()
            assert not layer.factor_b[~layer.mask_b].any()
        compression = compression_of(self.trainer)
        assert compression is not None
        steps.append(compression.ratio)
        # What the scheduler has set by now is for the next step.
        rates[self.global_step] = self.optimizers().param_groups[0]["lr"] / self._optimizer["lr"]
        original(self, *args)

    def watched(self: Factorized, *args: Any) -> set[str]:
        renewed = compress_(self, *args)
        renewing.append(bool(renewed))
        return renewed

    monkeypatch.setattr(StudentModule, "on_train_batch_end", check)
    monkeypatch.setattr(Factorized, "compress_", watched)
    result = train_py(*tiny, *extra)
    assert result.code == 0, result.err
    found = record(run_folder(tmp_path))
    assert found["reached"] == pytest.approx(found["target"], rel=0.005)
    assert steps == sorted(steps)  # the ratio never falls back
    # The first round falls before the first step.
    assert steps[0] > 1 or ("schedule.start=full" in extra and steps[0] < 1)
    assert steps[-1] == pytest.approx(found["target"], rel=0.005)
    ends = [i for i, ratio in enumerate(steps) if ratio == steps[-1]]
    assert len(ends) / len(steps) >= found["config"]["schedule"]["recovery"] - 0.05
    at = [r["step"] for r in found["plan"]["rounds"]]
    renewals = [step for step, renewed in zip(at, renewing, strict=True) if renewed]
    assert bool(renewals) == ("method.lower_rank=refactorize" in extra)
    total, up = found["steps"], int(found["steps"] * found["config"]["optim"]["warmup"])
    assert rates == pytest.approx({step: rate(step, total, up, renewals) for step in rates})


@pytest.mark.slow
def test_batches_from_another_process_are_the_same(
    train_py: Cli, tiny: list[str], tmp_path: Path
) -> None:
    """A run of its own: to fork a process that holds other engines' threads is not safe."""
    assert train_py(*tiny, f"hydra.run.dir={tmp_path / 'one'}").code == 0
    command = [sys.executable, str(ROOT / "train.py"), *tiny, "data.workers=1"]
    done = subprocess.run([*command, f"hydra.run.dir={tmp_path / 'two'}"], capture_output=True,
                          text=True, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr
    one, two = (tmp_path / d / "artifact/model.safetensors" for d in ("one", "two"))
    assert one.read_bytes() == two.read_bytes()


def test_pairs_and_f1_columns(train_py: Cli, tiny: list[str], tmp_path: Path) -> None:
    header = ("first", "second", "same")
    for name, seed in (("train", 1), ("dev", 2)):
        rows = [(t, t.split()[0], label) for t, label in sentences(320, seed)]
        write_csv(tmp_path / f"{name}.csv", rows, header)
    args = [
        f"task.train_file={tmp_path}/train.csv",
        f"task.dev_file={tmp_path}/dev.csv",
        "task.text=first",
        "task.text_pair=second",
        "task.label=same",
    ]
    assert train_py(*tiny, *args).code == 0
    classifier = lada.load(run_folder(tmp_path) / "artifact")
    assert classifier("we it lovely 3", "we").label in ("good", "bad")


def test_given_teacher_with_classes_in_another_order(
    train_py: Cli, tiny: list[str], tmp_path: Path
) -> None:
    from transformers import BertForSequenceClassification

    first = tmp_path / "first"
    assert train_py(*tiny, f"hydra.run.dir={first}").code == 0
    key = record(first)["teacher"]["key"]
    (store,) = [a.removeprefix("paths.teachers=") for a in tiny if a.startswith("paths.teachers")]
    model = BertForSequenceClassification.from_pretrained(Path(store) / key)
    with torch.no_grad():
        model.classifier.weight.copy_(model.classifier.weight.flip(0).clone())
        model.classifier.bias.copy_(model.classifier.bias.flip(0).clone())
    labels = [model.config.id2label[i] for i in (1, 0)]
    model.config.id2label = dict(enumerate(labels))
    model.config.label2id = {x: i for i, x in enumerate(labels)}
    model.half().save_pretrained(tmp_path / "given")
    load_tokenizer(Path(store) / key).save_pretrained(tmp_path / "given")
    second = tmp_path / "second"
    args = ["teacher=folder", f"teacher.path={tmp_path}/given", f"hydra.run.dir={second}"]
    result = train_py(*tiny, *args)
    assert result.code == 0, result.err
    a, b = record(first)["teacher"], record(second)["teacher"]
    assert b["given"]
    assert b["scores"]["dev"]["correct"] == pytest.approx(a["scores"]["dev"]["correct"], abs=1)


def test_nan_keeps_the_last_checkpoint(
    train_py: Cli, tiny: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def poison(self: StudentModule, *args: Any) -> None:
        if self.global_step == 13:
            self.model.classifier.bias.data.fill_(float("nan"))

    monkeypatch.setattr(StudentModule, "on_train_batch_end", poison)
    result = train_py(*tiny)
    assert result.code == 2
    assert "NaN or infinite at step 13" in result.err
    assert "with a lower learning rate. The last" in result.err  # it is fp32 already
    checkpoint = max((tmp_path / "out").rglob("step-*.ckpt"))
    assert f"The last good checkpoint is {checkpoint}." in result.err
    saved = torch.load(checkpoint, weights_only=True)["state_dict"]
    assert all(torch.isfinite(t).all() for t in saved.values() if t.is_floating_point())
