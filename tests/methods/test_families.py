"""Every method on every family: plan, student, rounds, and zeros that stay zero."""

import pytest
import torch
from families import batch, tiny

import lada
from lada.errors import LadaError
from lada.methods import find_method, methods
from lada.methods.families import serves
from lada.methods.settings import ScheduleConfig
from lada.nn.compressed import compressed_layers
from lada.nn.families import FAMILIES

FREE = [name for name, known in methods().items() if known.needs_run is None]
"""The methods that `lada.prepare` takes."""


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("method", FREE)
def test_a_method_on_a_family(family: str, method: str) -> None:
    own = {"embedding_size": 32} if family in ("electra", "albert") else {}
    teacher = tiny(family, **({"vocab_size": 300} | own))
    if (reason := serves(method, family)) is not None:
        with pytest.raises(LadaError, match=reason):
            lada.prepare(teacher, target=2, steps=8, method=method)
        return
    settings = find_method(method)(**({"layers": 2} if method == "pkd" else {}))
    rounds = ScheduleConfig(rounds=4)
    compression = lada.prepare(teacher, target=1.5, steps=8, method=settings, schedule=rounds)
    student = compression.model
    optimizer = torch.optim.AdamW(student.parameters(), lr=1e-3)
    given = batch(teacher, rows=4) | {"labels": torch.tensor([0, 1, 0, 1])}
    for step in range(8):
        compression.before_step(step, optimizer)
        loss = compression.distillation_loss(given, teacher=teacher)
        assert torch.isfinite(loss)
        loss.backward()
        compression.after_backward()
        optimizer.step()
        optimizer.zero_grad()
    assert compression.finished
    dense = sum(p.numel() for p in teacher.parameters())
    layers = compressed_layers(student)
    inside = {f"{name}.{part}" for name, layer in layers.items() for part in layer.masks}
    kept = sum(p.numel() for name, p in student.named_parameters() if name not in inside)
    kept += sum(layer.kept for layer in layers.values())
    assert dense / kept == pytest.approx(compression.ratio, rel=1e-6)
    if find_method(method).size == "target":
        assert dense / kept == pytest.approx(1.5, rel=0.005)
    for layer in layers.values():
        assert not any(layer.revived(part) for part in layer.masks)
