"""The interface of all engines that run a model: a function from a batch to logits."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

Batch = dict[str, Tensor]
Run = Callable[[Batch], Tensor]

INPUTS = ("input_ids", "attention_mask", "token_type_ids")
"""Of a model, in order; families without token types have the first two."""


def as_inputs(batch: Batch) -> dict[str, Any]:
    """A batch as numpy arrays, for engines other than torch."""
    return {name: batch[name].numpy() for name in INPUTS if name in batch}


def torch_runner(model: nn.Module) -> Run:
    """A function from a batch to logits, (examples, classes), or (examples, length, classes).

    Of question answering those of the start alone.
    """

    def run(batch: Batch) -> Tensor:
        with torch.no_grad():
            logits: Tensor = model(**batch)[0]
        return logits

    return run
