"""An artifact that is loaded and trained further keeps what is pruned at zero, also in its file."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
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


ROWS = [{name: values[i] for name, values in BATCH.items()} for i in range(8)]


def arguments(tmp_path: Path, **others: Any) -> TrainingArguments:
    defaults = {"max_steps": 4, "learning_rate": 3e-3, "weight_decay": 0.1, "save_strategy": "no"}
    return TrainingArguments(
        output_dir=str(tmp_path / "out"),
        per_device_train_batch_size=4,
        gradient_accumulation_steps=2,
        use_cpu=True,
        report_to="none",
        disable_tqdm=True,
        **defaults | others,
    )


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
    trainer = Trainer(model, arguments(tmp_path), train_dataset=ROWS)
    trainer.train()
    trainer.save_model(str(tmp_path / "further"))
    check(model, tmp_path / "further", before)


@pytest.mark.slow
def test_checkpoints_of_transformers_trainer(
    student: nn.Module, tokenizer: Any, tmp_path: Path
) -> None:
    """The best at the end is the one it was; a resumed training ends as one that was not."""
    lada.save(student, tokenizer, tmp_path / "first", {"task": "demo"}, values="fp32")
    first = auto(tmp_path / "first")
    checks = {"save_strategy": "steps", "eval_strategy": "steps", "save_steps": 2, "eval_steps": 2}
    scores = iter([0.9, 0.1])  # the best is not the last
    trainer = Trainer(
        first,
        arguments(tmp_path, **checks, metric_for_best_model="score", load_best_model_at_end=True),
        train_dataset=ROWS,
        eval_dataset=ROWS,
        compute_metrics=lambda _: {"score": next(scores)},
    )
    trainer.train()
    assert not torch.equal(logits(first), logits(auto(tmp_path / "out/checkpoint-4")))
    assert torch.equal(logits(first), logits(auto(tmp_path / "out/checkpoint-2")))
    found = []
    for start in (None, str(tmp_path / "out/checkpoint-2")):
        model = auto(tmp_path / "first")
        trainer = Trainer(
            model, arguments(tmp_path, **checks), train_dataset=ROWS, eval_dataset=ROWS
        )
        trainer.train(resume_from_checkpoint=start)
        found.append(logits(model))
    assert torch.equal(*found)


def test_packed_tensors_of_another_model_are_rejected(folder: Path) -> None:
    model, packed = auto(folder), load_file(folder / "model.safetensors")
    name = next(n for n in packed if n.endswith("factor_a"))
    before = logits(model)
    for changed, match in (
        ({n: v for n, v in packed.items() if n != name}, "is missing"),
        (packed | {"other": packed[name]}, "other is not in the model"),
        (packed | {name: packed["classifier.bias"]}, f"{name} is corrupt"),
        (packed | {name: packed[name][:-1]}, f"{name} is corrupt"),
        (packed | {name: packed[name].roll(1)}, f"{name} is corrupt"),
        (packed | {name: packed[name][:3]}, f"{name} is corrupt"),
    ):
        with pytest.raises(lada.LadaError, match=match):
            model.load_state_dict(changed, strict=False)
    assert torch.equal(logits(model), before)
    with torch.no_grad():
        for p in model.parameters():
            p.zero_()
    model.load_state_dict(packed, False)
    assert torch.equal(logits(model), before)


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
