"""A small BERT without distillation: pretrained, if a folder of one is given, or from scratch.

Paper: Turc et al. 2019, arXiv 1908.08962 ("Well-read students"), in TinyBERT's shape, as
LadaBERT's Table 3 has it. From scratch (``method.path=null``) it has seen no text but the task's:
a row of a table has to say which it is. Sizes other than the published one are made as by
`lada.methods.tinybert`; that is ours.
"""

from lada.config import Config, ShapeConfig
from lada.methods.base import Combined, Method
from lada.methods.objectives import Labels
from lada.methods.shaped import Shaped


def make(config: Config) -> Method:
    """The method of a checked config."""
    m = config.method
    assert isinstance(m, ShapeConfig)
    structure = Shaped(m, config.target.ratio, config.schedule, seed=config.seed)
    return Combined(structure, Labels())
