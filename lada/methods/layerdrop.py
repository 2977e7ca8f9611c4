"""Layers of the teacher are left out, those that stay are distilled.

Survey: Ganesh et al. 2020, arXiv 2002.11985, section on dropping layers: the first, the last
("top") or evenly spread ("alternate") ones stay. The loss is that of `lada.methods.kd`. With a
target the word table is made smaller, as in `lada.methods.finetune`, and at x7.5 or more it is a
student that no paper has.
"""

from lada.config import Config, LayerdropConfig
from lada.methods.base import Combined, Method
from lada.methods.objectives import SoftAndHard
from lada.methods.structures import Shallow


def make(config: Config) -> Method:
    """The method of a checked config."""
    m = config.method
    assert isinstance(m, LayerdropConfig)
    structure = Shallow(m.layers, m.which, config.target.ratio, m.embedding, config.schedule)
    return Combined(structure, SoftAndHard(m.alpha, m.temperature))
