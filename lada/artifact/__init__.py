"""The compressed model as files. A name imports its module, and torch, when it is used."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
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

_CLASSIFIER = ("Answer", "Classifier", "InputError")


if not TYPE_CHECKING:  # a type checker should see that a misspelt name is not there

    def __getattr__(name: str) -> object:
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        module = "classifier" if name in _CLASSIFIER else "folder"
        return getattr(import_module(f"{__name__}.{module}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
