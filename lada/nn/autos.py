"""transformers' Auto classes, and the own class of a family for each."""

import inspect
from typing import Any

import transformers
from transformers import CONFIG_MAPPING, PreTrainedConfig, PreTrainedModel

from lada.nn.families import family_of

AUTOS = CLASSIFIER, TOKENS, SPANS, ENCODER = (
    "AutoModelForSequenceClassification",
    "AutoModelForTokenClassification",
    "AutoModelForQuestionAnswering",
    "AutoModel",
)
"""Names of the Auto classes whose models are read; the last two have no classes of a task."""
MASKED = "AutoModelForMaskedLM"
"""Of models that say what word is masked; none of a task."""
HEADED = (CLASSIFIER, TOKENS, SPANS)
"""Those of models with a head."""


def plain_class(family: str, auto: str) -> type[PreTrainedModel]:
    """Transformers' own class of a family for one of `AUTOS`."""
    config = CONFIG_MAPPING[family]
    found: type[PreTrainedModel] = getattr(transformers, auto)._model_mapping[config]
    return found


def without_pooler(plain: type[PreTrainedModel]) -> dict[str, Any]:
    """The arguments by which a class of transformers makes no pooler.

    None where it has a head, whose pooler is a part of it, or where the family has no pooler.
    """
    taken = inspect.signature(plain.__init__).parameters
    return {"add_pooling_layer": False} if "add_pooling_layer" in taken else {}


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
    return next(
        (name for name in AUTOS if isinstance(model, model_class(model.config, name))), CLASSIFIER
    )


def auto_named(config: PreTrainedConfig) -> str:
    """The name of the Auto class of a folder's model, by the ``architectures`` of its config."""
    named = (config.architectures or [""])[0]
    return next((auto for auto in AUTOS if model_class(config, auto).__name__ == named), CLASSIFIER)
