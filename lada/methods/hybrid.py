"""SVD and pruning in rounds, learning from the labels alone: LadaBERT without its teacher.

Paper: "Hybrid pruning" of LadaBERT's Table 3 (arXiv 2004.04124). The student is that of
`lada.methods.lada`, its schedule and its ratios too; the loss is the cross-entropy of the labels.
"""

from lada.config import Config, FactorsConfig
from lada.methods.base import Combined, Method, target_of
from lada.methods.objectives import Labels
from lada.methods.structures import Factorized


def make(config: Config) -> Method:
    """The method of a checked config."""
    m = config.method
    assert isinstance(m, FactorsConfig)
    structure = Factorized(
        target_of(config),
        config.ratios,
        config.schedule,
        lower_rank=m.lower_rank,
        threshold=m.threshold,
    )
    return Combined(structure, Labels())
