"""Run train.py and note what each process does: ``watched.py FOLDER ARGS...``.

``FOLDER/RANK.safetensors`` gets: ``loss`` of every part; ``grad/NAME``, the gradients of the first
optimizer step as the optimizer sees them, before clipping; ``round/NUMBER/NAME``, factors and masks
after each round; ``dropped``, what the first dropout of the student dropped in its first pass.
"""

import os
import runpy
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import torch
from helpers import ROOT
from safetensors.torch import save_file
from torch import Tensor

from lada.compression import Compression
from lada.nn.compressed import compressed_layers
from lada.training.modules import StudentModule

folder = Path(sys.argv[1])
sys.argv = [str(ROOT / "train.py"), *sys.argv[2:]]
notes: dict[str, Tensor] = {}
losses: list[Tensor] = []
step, clip, compress = (
    StudentModule.training_step,
    StudentModule.configure_gradient_clipping,
    Compression._compress_,
)


def training_step(self: Any, batch: Any, index: int) -> Any:
    if not losses:
        dropout = next(m for m in self.model.modules() if isinstance(m, torch.nn.Dropout))

        def note(module: Any, inputs: Any, output: Tensor) -> None:
            notes.setdefault("dropped", output.detach() == 0)

        dropout.register_forward_hook(note)
    loss = step(self, batch, index)
    losses.append(loss.detach().clone())
    return loss


def configure_gradient_clipping(self: Any, *args: Any, **kwargs: Any) -> None:
    if self.global_step == 0:
        for name, p in self.model.named_parameters():
            if p.grad is not None:
                notes[f"grad/{name}"] = p.grad.detach().clone()
    clip(self, *args, **kwargs)


def compress_(self: Any, index: int, *args: Any) -> None:
    compress(self, index, *args)
    for name, layer in compressed_layers(self.model).items():
        for part, value in layer.state_dict().items():
            notes[f"round/{index}/{name}.{part}"] = value.clone()


StudentModule.training_step = training_step  # type: ignore[method-assign]
StudentModule.configure_gradient_clipping = configure_gradient_clipping  # type: ignore[method-assign]
Compression._compress_ = compress_  # type: ignore[method-assign]
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
finally:
    notes["loss"] = torch.stack(losses)
    save_file(notes, folder / f"{os.environ.get('RANK', '0')}.safetensors")
