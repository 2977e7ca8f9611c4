"""transformers' Auto classes, and the own class of a family for each."""

import transformers
from transformers import PreTrainedConfig, PreTrainedModel

from lada.nn.families import family_of

CLASSIFIER, ENCODER, SPANS = (
    "AutoModelForSequenceClassification",
    "AutoModel",
    "AutoModelForQuestionAnswering",
)
"""Names of transformers' Auto classes; the last two have no classes."""
HEADED = (CLASSIFIER, "AutoModelForTokenClassification", SPANS)
"""Names of the Auto classes of models with a head."""


def model_class(config: PreTrainedConfig, auto: str) -> type[PreTrainedModel]:
    """The own class of transformers for a config, of a family of `lada.nn.families`.

    Args:
        auto: name of the Auto class, such as "AutoModelForTokenClassification".
    """
    family_of(config)
    found: type[PreTrainedModel] = getattr(transformers, auto)._model_mapping[type(config)]
    return found


def auto_of(model: PreTrainedModel) -> str:
    """The name of the Auto class whose class for the family a model has."""
    names = (*HEADED, ENCODER)
    return next(
        (name for name in names if isinstance(model, model_class(model.config, name))), CLASSIFIER
    )


def auto_named(config: PreTrainedConfig) -> str:
    """The name of the Auto class of a folder's model, by the ``architectures`` of its config."""
    named = (config.architectures or [""])[0]
    names = (*HEADED, ENCODER)
    return next((auto for auto in names if model_class(config, auto).__name__ == named), CLASSIFIER)
