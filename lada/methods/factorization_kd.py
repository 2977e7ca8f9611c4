"""SVD alone, with the distillation of LadaBERT: an ablation that the paper leaves out.

As `lada.methods.factorization`, with the four terms of `lada.methods.lada` in place of the labels.
"""

from lada.config import Config
from lada.methods.base import Method
from lada.methods.factorization import by_rank
from lada.methods.objectives import FourTerms


def make(config: Config) -> Method:
    """The method of a checked config."""
    return by_rank(config, FourTerms(config.distill))
