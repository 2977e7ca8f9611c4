"""Settings as typed classes: a field carries its default, range, meaning and role in one place.

Example:
    >>> from typing import Literal
    >>> from lada.schema import setting, settings
    >>> @settings("soup")
    ... class SoupSettings:
    ...     salt: float = setting(0.5, "teaspoons", least=0.0, most=3.0, why="nobody eats more")
    ...     kind: Literal["clear", "thick"] = setting("clear", "what it looks like")
    >>> SoupSettings(salt=1).salt
    1.0
    >>> SoupSettings(salt=9, kind="cold")
    Traceback (most recent call last):
    ...
    lada.errors.LadaError: soup.salt=9: must be at most 3 (nobody eats more).
    soup.kind=cold: choose one of clear, thick.
"""

from lada.schema.fields import Column, Key, Text, keys_of, setting
from lada.schema.settings import Built, build, consistent, renamed, settings

__all__ = [
    "Built",
    "Column",
    "Key",
    "Text",
    "build",
    "consistent",
    "keys_of",
    "renamed",
    "setting",
    "settings",
]
