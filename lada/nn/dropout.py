"""Fast dropout for CPUs: four elements from each 64 random bits.

On a CPU torch may draw the elements of a mask one by one, which takes a large part of a small
student's step.
"""

import torch
from torch import Tensor, nn

_STEPS = 1 << 16


def dropout(x: Tensor, p: float, training: bool) -> Tensor:
    """Zero each element with probability ``p`` and divide the others by ``1 - p``.

    On a CPU, ``p`` is rounded to the nearest 1/65536 and the random numbers come from torch's
    default generator, but are not those of ``torch.nn.functional.dropout``. On other devices, and
    when compiled, it is that function.

    Args:
        x: of any shape and floating type.
        p: from 0 to 1.
        training: if False, ``x`` is returned unchanged.
    """
    cuts = round(p * _STEPS)
    if not training or cuts == 0 or cuts == _STEPS:
        return nn.functional.dropout(x, p, training)
    if x.device.type != "cpu" or torch.compiler.is_compiling():
        return nn.functional.dropout(x, p, training)
    bits = torch.empty((x.numel() + 3) // 4, dtype=torch.int64).random_(-(1 << 63), None)
    kept = bits.view(torch.int16)[: x.numel()].view(x.shape) >= cuts - _STEPS // 2
    return torch.where(kept, x, 0.0) * (_STEPS / (_STEPS - cuts))


class Dropout(nn.Dropout):
    """``torch.nn.Dropout`` by `dropout`."""

    def forward(self, input: Tensor) -> Tensor:
        return dropout(input, self.p, self.training)


def use_quick_dropout_(model: nn.Module) -> None:
    """Replace every ``torch.nn.Dropout`` in a model in place, with the same rate."""
    for module in list(model.modules()):
        for name, child in module.named_children():
            if type(child) is nn.Dropout:
                quick = Dropout(child.p)
                quick.train(child.training)
                setattr(module, name, quick)
