"""LadaBERT as a framework: a smaller BERT for one task, and the truth about it."""

from typing import TYPE_CHECKING, Any

from lada.artifact import Answer, Classifier, load, save
from lada.errors import LadaError

if TYPE_CHECKING:
    from lada.api import compress
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
    "Compression": "lada.compression",
    "CompressionTrainerCallback": "lada.training.hf",
    "HybridCompressionCallback": "lada.training.callbacks",
    "Result": "lada.result",
    "compress": "lada.api",
    "prepare": "lada.preparing",
}
"""Names whose modules import all that a training needs: they are imported when they are used."""


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_LATER[name]), name)
