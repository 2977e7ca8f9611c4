"""The methods by name: those of this package, and those of others."""

from collections.abc import Callable
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import TypeVar

from lada.errors import LadaError, did_you_mean
from lada.methods.settings import MethodSettings
from lada.values import shown

BUILT_IN = ("lada", "lada_plus", "hybrid", "factorization", "factorization_kd", "pruning",
            "pruning_kd", "grain", "smp", "finetune", "kd", "pkd", "layerdrop", "xtc", "tinybert",
            "bert_small", "bilstm", "minialbert", "early_exit", "quantization")  # fmt: skip
"""The methods of this package, in the order of tables; each is a module of this name."""

ENTRY_POINTS = "lada.methods"
"""Group of the entry points by which other packages name modules that register methods."""

M = TypeVar("M", bound=type[MethodSettings])
_registered: dict[str, type[MethodSettings]] = {}
_loaded: set[str] = set()


def register_method(name: str) -> Callable[[M], M]:
    """Make a settings class known as a method.

    The class is decorated by ``lada.schema.settings("method")``, too, and inherits from
    `MethodSettings`. A package that is not this one names its module in the group
    ``lada.methods`` of its entry points; then its methods are in ``--help``, in the check of the
    config and in comparisons.

    Args:
        name: as in ``method=NAME``.

    Raises:
        LadaError: another class has this name.

    Example:
        >>> from lada.methods.registry import find_method, register_method
        >>> from lada.methods.settings import ThresholdSettings
        >>> from lada.schema import setting, settings
        >>> @register_method("by_sign")
        ... @settings("method")
        ... class BySign(ThresholdSettings):
        ...     share: float = setting(0.5, "of the negative entries that go", least=0, most=1)
        >>> find_method("by_sign")(share=0.25).share
        0.25
    """

    def register(cls: M) -> M:
        known = _registered.get(name)
        if known is not None and (known.__module__, known.__name__) != (
            cls.__module__,
            cls.__name__,
        ):
            raise LadaError(
                f"method={name}: is registered by {known.__module__} and by {cls.__module__}. "
                "Rename one of them."
            )
        cls.name = name
        _registered[name] = cls
        return cls

    return register


def methods() -> dict[str, type[MethodSettings]]:
    """All methods: those of this package first, in the order of tables."""
    for name in BUILT_IN:
        import_module(f"lada.methods.{name}")
    for point in entry_points(group=ENTRY_POINTS):
        if point.value not in _loaded:
            _load(point)
    others = sorted(set(_registered) - set(BUILT_IN))
    return {name: _registered[name] for name in (*BUILT_IN, *others)}


def find_method(name: object) -> type[MethodSettings]:
    """The settings class of a method.

    Raises:
        LadaError: there is none of this name.
    """
    if name in BUILT_IN:
        import_module(f"lada.methods.{name}")
        return _registered[str(name)]
    known = methods()
    if not isinstance(name, str) or name not in known:
        near = did_you_mean(str(name), list(known)) or "."
        raise LadaError(
            f"method={shown(name)}: no such method{near} Choose one of {', '.join(known)}."
        )
    return known[name]


def _load(point: EntryPoint) -> None:
    try:
        point.load()
    except Exception as error:
        raise LadaError(
            f"{point.dist.name if point.dist else point.value}: its methods cannot be loaded "
            f"({type(error).__name__}: {error}). Mend that package, or uninstall it."
        ) from error
    _loaded.add(point.value)
