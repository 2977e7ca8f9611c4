"""The compressed model as files."""

from lada.artifact.classifier import Answer, Classifier
from lada.artifact.folder import accept, load, measure, save

__all__ = ["Answer", "Classifier", "accept", "load", "measure", "save"]
