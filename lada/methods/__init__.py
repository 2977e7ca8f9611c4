"""One method, one file. `make_method` finds one by its name in the config."""

import importlib

from lada.config import METHODS, Config
from lada.errors import LadaError
from lada.methods.base import Method

__all__ = ["Method", "check_overrides", "make_method"]

WEIGHED = ("lada", "pruning_kd", "factorization_kd", "minialbert")
"""The methods whose loss has the terms that the settings under ``distill`` weigh."""


def check_overrides(name: str, overrides: list[str]) -> None:
    """Refuse what was asked for and the method ``name`` would pass over.

    Args:
        overrides: of the command line, such as ``distill.hidden=0``.

    Raises:
        LadaError: naming the first such one, and the methods that look at it.
    """
    for override in overrides:
        group = override.lstrip("+~").partition("=")[0].partition(".")[0]
        if group == "distill" and name not in WEIGHED:
            raise LadaError(
                f"{override}: method={name} does not look at it; leave it out, or take one of "
                f"{', '.join(WEIGHED)}"
            )


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
