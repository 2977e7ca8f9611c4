"""Checks of a model before it is saved or exported.

`lada.save` and exports see only the model, not the `lada.compression.Compression` that compresses
it. This module connects a model with the checks of its Compression.
"""

from collections.abc import Callable
from weakref import WeakKeyDictionary, WeakMethod

from torch import nn

_CHECKS: "WeakKeyDictionary[nn.Module, WeakMethod[Callable[[], None]]]" = WeakKeyDictionary()


def guard(model: nn.Module, check: Callable[[], None]) -> None:
    """Make `check_guarded` of ``model`` call ``check``, a bound method, while its object lives."""
    _CHECKS[model] = WeakMethod(check)


def check_guarded(model: nn.Module) -> None:
    """Call the check of ``model``, if there is one.

    Raises:
        LadaError: raised by the check.
    """
    found = _CHECKS.get(model)
    check = None if found is None else found()
    if check is not None:
        check()
