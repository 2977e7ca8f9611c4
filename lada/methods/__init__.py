"""One method, one file. `make_method` finds one by its name in the config."""

import importlib

from lada.config import METHODS, Config
from lada.errors import LadaError
from lada.methods.base import Method

__all__ = ["Method", "make_method"]


def make_method(config: Config) -> Method:
    """The method that ``config.method.name`` names.

    Raises:
        LadaError: there is no such method, or its settings do not fit each other.
    """
    name = config.method.name
    if name not in METHODS:
        raise LadaError(f"method.name={name}: choose one of {', '.join(METHODS)}")
    method: Method = importlib.import_module(f"lada.methods.{name}").make(config)
    return method
