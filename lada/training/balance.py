"""A loss in whose terms no gradient drowns the others."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lada.methods.base import Terms
from lada.methods.objectives import PREDICTION, TERMS
from lada.nn.gradients import gradient_norm
from lada.ops.balance import multipliers

EVERY = 100
"""Steps between two measurements, apart from those at rounds. Each takes about as long as two or
three steps."""


class Balance(nn.Module):
    """Multipliers of the terms of `lada.methods.objectives.FourTerms`, by the norms of gradients.

    At the first step of every round, and every `EVERY` steps, the gradient of each term by all
    trained parameters is measured, before clipping, on the first part of the step's batch. Until
    the next time each term is multiplied so that its gradient was as long as that of the
    predictions: the weights are then in units of that gradient. This is ours; GradNorm
    (Chen et al. 2018, arXiv 1711.02257) learns such weights instead.

    Args:
        rounds: the steps before which the rounds take place.
    """

    multipliers: Tensor

    def __init__(self, rounds: Sequence[int]):
        super().__init__()
        self._rounds = frozenset(rounds)
        self.register_buffer("multipliers", torch.ones(len(TERMS)))

    def is_due(self, step: int) -> bool:
        """Whether the gradients are measured at an optimizer step, from 0."""
        return step in self._rounds or step % EVERY == 0

    def measure_(self, model: nn.Module, terms: Terms, share: Tensor) -> None:
        """Choose the multipliers. Norms are averaged over processes, if there are several.

        Args:
            model: whose parameters are trained.
            terms: of the loss; those that there are not keep their multipliers.
            share: (), 0 if this process has no example of its own in this step.
        """
        # As in a backward pass, which is outside of autocast.
        with torch.autocast(share.device.type, enabled=False):
            found = {name: gradient_norm(model, term) for name, (_, term) in terms.items()}
        none = torch.zeros_like(share)
        norms = share * torch.stack(
            [found.get(name, none).float() for name in (PREDICTION, *TERMS)]
        )
        if torch.distributed.is_initialized() and torch.distributed.get_world_size() > 1:
            torch.distributed.all_reduce(norms)
        self.multipliers.copy_(multipliers(norms[1:], norms[0], self.multipliers))

    def of(self, name: str) -> Tensor | float:
        """What a term is multiplied by, besides its weight; that of the predictions stays."""
        return 1.0 if name == PREDICTION else self.multipliers[TERMS.index(name)]
