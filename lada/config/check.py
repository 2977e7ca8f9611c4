"""A composed config as typed settings, or all that is wrong with it."""

from collections.abc import Sequence
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from lada.config.unused import check_unused
from lada.config.whole import GROUPS, Config, from_values
from lada.errors import LadaError
from lada.schema import renamed


def check(cfg: DictConfig, overrides: Sequence[str] = ()) -> Config:
    """A composed config as typed settings.

    Args:
        overrides: of the command line, such as ``distill.hidden=0``.

    Raises:
        LadaError: with a line for every key that is unknown, missing, of the wrong type or out of
            range, or else for the first override that this config does not use.
    """
    try:
        values: Any = OmegaConf.to_container(cfg, resolve=True)
    except OmegaConfBaseException as error:
        key = getattr(error, "full_key", None) or "config"
        raise LadaError(f"{key}: {str(error).splitlines()[0]}") from None
    config = from_values(values)
    check_unused(config, overrides)
    return config


def by_present_names(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Words of a command line with the present names of keys, and a warning for each old name."""
    found, warnings = [], []
    for word in words:
        key, equals, value = word.partition("=")
        group, dot, name = key.lstrip("+~").partition(".")
        if dot and group in GROUPS:
            present, lines = renamed(GROUPS[group], {name: value})
            begin = key[: len(key) - len(name)]
            word = f"{begin}{next(iter(present))}{equals}{value}"
            warnings += lines
        found.append(word)
    return found, warnings
