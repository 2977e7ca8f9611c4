"""AdamW with linear warm-up and decay."""

from collections.abc import Sequence

import torch
from torch import nn

from lada.nn.scored import score_groups
from lada.ops.schedule import staged_rate


def make_adamw(
    model: nn.Module,
    *,
    lr: float,
    weight_decay: float,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-6,
) -> torch.optim.AdamW:
    """Fused AdamW; no decay on biases and LayerNorm (every parameter of one dimension).

    Scores of learnt masks have a group of their own, see `lada.nn.scored.score_groups`.
    """
    scores = score_groups(model, lr)
    apart = {id(p) for group in scores for p in group["params"]}
    params = [p for p in model.parameters() if p.requires_grad and id(p) not in apart]
    groups = [
        {"params": [p for p in params if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in params if p.ndim <= 1], "weight_decay": 0.0},
        *scores,
    ]
    groups = [group for group in groups if group["params"]]
    return torch.optim.AdamW(groups, lr=lr, betas=betas, eps=eps, fused=True)


def linear_decay(
    optimizer: torch.optim.Optimizer,
    total: int,
    warmup: float,
    renewals: Sequence[int] = (),
    stages: Sequence[int] = (),
) -> torch.optim.lr_scheduler.LambdaLR:
    """Learning rate up from 0 over the share ``warmup`` of ``total`` steps, then down to 0.

    Args:
        renewals, stages: see `lada.ops.schedule.staged_rate`.
    """
    # A function of the step alone, so that a resumed run has the same learning rates.
    return torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: staged_rate(step, total, warmup, renewals, stages)
    )
