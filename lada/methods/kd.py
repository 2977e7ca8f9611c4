"""The first layers of the teacher, distilled by its softened predictions and the labels.

Paper: Hinton et al. 2015, arXiv 1503.02531; "BERT-KD" of LadaBERT's Table 3 and of PKD. The
student is that of `lada.methods.finetune`, and so at x7.5 or more it is one that no paper has.
"""

from lada.config import Config, KdConfig
from lada.methods.base import Combined, Method
from lada.methods.objectives import SoftAndHard
from lada.methods.structures import Shallow


def make(config: Config) -> Method:
    """The method of a checked config."""
    m = config.method
    assert isinstance(m, KdConfig)
    structure = Shallow(m.layers, "first", config.target.ratio, m.embedding, config.schedule)
    return Combined(structure, SoftAndHard(m.alpha, m.temperature))
