"""Hydra's and OmegaConf's errors as one line, with the nearest valid name."""

import re
from pathlib import Path

from lada.config import known_keys, no_such_key
from lada.errors import did_you_mean


def hydra_line(error: Exception) -> str:
    """What is wrong, the value and what would do, in one line.

    Unknown keys get the nearest known key, unknown options of a group the nearest option.
    """
    text = str(error)
    missing = re.search(r"Missing mandatory value: (\S+)", text)
    if missing:
        return f"{missing.group(1)} has no value; give it as {missing.group(1)}=..."
    override = getattr(error, "override", None)  # of Hydra's error for what cannot be parsed
    if override is not None:
        return f"{override}: is no override ({text.splitlines()[0]}); write KEY=VALUE"
    option = re.search(r"Could not find '([\w-]+)/([^']+)'", text)
    if option:
        group, wanted = option.groups()
        options = re.findall(r"^\t(\S+)$", text, re.MULTILINE)
        near = did_you_mean(wanted, options)
        return f"{group}={wanted}: no such choice{near}; choose one of {', '.join(options)}"
    added = re.search(r"Could not append to config. An item is already at '([^']+)'", text)
    if added:
        return f"+{added.group(1)}: is there already; leave the + out"
    key = re.search(r"Could not override '([^']+)'", text) or re.search(
        r"Error merging override (\S+?)=", text
    )
    if key and ("not in struct" in _chain(error) or "No match in the defaults" in text):
        name = key.group(1).partition("@")[0]
        return no_such_key(name, known_keys() + _groups())
    lines = [line.strip() for line in _chain(error).splitlines() if line.strip()]
    return "; ".join(dict.fromkeys(lines[:2])) if lines else type(error).__name__


def _chain(error: BaseException) -> str:
    parts = [str(error)]
    cause = error.__cause__ or error.__context__
    while cause is not None:
        parts.append(str(cause))
        cause = cause.__cause__ or cause.__context__
    return "\n".join(parts)


def _groups() -> list[str]:
    conf = Path(__file__).parent.parent / "conf"
    return [f.name for f in conf.iterdir() if f.is_dir()] if conf.is_dir() else []
