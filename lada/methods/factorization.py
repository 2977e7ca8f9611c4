"""SVD alone, its rank lowered in rounds, learning from the labels.

Paper: "Matrix factorization" of LadaBERT's Table 3 (arXiv 2004.04124); factors by its Eq. 1-4, no
entry of them dropped. The paper does not say how it splits the budget between word table and
encoder: here as ``ratios=fast`` does.
"""

from dataclasses import replace

from lada.config import Config, RankConfig
from lada.errors import LadaError
from lada.methods.base import Combined, Method, Objective, target_of
from lada.methods.objectives import Labels
from lada.methods.structures import Factorized


def make(config: Config) -> Method:
    """The method of a checked config."""
    return by_rank(config, Labels())


def by_rank(config: Config, objective: Objective) -> Method:
    """Rank alone, with any loss.

    Raises:
        LadaError: the ratios would drop entries.
    """
    m = config.method
    assert isinstance(m, RankConfig)
    if config.ratios.rule not in ("solved", "fast"):
        raise LadaError(
            f"ratios={config.ratios.rule}: method={m.name} spends the whole budget on rank; leave "
            "ratios out, or use method=hybrid"
        )
    structure = Factorized(
        target_of(config),
        replace(config.ratios, rule="fast"),
        config.schedule,
        lower_rank=m.lower_rank,
        threshold="factor",
    )
    return Combined(structure, objective)
