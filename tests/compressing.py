"""A student and its compression, without a config: for tests of training loops."""

from typing import Any

import torch
from helpers import small_bert
from torch import Tensor, nn

from lada.compression import Compression
from lada.nn.compressed import compressed_layers
from lada.nn.rounds import compress_
from lada.nn.surgery import inventory, mask_, replace_
from lada.ops.budget import solve_default
from lada.ops.plan import Round, Share, make_mask_plan, make_plan

AT = (0, 3, 6)
TARGET = 4.0


class Rounds:
    """The compressing part of a method."""

    def __init__(self, lower_rank: str = "truncate"):
        self._lower_rank = lower_rank

    def compress_(self, student: nn.Module, round_: Round) -> set[str]:
        return compress_(student, round_, lower_rank=self._lower_rank, threshold="factor")


def compression(
    *, seed: int = 0, dropout: float = 0.1, ranks: bool = True, method: Any = None, at: Any = AT
) -> Compression:
    """A small classifier with factors (or, without ranks, masks), before its first round."""
    torch.manual_seed(seed)
    model = small_bert()
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = dropout
    counted = inventory(model)
    if ranks:
        fractions = solve_default(counted, TARGET)
        plan = make_plan(counted, TARGET, fractions, "geometric", len(at))
        replace_(model, {s.name: s.rank for s in plan.rounds[0].shares if isinstance(s, Share)})
    else:
        plan = make_mask_plan(counted, TARGET, "geometric", len(at))
        mask_(model, [s.name for s in plan.rounds[0].shares])
    return Compression(model.train(), method or Rounds(), plan, at)


def examples(count: int = 32) -> dict[str, Tensor]:
    """Token ids (count, 10) and a label that one of them gives."""
    draw = torch.Generator().manual_seed(3)
    ids = torch.randint(5, 500, (count, 10), generator=draw)
    return {
        "input_ids": ids,
        "attention_mask": torch.ones_like(ids),
        "labels": (ids[:, 3] % 2).long(),
    }


def nonzeros(model: nn.Module) -> int:
    """Parameters of a student that are stored: nonzero by its masks, within its ranks."""
    total = sum(p.numel() for p in model.parameters())
    for layer in compressed_layers(model).values():
        total -= sum(getattr(layer, part).numel() for part in layer.masks) - layer.kept
    return total


def check_at_target(c: Compression) -> None:
    """It has its target size, and every pruned entry is exactly zero."""
    assert c.finished
    dense = sum(p.numel() for p in small_bert().parameters())
    assert abs(dense / nonzeros(c.model) / TARGET - 1) <= 0.005
    pruned = 0
    for layer in compressed_layers(c.model).values():
        for part, name in layer.masks.items():
            mask = getattr(layer, name)
            assert not getattr(layer, part)[~mask].any()
            pruned += int((~mask).sum())
    assert pruned > 1000


def check_stored(c: Compression, tokenizer: Any, folder: Any) -> None:
    """An artifact of the student loads and gives the same logits (values as fp32)."""
    import lada

    lada.save(c.model, tokenizer, folder, {"task": "demo", "max_length": 16}, values="fp32")
    batch = {k: v for k, v in examples().items() if k != "labels"}
    with torch.no_grad():
        wanted = c.model.eval()(**batch).logits
        found = lada.load(folder).model(**batch).logits
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)
