"""LadaBERT as a framework: a smaller BERT for one task, and the truth about it."""

from lada.artifact import Answer, Classifier, load, save
from lada.errors import LadaError

__version__ = "0.1.0"
__all__ = ["Answer", "Classifier", "LadaError", "__version__", "load", "save"]
