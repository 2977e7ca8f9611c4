"""LadaBERT as a framework: a smaller BERT for one task, and the truth about it."""

from importlib import import_module
from typing import TYPE_CHECKING

from lada import artifact as artifact
from lada import auto_classes
from lada.errors import LadaError

if TYPE_CHECKING:
    from lada.api import compress
    from lada.artifact import Answer, Classifier, load, save
    from lada.compression import Compression
    from lada.preparing import prepare
    from lada.result import Result
    from lada.training.callbacks import HybridCompressionCallback
    from lada.training.hf import CompressionTrainerCallback

__version__ = "0.2.0"
__all__ = [
    "Answer",
    "Classifier",
    "Compression",
    "CompressionTrainerCallback",
    "HybridCompressionCallback",
    "LadaError",
    "Result",
    "__version__",
    "compress",
    "load",
    "prepare",
    "save",
]

_LATER = {
    "Answer": "lada.artifact",
    "Classifier": "lada.artifact",
    "Compression": "lada.compression",
    "CompressionTrainerCallback": "lada.training.hf",
    "HybridCompressionCallback": "lada.training.callbacks",
    "Result": "lada.result",
    "compress": "lada.api",
    "load": "lada.artifact",
    "prepare": "lada.preparing",
    "save": "lada.artifact",
}
"""Names whose modules import torch and more: they are imported when they are used."""


if not TYPE_CHECKING:  # a type checker should see that a misspelt name is not there

    def __getattr__(name: str) -> object:
        if name not in _LATER:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(_LATER[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


auto_classes.register()
