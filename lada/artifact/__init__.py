"""The compressed model as files."""

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
