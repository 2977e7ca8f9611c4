"""Compression in Trainers of others: a foreign LightningModule, the Hugging Face Trainer."""

import warnings
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from compressing import check_at_target, check_stored, compression, examples
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import nn
from torch.utils.data import DataLoader
from transformers import Trainer, TrainingArguments

from lada.compression import Compression
from lada.errors import LadaError
from lada.nn.pretrained import load_tokenizer
from lada.training.callbacks import HybridCompressionCallback
from lada.training.hf import CompressionTrainerCallback

ROWS = [{name: values[i] for name, values in examples().items()} for i in range(32)]


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return load_tokenizer(None, ["the soup was not bad at all"])


class Plain(L.LightningModule):
    """A classifier as anyone writes it; knows nothing of compression."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.net = model

    def training_step(self, batch: Any, index: int) -> Any:
        return self.net(**batch).loss

    def configure_optimizers(self) -> Any:
        return torch.optim.AdamW(self.parameters(), lr=3e-3, weight_decay=0.1)


class Manual(Plain):
    def __init__(self, model: nn.Module):
        super().__init__(model)
        self.automatic_optimization = False

    def training_step(self, batch: Any, index: int) -> None:
        optimizer: Any = self.optimizers()
        self.manual_backward(self.net(**batch).loss)
        optimizer.step()
        optimizer.zero_grad()


def lightning(folder: Path, c: Compression, **others: Any) -> L.Trainer:
    callbacks = [HybridCompressionCallback(c), *others.pop("callbacks", [])]
    return L.Trainer(
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=bool(callbacks[1:]),
        default_root_dir=folder,
        callbacks=callbacks,
        **others,
    )


def fit(trainer: L.Trainer, module: L.LightningModule, **others: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer.fit(module, DataLoader(ROWS, batch_size=8), **others)  # type: ignore[arg-type]


@pytest.mark.parametrize(("kind", "accumulate"), [(Plain, 1), (Plain, 2), (Manual, 1)])
def test_a_foreign_module(kind: Any, accumulate: int, tokenizer: Any, tmp_path: Path) -> None:
    c = compression()
    fit(lightning(tmp_path, c, max_steps=10, accumulate_grad_batches=accumulate), kind(c.model))
    check_at_target(c)
    check_stored(c, tokenizer, tmp_path / "artifact")


def test_a_foreign_module_resumes_bit_equal_at_the_end_of_an_epoch(tmp_path: Path) -> None:
    """Four steps per epoch, rounds before steps 0, 3 and 6."""
    whole = compression(dropout=0.0)
    fit(lightning(tmp_path, whole, max_epochs=3), Plain(whole.model))
    first = compression(dropout=0.0)
    kept = ModelCheckpoint(tmp_path / "kept", filename="end", save_on_train_epoch_end=True)
    fit(lightning(tmp_path, first, max_epochs=1, callbacks=[kept]), Plain(first.model))
    assert first.round == 1
    again = compression(dropout=0.0, seed=1)
    file = tmp_path / "kept/end.ckpt"
    fit(
        lightning(tmp_path, again, max_epochs=3),
        Plain(again.model),
        ckpt_path=file,
        weights_only=True,
    )
    assert again.round == whole.round == 2
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, again.model.state_dict()[name]), name


def test_a_module_without_the_student_is_rejected(tmp_path: Path) -> None:
    other = Plain(compression().model)
    with pytest.raises(LadaError, match="Plain does not hold the student"):
        fit(lightning(tmp_path, compression(), max_steps=2), other)


def hugging_face(folder: Path, c: Compression, **others: Any) -> Trainer:
    arguments = TrainingArguments(
        output_dir=str(folder),
        learning_rate=3e-3,
        weight_decay=0.1,
        use_cpu=True,
        report_to="none",
        disable_tqdm=True,
        **{"max_steps": 10, "save_strategy": "no", "per_device_train_batch_size": 8} | others,
    )
    return Trainer(
        c.model,
        arguments,
        train_dataset=ROWS,  # type: ignore[arg-type]
        callbacks=[CompressionTrainerCallback(c)],
    )


@pytest.mark.parametrize("accumulate", [1, 2])
def test_the_hugging_face_trainer(accumulate: int, tokenizer: Any, tmp_path: Path) -> None:
    c = compression()
    hugging_face(
        tmp_path / "out",
        c,
        per_device_train_batch_size=8 // accumulate,
        gradient_accumulation_steps=accumulate,
    ).train()
    check_at_target(c)
    check_stored(c, tokenizer, tmp_path / "artifact")


@pytest.mark.slow
@pytest.mark.parametrize("cut", [5, 8])
def test_the_hugging_face_trainer_resumes_bit_equal(cut: int, tmp_path: Path) -> None:
    whole = compression()
    hugging_face(tmp_path, whole, save_strategy="steps", save_steps=cut, save_total_limit=2).train()
    again = compression(seed=1)
    trainer = hugging_face(tmp_path, again)
    trainer.train(resume_from_checkpoint=str(tmp_path / f"checkpoint-{cut}"))
    assert again.round == whole.round
    check_at_target(again)
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, again.model.state_dict()[name]), name


def test_callbacks_that_are_made_anew_are_rejected(tmp_path: Path) -> None:
    with pytest.raises(LadaError, match="restore_callback_states_from_checkpoint"):
        hugging_face(tmp_path, compression(), restore_callback_states_from_checkpoint=True)
