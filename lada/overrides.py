"""Any text as a value of an override, ``KEY=VALUE``, in the form that Hydra reads back the same."""

import re
import shlex

_BEFORE_QUOTE = re.compile(r'(\\*)("|\Z)')
_BEFORE_INTERPOLATION = re.compile(r"(\\*)\$\{")


def value(text: str) -> str:
    r"""``text`` in double quotes, such that Hydra and OmegaConf make it ``text`` again.

    Hydra unescapes backslashes that stand before a quote and leaves others; OmegaConf does so with
    those before ``${``, which begins an interpolation.
    """
    text = _BEFORE_INTERPOLATION.sub(lambda m: m[1] * 2 + r"\${", text)
    text = _BEFORE_QUOTE.sub(lambda m: m[1] * 2 + (r"\"" if m[2] else ""), text)
    return f'"{text}"'


def override(key: str, text: str) -> str:
    """``KEY=VALUE`` for any text, as one argument of a process."""
    return f"{key}={value(text)}"


def quoted(key: str, text: str) -> str:
    """``KEY=VALUE`` for any text, as one word of a shell."""
    return shlex.quote(override(key, text))
