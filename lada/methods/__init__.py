"""One method, one file. `make_method` finds one by its name in the config."""

import importlib

from lada.config import METHODS, Config
from lada.errors import LadaError
from lada.methods.base import Method

__all__ = ["Method", "check_overrides", "make_method"]

READERS = {
    "distill": ("lada", "pruning_kd", "factorization_kd", "minialbert"),
    "ratios": ("lada", "hybrid", "factorization", "factorization_kd"),
}
"""The methods that look at a group of settings, where not all do."""


def check_overrides(name: str, overrides: list[str]) -> None:
    """Refuse what was asked for and the method ``name`` would pass over.

    Args:
        overrides: of the command line, such as ``distill.hidden=0``.

    Raises:
        LadaError: naming the first such one, and the methods that look at it.
    """
    for override in overrides:
        group = override.lstrip("+~").partition("=")[0].partition(".")[0]
        readers = READERS.get(group, (name,))
        if name not in readers:
            raise LadaError(
                f"{override}: method={name} does not look at it; leave it out, or take one of "
                f"{', '.join(readers)}"
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
