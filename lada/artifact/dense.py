"""The dense model that an artifact is compared with: its teacher, from a folder."""

from pathlib import Path

from transformers import PreTrainedModel

from lada.artifact.classifier import Classifier
from lada.nn.autos import auto_of
from lada.nn.pretrained import load_classifier


def load_dense(folder: Path, classifier: Classifier, key: str) -> PreTrainedModel:
    """The model of a folder, of the same Auto class and labels as an artifact, in eval mode.

    Args:
        key: that gave the folder, for messages.

    Raises:
        LadaError: it cannot be read, or is of another kind or other labels.
    """
    model: PreTrainedModel = load_classifier(
        folder,
        classifier.labels,
        seed=0,
        fine_tuned=True,
        key=key,
        problem=classifier.head.kind.problem,
        auto=auto_of(classifier.model),
    )
    model.eval()
    return model
