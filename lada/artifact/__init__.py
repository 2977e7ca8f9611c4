"""The compressed model as files."""

from lada.artifact.classifier import Answer, Classifier
from lada.artifact.folder import accept, check_storable, load, measure, save

__all__ = ["Answer", "Classifier", "accept", "check_storable", "load", "measure", "save"]
