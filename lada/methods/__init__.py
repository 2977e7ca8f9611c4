"""One method, one file. `make_method` finds one by its name in the config."""

from lada.config import Config
from lada.errors import LadaError
from lada.methods.base import Method
from lada.methods.lada import Lada

__all__ = ["Method", "make_method"]


def make_method(config: Config) -> Method:
    """The method that ``config.method.name`` names.

    Raises:
        LadaError: there is no such method.
    """
    if config.method.name == "lada":
        return Lada(
            config.method, config.target.ratio, config.ratios, config.schedule, config.distill
        )
    raise LadaError(f"method.name={config.method.name}: choose one of lada")
