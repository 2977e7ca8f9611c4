"""Hydra's and OmegaConf's errors as one line, with the nearest valid name."""

import re
from collections.abc import Callable, Sequence

from lada.config.whole import known_keys, no_such_key, no_value
from lada.errors import did_you_mean
from lada.overrides import quoted
from lada.program import conf_folder
from lada.values import shown

ANOTHER = "Give another folder (hydra.run.dir, paths.outputs), or run from another."
LONGEST = 500
"""Most characters of a message of Hydra that are shown: it may quote a whole value."""
NO_NAME = r"null|true|false|[-+]?(inf|nan|[\d._]+(e[-+]?\d+)?)"
"""Values that Hydra does not take as a name."""
IN_A_PLACE = (
    "Hydra takes ${ in the name of a run's folder, or of the working directory, for an "
    f"interpolation. {ANOTHER}"
)


def hydra_line(
    error: BaseException, words: Sequence[str], is_override: Callable[[str], bool]
) -> str:
    """What is wrong, the value and what would do, in one line.

    Unknown keys get the nearest known key, unknown options of a group the nearest option.

    Args:
        words: of the command line.
        is_override: whether Hydra can parse a word.
    """
    text = str(error)
    if re.search(r"full_key: hydra\.runtime\.(output_dir|cwd)", text):
        return IN_A_PLACE
    if isinstance(error, RecursionError):
        return "a value of the command line has too many brackets within brackets."
    if "Config group override must be" in text:
        return _no_choice(words)
    for word in words:
        if "=" in word and not word.startswith("-") and not is_override(word):
            return _quote(word)
    ambiguous = re.search(r"Ambiguous value for argument '(.*?)'\n1\. ", text, re.DOTALL)
    if ambiguous:
        word = ambiguous.group(1)
        return f"{_quote(word)} For a sweep over several values, add -m."
    missing = re.search(r"Missing mandatory value: (\S+)", text)
    if missing:
        return no_value(missing.group(1))
    override = getattr(error, "override", None)  # of Hydra's error for what cannot be parsed
    if override is not None:
        return f"{override}: is not an override ({text.splitlines()[0]}). Write KEY=VALUE."
    option = re.search(r"Could not find '((?:hydra/)?[\w-]+)/([^']+)'", text)
    if option:
        group, wanted = option.groups()
        options = re.findall(r"^\t(\S+)$", text, re.MULTILINE)
        near = did_you_mean(wanted, options) or "."
        return f"{group}={wanted}: no such choice{near} Choose one of {', '.join(options)}."
    added = re.search(r"Could not append to config. An item is already at '([^']+)'", text)
    if added:
        return f"+{added.group(1)}: the key exists already. Remove the +."
    key = re.search(r"Could not override '([^']+)'", text) or re.search(
        r"Error merging override (\S+?)=", text
    )
    if key and ("not in struct" in _chain(error) or "No match in the defaults" in text):
        name = key.group(1).partition("@")[0]
        return no_such_key(name, known_keys() + _groups())
    lines = [line.strip() for line in _chain(error).splitlines() if line.strip()]
    line = "; ".join(dict.fromkeys(lines[:2])) if lines else type(error).__name__
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 3]}..."


def _quote(word: str) -> str:
    """The line for an override that Hydra cannot parse, with the right quotes."""
    key, _, value = word.partition("=")
    if not re.fullmatch(r"[+~]{0,2}[A-Za-z_][\w.@/:-]*", key):
        return f"{shown(word)}: is not an override. Write KEY=VALUE."
    short = value.isprintable() and len(value) < 1000
    again = quoted(key, value) if short else f"'{key}=\"...\"'"
    return f"{shown(word)}: its value has to be in quotes: write {again}."


def _no_choice(words: Sequence[str]) -> str:
    """The line for a group that is set to a value that is not a name, such as null or a number."""
    groups = _groups()
    for word in words:
        key, _, value = word.partition("=")
        name = key.lstrip("+").partition("@")[0]
        if not name:
            return f"{shown(word)}: is not an override. Write KEY=VALUE."
        no_name = (re.fullmatch(NO_NAME, part, re.I) for part in value.split(","))
        if (name in groups or "/" in name) and any(no_name):
            return (
                f"{shown(word)}: {name} is a group of keys. Give one of its choices, {name}=NAME, "
                f"or one of its keys, {name}.KEY=VALUE."
            )
    return (
        "a group of keys is set to a value that is not a name. Give one of its choices, GROUP=NAME."
    )


def _chain(error: BaseException) -> str:
    parts = [str(error)]
    cause = error.__cause__ or error.__context__
    while cause is not None:
        parts.append(str(cause))
        cause = cause.__cause__ or cause.__context__
    return "\n".join(parts)


def _groups() -> list[str]:
    return [f.name for f in conf_folder().iterdir() if f.is_dir()]
