"""The named choices of conf/ as plain values, for those who come without a command line."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from lada.config import Config, from_values
from lada.errors import LadaError, did_you_mean
from lada.methods import methods
from lada.program import conf_folder


def choices_of(group: str) -> list[str]:
    """The names of a group's choices; of those in a folder of it, such as ``found/NAME``."""
    if group == "method":
        return list(methods())
    folder = conf_folder() / group
    files = (file.relative_to(folder) for file in folder.rglob("*.yaml"))
    return sorted(file.with_suffix("").as_posix() for file in files)


def choice(group: str, name: str) -> dict[str, Any]:
    """The values of one choice that differ from the defaults: of ``conf/target/7.5x.yaml``, say.

    Raises:
        LadaError: there is none of this name.

    Example:
        >>> choice("target", "7.5x")
        {'ratio': 7.5}
        >>> choice("target", "8x")
        Traceback (most recent call last):
        ...
        lada.errors.LadaError: target=8x: no such choice; did you mean 5x? Choose one of 10x, ...
    """
    names = choices_of(group)
    if name not in names:
        near = did_you_mean(name, names) or "."
        raise LadaError(f"{group}={name}: no such choice{near} Choose one of {', '.join(names)}.")
    if group == "method":
        return {"name": name}
    found = _read(conf_folder() / group / f"{name}.yaml")
    found.pop("defaults", None)  # what overrides other groups
    return found


def config_of(choices: Mapping[str, str], values: Mapping[str, Any]) -> Config:
    """The config that the command line would make of these choices and values.

    Args:
        choices: names by group; a group that is not there has its defaults.
        values: by group and key, or by key where there is no group; they replace those of the
            choices.

    Raises:
        LadaError: a choice is unknown, or a value is not what its key may have.
    """
    out: dict[str, Any] = {group: choice(group, name) for group, name in choices.items()}
    for key, value in values.items():
        out[key] = out.get(key, {}) | value if isinstance(value, Mapping) else value
    return from_values(out)


def _read(file: Path) -> dict[str, Any]:
    found = OmegaConf.to_container(OmegaConf.load(file), resolve=False)
    assert isinstance(found, dict)
    return {str(key): value for key, value in found.items()}
