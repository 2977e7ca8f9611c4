"""Magnitude pruning with the distillation of LadaBERT: an ablation that the paper leaves out.

As `lada.methods.pruning`, with the four terms of `lada.methods.lada` in place of the labels.
"""

from lada.config import Config
from lada.methods.base import Method
from lada.methods.objectives import FourTerms
from lada.methods.pruning import by_masks


def make(config: Config) -> Method:
    """The method of a checked config."""
    return by_masks(config, FourTerms(config.distill))
