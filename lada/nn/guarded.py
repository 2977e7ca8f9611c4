"""What must hold of a model before it is saved or exported, by whoever trains it.

A model that is being compressed is known to its `lada.compression.Compression` alone; `lada.save`
and exports see only the model. Here the one finds the other.
"""

from collections.abc import Callable
from weakref import WeakKeyDictionary, WeakMethod

from torch import nn

_CHECKS: "WeakKeyDictionary[nn.Module, WeakMethod[Callable[[], None]]]" = WeakKeyDictionary()


def guard(model: nn.Module, check: Callable[[], None]) -> None:
    """Have `check_guarded` of ``model`` call ``check``, a bound method, while its object lives."""
    _CHECKS[model] = WeakMethod(check)


def check_guarded(model: nn.Module) -> None:
    """Call what guards ``model``, if anything does.

    Raises:
        LadaError: by the check.
    """
    found = _CHECKS.get(model)
    check = None if found is None else found()
    if check is not None:
        check()
