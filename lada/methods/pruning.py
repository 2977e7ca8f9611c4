"""Magnitude pruning of the dense matrices in rounds, learning from the labels.

Paper: "Weight pruning" of LadaBERT's Table 3 (arXiv 2004.04124). The smallest entries go; an entry
that has gone stays zero. The word table is pruned too, at the encoder's density (the paper does not
say); by ``method.threshold=global`` one threshold over all decides how much each matrix keeps.
"""

from lada.config import Config, PruningConfig
from lada.errors import LadaError
from lada.methods.base import Combined, Method, Objective, target_of
from lada.methods.objectives import Labels
from lada.methods.structures import Pruned


def make(config: Config) -> Method:
    """The method of a checked config."""
    return by_masks(config, Labels())


def by_masks(config: Config, objective: Objective) -> Method:
    """Masks alone, with any loss.

    Raises:
        LadaError: the ratios speak of rank.
    """
    m = config.method
    assert isinstance(m, PruningConfig)
    if config.ratios.rule != "solved":
        raise LadaError(
            f"ratios={config.ratios.rule}: method={m.name} has no rank to split the budget with; "
            "leave ratios out"
        )
    structure = Pruned(target_of(config), config.schedule, threshold=m.threshold)
    return Combined(structure, objective)
