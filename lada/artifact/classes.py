"""The classes of artifacts, made when asked for: one for each family and Auto class.

An artifact's class is transformers' own with another way to be read and written. What a
config.json is of says its ``architectures``. Families come from `lada.nn.families.FAMILIES`.
"""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import transformers
from transformers import PreTrainedModel

from lada.artifact.config import (
    CONFIGS,
    LadaBiLstmConfig,
    LadaConfig,
    layers_of,
)
from lada.artifact.model import Artifact
from lada.errors import LadaError
from lada.heads.kinds import KINDS
from lada.nn.autos import AUTOS, CLASSIFIER, ENCODER, plain_class, without_pooler
from lada.nn.families import family_of
from lada.nn.surgery import replace_empty_

FEWEST = {"modernbert": 5, "albert": 0}
"""`Artifact.layer_tensors` of families that have fewer than BERT. ALBERT shares its layers."""


def _artifact(name: str, config: type[LadaConfig], plain: type[PreTrainedModel], auto: str) -> Any:
    """The class of an artifact: ``plain``, with matrices in the forms of its config."""
    options = without_pooler(plain)

    def make(self: Any, config: LadaConfig, **_: Any) -> None:
        plain.__init__(self, config, **options)
        replace_empty_(self, layers_of(config.lada))

    members = {
        "__doc__": f"A `{plain.__name__}` whose matrices have the forms of its config.",
        "__module__": __name__,
        "__qualname__": name,
        "__init__": make,
        "config_class": config,
        "is_encoder": auto == ENCODER,
        "layer_tensors": FEWEST.get(config.family, Artifact.layer_tensors),
    }
    return type(name, (Artifact, plain), members)


class _NoEncoder(Artifact):
    """A BiLSTM has one state per text and none per token: it cannot be read as an encoder."""

    is_encoder = True

    @classmethod
    def from_pretrained(  # type: ignore[override]
        cls, place: Any, *_: Any, **__: Any
    ) -> Any:
        """Always an error.

        Raises:
            LadaError: a BiLSTM has no encoder.
        """
        raise LadaError(
            f"{place}: a {cls.config_class.model_type} has no encoder. Read it with {CLASSIFIER}."
        )


@cache
def classes_of(model_type: str) -> Mapping[str, type[Artifact]]:
    """The class of each Auto class for one of `CONFIGS`, by the name of the Auto class."""
    config = CONFIGS[model_type]
    if config.form:
        plain, tensors = STUDENTS[config.form](config.family)
        name = config.__name__.removesuffix("Config")
        whole = _artifact(
            f"{name}{CLASSIFIER.removeprefix('AutoModel')}", config, plain, CLASSIFIER
        )
        whole.layer_tensors = tensors
        if config is LadaBiLstmConfig:
            members = {"config_class": config, "__module__": __name__}
            encoder = type(f"{name}Model", (_NoEncoder,), members)
        else:
            base = plain_class(config.family, ENCODER)
            encoder = _artifact(f"{name}Model", config, base, ENCODER)
        return {CLASSIFIER: whole, ENCODER: encoder}
    found: dict[str, type[Artifact]] = {}
    for auto in AUTOS:
        plain = plain_class(config.family, auto)
        found[auto] = _artifact(f"Lada{plain.__name__}", config, plain, auto)
    return found


def _minialbert(family: str) -> tuple[type[PreTrainedModel], int]:
    from lada.nn.minialbert import minialbert_class

    return minialbert_class(family), 12  # of two adapters


def _bilstm(_: str) -> tuple[type[PreTrainedModel], int]:
    from lada.nn.bilstm import BiLstm

    return BiLstm, 0  # it has no layers of this kind


def _early_exit(family: str) -> tuple[type[PreTrainedModel], int]:
    from lada.nn.early_exit import early_exit_class

    ramp = 4
    return early_exit_class(family), FEWEST.get(family, Artifact.layer_tensors) or ramp


STUDENTS: dict[str, Callable[[str], tuple[type[PreTrainedModel], int]]] = {
    "minialbert": _minialbert,
    "bilstm": _bilstm,
    "early-exit": _early_exit,
}
"""Students of other classes than their teacher, by `LadaConfig.form`: of a family the class, and
the fewest tensors of a layer."""


@cache
def register(config: type[LadaConfig]) -> None:
    """Have the Auto classes read artifacts of a config."""
    if CONFIGS.get(config.model_type) is not config:
        return
    for auto, found in classes_of(config.model_type).items():
        getattr(transformers, auto).register(config, found)


def class_for(model: PreTrainedModel) -> type[Artifact]:
    """The class under which a student, or a loaded artifact, is stored.

    Raises:
        LadaError: none of transformers' classes for `AUTOS` is its class, or it is an encoder with
            a pooler, which no output needs.
    """
    row = family_of(model.config)
    students = (c for c in CONFIGS.values() if c.form and c.family == row.model_type)
    for config in students:
        if isinstance(model, STUDENTS[config.form](config.family)[0]):
            return classes_of(config.model_type)[CLASSIFIER]
    for auto, found in classes_of(f"lada-{row.model_type}").items():
        if isinstance(model, plain_class(row.model_type, auto)):
            if found.is_encoder and getattr(model, "pooler", None) is not None:
                raise LadaError(
                    f"model: a {type(model).__name__} with a pooler cannot be stored. Make it with "
                    "add_pooling_layer=False."
                )
            return found
    raise LadaError(
        f"model: a {type(model).__name__} cannot be stored. Give one of {', '.join(AUTOS)}."
    )


def auto_of(found: type[Artifact]) -> str:
    """The Auto class that reads a class of artifact."""
    classes = classes_of(found.config_class.model_type)
    return next(auto for auto, one in classes.items() if one is found)


def root_of(found: type[Artifact]) -> str:
    """What kind of model it is, as `lada.artifact.container.SINCE` names it."""
    auto = auto_of(found)
    return "classifier" if auto == CLASSIFIER else auto


def class_named(stored: Mapping[str, Any]) -> type[Artifact]:
    """The class of an artifact by its config.json; a classifier, where that does not say.

    Raises:
        LadaError: its ``architectures`` are not those of its ``model_type``, or not of the kind of
            its task.
    """
    classes = classes_of(stored["model_type"])
    names = stored.get("architectures") or [classes[CLASSIFIER].__name__]
    kind = stored["lada"]["about"].get("kind")
    for auto, found in classes.items():
        if names == [found.__name__]:
            if kind is not None and KINDS[kind].auto != auto:
                raise LadaError(f"kind is {kind!r}, which a {found.__name__} is not for")
            return found
    raise LadaError(
        f"architectures is {names}, but must be one of "
        f"{', '.join(found.__name__ for found in classes.values())}"
    )


def __getattr__(name: str) -> Any:
    """A class by its name, such as ``LadaBertForSequenceClassification``."""
    for model_type in CONFIGS if name.startswith("Lada") else ():
        for found in classes_of(model_type).values():
            if found.__name__ == name:
                return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
