"""The compressed model as files."""

from lada.artifact import encoder as encoder  # makes AutoModel read it
from lada.artifact.classifier import Answer, Classifier, InputError
from lada.artifact.folder import accept, check_storable, load, measure, save

__all__ = [
    "Answer",
    "Classifier",
    "InputError",
    "accept",
    "check_storable",
    "load",
    "measure",
    "save",
]
