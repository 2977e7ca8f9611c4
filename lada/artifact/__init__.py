"""The compressed model as files."""

from lada.artifact.classifier import Answer, Classifier
from lada.artifact.folder import load, measure, save

__all__ = ["Answer", "Classifier", "load", "measure", "save"]
