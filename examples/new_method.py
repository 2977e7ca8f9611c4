"""A pruning method of your own: a settings class, a structure, and one of the objectives.

Run: ``python examples/new_method.py [FOLDER]``. It takes seconds. docs/methods.md says how such a
method comes to the command line.
"""

import sys
from pathlib import Path
from typing import Any

import torch
from toy import make_batches, make_classifier, save_and_compare

import lada
from lada.methods import Context, MethodSettings, register_method
from lada.methods.base import Combined, Method
from lada.methods.objectives import FourTerms
from lada.methods.structures import Pruned
from lada.nn.compressed import compressed_layers
from lada.nn.masked import Masked
from lada.ops.mask import largest
from lada.ops.plan import Round
from lada.schema import setting, settings

STEPS = 60


@register_method("relative")
@settings("method")
class Relative(MethodSettings):
    """Prune what is small compared with the other entries of its row and its column."""

    reads = ("distill",)

    power: float = setting(1.0, "of the sums of a row and a column", least=0.0, most=2.0)

    def make(self, context: Context) -> Method:
        """The structure below, with LadaBERT's distillation."""
        return Combined(
            RelativelyPruned(self.power, context), FourTerms(context.distill, context.losses)
        )


class RelativelyPruned(Pruned):
    """Dense matrices with masks: the plan and the student are those of ``method=pruning``."""

    def __init__(self, power: float, context: Context):
        super().__init__(context.required_target, context.schedule, threshold="factor")
        self._power = power

    @torch.no_grad()
    def compress_(self, student: Any, round_: Round) -> set[str]:
        """Each matrix (m, n) keeps as many entries as its share of the round says."""
        layers = compressed_layers(student)
        for share in round_.shares:
            layer = layers[share.name]
            assert isinstance(layer, Masked)
            size = layer.weight.abs()
            rows, columns = (size.sum(d, keepdim=True).clamp_min(1e-12) for d in (1, 0))
            score = size / rows**self._power + size / columns**self._power
            score.masked_fill_(~layer.mask, -1.0)  # what is pruned stays pruned
            layer.set_masks_(largest(score, *share.counts))
        return set()  # no layer was computed anew: the optimizer keeps its state of the rest


def main(folder: Path) -> None:
    """Compress by it, save, load again."""
    classifier, tokenizer = make_classifier()
    compression = lada.prepare(classifier, target=4, steps=STEPS, method=Relative(power=0.5))
    optimizer = torch.optim.AdamW(compression.model.parameters(), lr=1e-3)
    for step, batch in enumerate(make_batches(tokenizer, STEPS)):
        compression.before_step(step, optimizer)
        compression.distillation_loss(batch, teacher=classifier).backward()
        compression.after_backward()
        optimizer.step()
        optimizer.zero_grad()
    save_and_compare(compression, tokenizer, folder)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "compressed"))
