"""An artifact that is loaded and trained further keeps what is pruned at zero, also in its file."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers import AutoModelForSequenceClassification, Trainer, TrainingArguments

import lada
from lada.nn.compressed import compressed_layers
from lada.nn.surgery import mask_
from lada.ops.mask import largest

BATCH = {
    "input_ids": torch.arange(5, 85).reshape(8, 10),
    "attention_mask": torch.ones(8, 10, dtype=torch.int64),
    "labels": torch.tensor([0, 1, 1, 0, 1, 0, 0, 1]),
}


def auto(folder: Path) -> Any:
    return AutoModelForSequenceClassification.from_pretrained(folder)


def logits(model: nn.Module) -> Tensor:
    with torch.no_grad():
        found: Tensor = model.eval()(**BATCH).logits
    return found


def check(model: nn.Module, folder: Path, before: Tensor, *, within: float = 0.0) -> None:
    """It was trained, its pruned entries are zero, and what is read from its file is the same."""
    after = logits(model)
    assert float((after - before).abs().max()) > 0.01
    dropped = 0
    for layer in compressed_layers(model).values():
        for part, mask_name in layer.masks.items():
            mask = getattr(layer, mask_name)
            assert not getattr(layer, part)[~mask].any()
            dropped += int((~mask).sum())
    assert dropped > 1000
    read = logits(auto(folder))
    if not within:
        assert torch.equal(read, after)
    torch.testing.assert_close(read, after, atol=within, rtol=0)


def by_adamw(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.1)


def by_sgd(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=0.01)


@pytest.mark.parametrize("make", [by_adamw, by_sgd])
@pytest.mark.parametrize(("values", "within"), [("fp32", 0.0), ("fp16", 0.005), ("int8", 0.05)])
def test_by_an_own_loop(
    student: nn.Module,
    tokenizer: Any,
    tmp_path: Path,
    make: Callable[[nn.Module], torch.optim.Optimizer],
    values: str,
    within: float,
) -> None:
    lada.save(student, tokenizer, tmp_path / "first", {"task": "demo"}, values=values)
    model = auto(tmp_path / "first")
    before, optimizer = logits(model), make(model)
    model.train()
    for _ in range(3):
        optimizer.zero_grad()
        model(**BATCH).loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    model.save_pretrained(tmp_path / "further")
    check(model, tmp_path / "further", before, within=within)


@pytest.mark.parametrize("kind", ["factors", "masked"])
def test_by_transformers_trainer(
    student: nn.Module, tokenizer: Any, tmp_path: Path, kind: str
) -> None:
    if kind == "masked":
        from helpers import small_bert

        torch.manual_seed(0)
        student = small_bert()
        matrices = [n for n, m in student.named_modules() if n.startswith("bert.encoder.layer")]
        mask_(student, [n for n in matrices if isinstance(student.get_submodule(n), nn.Linear)])
        for layer in compressed_layers(student).values():
            weight = layer.active("weight").detach().abs()
            layer.set_masks_(largest(weight, weight.numel() // 4))
    lada.save(student, tokenizer, tmp_path / "first", {"task": "demo"}, values="fp32")
    model = auto(tmp_path / "first")
    before = logits(model)
    rows = [{name: values[i] for name, values in BATCH.items()} for i in range(8)]
    args = TrainingArguments(
        output_dir=str(tmp_path / "out"),
        max_steps=4,
        per_device_train_batch_size=4,
        gradient_accumulation_steps=2,
        learning_rate=3e-3,
        weight_decay=0.1,
        use_cpu=True,
        report_to="none",
        save_strategy="no",
        disable_tqdm=True,
    )
    trainer = Trainer(model, args, train_dataset=rows)
    trainer.train()
    trainer.save_model(str(tmp_path / "further"))
    check(model, tmp_path / "further", before)


def test_pruned_entries_that_are_not_zero_are_an_error_that_names_the_layer(
    folder: Path, tokenizer: Any, tmp_path: Path
) -> None:
    layers = compressed_layers(auto(folder))
    names = [n for n, layer in layers.items() if not layer.mask_b.all()]
    for name in (names[0], names[-1]):
        model = auto(folder)
        layer = compressed_layers(model)[name]
        count = int((~layer.mask_b).sum())
        with torch.no_grad():
            layer.factor_b.add_(0.01)
        match = rf"{name}\.factor_b: {count} pruned entries are not zero.*apply_masks_"
        with pytest.raises(lada.LadaError, match=match):
            model.save_pretrained(tmp_path / "moved")
        with pytest.raises(lada.LadaError, match=match):
            lada.save(model, tokenizer, tmp_path / "other", {"task": "demo"})
        assert not (tmp_path / "moved/model.safetensors").exists()
        assert not (tmp_path / "other").exists()
        layer.apply_masks_()
        model.save_pretrained(tmp_path / name)
        assert torch.equal(compressed_layers(auto(tmp_path / name))[name].mask_b, layer.mask_b)


def test_an_optimizer_that_mixes_entries_is_told(folder: Path, tmp_path: Path) -> None:
    model = auto(folder)
    matrices = [p for n, p in model.named_parameters() if ".factor_" in n]
    optimizer = torch.optim.Muon(matrices, lr=0.1)
    model(**BATCH).loss.backward()
    optimizer.step()
    with pytest.raises(lada.LadaError, match=r"pruned entries are not zero.*Muon"):
        model.save_pretrained(tmp_path / "mixed")
