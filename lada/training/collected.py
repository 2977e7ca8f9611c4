"""The outputs of a validation check, gathered over batches and processes."""

import torch
from torch import Tensor

from lada.data.split import Split
from lada.data.tokens import Encoded
from lada.heads.base import Head


class Collected:
    """Outputs of a model for a split, in any order of its examples."""

    def __init__(self, head: Head):
        self._head = head
        self._found: list[tuple[int, Tensor]] = []

    def clear(self) -> None:
        """Forget all outputs."""
        self._found = []

    def add(self, outputs: Tensor, batch: dict[str, Tensor]) -> None:
        """Keep the outputs of a batch, (batch, ...), those of padding not."""
        kept = outputs.detach().float().cpu()
        lengths = batch["attention_mask"].sum(1).tolist()
        for place, example in enumerate(batch["examples"].tolist()):
            one = kept[place, : lengths[place]] if self._head.per_token else kept[place]
            self._found.append((example, one))

    def outputs(self, *, everywhere: bool) -> Tensor | list[Tensor]:
        """Those kept so far, in the order of the examples; stacked if they are of one size.

        Args:
            everywhere: also those of the other processes, which all call this.
        """
        found = self._found
        if everywhere and torch.distributed.is_available() and torch.distributed.is_initialized():
            parts: list[list[tuple[int, Tensor]]] = [[]] * torch.distributed.get_world_size()
            torch.distributed.all_gather_object(parts, found)
            found = [one for part in parts for one in part]
        ordered = [one for _, one in sorted(found, key=lambda pair: pair[0])]
        return ordered if self._head.per_token else torch.stack(ordered)

    def score(self, examples: Encoded, split: Split) -> float:
        """The deciding score of all processes' outputs, with what is chosen on this very split."""
        outputs = self.outputs(everywhere=True)
        tuned = self._head.tuned(outputs, examples, split)
        return float(tuned.score(outputs, examples, split)[tuned.chosen_by.name])
