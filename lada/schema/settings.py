"""Classes of settings: pydantic dataclasses that say all that is wrong, a line for each mistake."""

import functools
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, dataclass_transform

from pydantic import ConfigDict, ValidationError
from pydantic.dataclasses import dataclass as checked

from lada.errors import LadaError, did_you_mean
from lada.schema.fields import beyond, keys_of
from lada.schema.lines import line_of

T = TypeVar("T")
Rule = Callable[[Any], None]

# Strict: true is not a number, "1" is not 1, 1 is not true, 1.0 is not a whole number; 1 is 1.0.
_STRICT = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)


@dataclass(frozen=True)
class Built(Generic[T]):
    """What came of plain values.

    Attributes:
        value: where values are wrong, with the defaults in their place.
        lines: what is wrong, a line for each mistake.
        wrong: names of the fields whose values are wrong, or do not fit each other.
        unknown: names that the class does not have.
    """

    value: T
    lines: list[str]
    wrong: set[str]
    unknown: list[str]


@dataclass_transform(kw_only_default=True, frozen_default=True)
def settings(group: str, *, old: Mapping[str, str] | None = None) -> Callable[[type[T]], type[T]]:
    """Make a class of `lada.schema.setting` fields frozen and checked.

    Its constructor takes keywords only and raises `LadaError` with a line for each mistake. Rules
    over several fields (`consistent`) run on the fields that are right.

    Args:
        group: of the config, which its keys are in; empty: they are in no group.
        old: names that fields had before, with the present ones. They work, with a warning.
    """
    prefix = f"{group}." if group else ""

    def decorate(cls: type[T]) -> type[T]:
        made: Any = checked(config=_STRICT, frozen=True, kw_only=True)(cls)
        plain = made.__init__
        made.__lada_prefix__, made.__lada_old__ = prefix, dict(old or {})
        made.__lada_init__ = plain

        @functools.wraps(plain)
        def init(self: Any, **values: Any) -> None:
            built = build(type(self), _present(type(self), values))
            lines = built.lines + [_unknown(type(self), name) for name in built.unknown]
            if lines:
                raise LadaError(*lines)
            vars(self).update(vars(built.value))

        made.__init__ = init
        found: type[T] = made
        return found

    return decorate


def consistent(*names: str) -> Callable[[Rule], Rule]:
    """Mark a method as a check over several fields, which raises `LadaError`.

    Args:
        names: the fields that it reads (``optim.lr``: of a group); it runs where none is wrong.
    """

    def mark(check: Rule) -> Rule:
        check.__lada_rule__ = names  # type: ignore[attr-defined]
        return check

    return mark


def build(cls: type[T], values: Mapping[str, Any], wrong: Collection[str] = ()) -> Built[T]:
    """An instance of a settings class, and all that is wrong with its values.

    Args:
        wrong: dotted keys that are known to be wrong, in the groups that the values hold.
    """
    keys = keys_of(cls)
    lines: list[str] = []
    bad: set[str] = set()
    unknown: list[str] = []
    made = _made(cls, values)
    if isinstance(made, ValidationError):
        for error in made.errors(include_url=False, include_context=False):
            name = str(error["loc"][0])
            if error["type"] == "unexpected_keyword_argument":
                unknown.append(name)
            elif name not in bad:
                lines.append(line_of(keys[name], error))
                bad.add(name)
        made = _made(cls, {n: v for n, v in values.items() if n not in bad and n not in unknown})
        assert not isinstance(made, ValidationError)  # every field has a default
    for name, key in keys.items():
        line = None if name in bad else beyond(key, getattr(made, name))
        if line is not None:
            lines.append(line)
            bad.add(name)
    schema: Any = cls
    prefix = schema.__lada_prefix__
    amiss = {*wrong, *(f"{prefix}{name}" for name in bad)}
    for check, names in _rules(cls):
        if not any(_overlap(f"{prefix}{name}", key) for name in names for key in amiss):
            try:
                check(made)
            except LadaError as error:
                lines += error.args
                bad |= {*names} & {*keys}
    return Built(made, lines, bad, unknown)


def _made(cls: type[T], values: Mapping[str, Any]) -> T | ValidationError:
    made: Any = object.__new__(cls)
    try:
        made.__lada_init__(**values)
    except ValidationError as error:
        return error
    found: T = made
    return found


def _rules(cls: type) -> Iterator[tuple[Rule, tuple[str, ...]]]:
    """The rules of a class and of those that it inherits from, these first."""
    for base in reversed(cls.__mro__):
        for value in vars(base).values():
            names = getattr(value, "__lada_rule__", None)
            if names is not None:
                yield value, names


def _overlap(name: str, key: str) -> bool:
    """Whether two dotted names are the same, or one is a group of the other."""
    return name == key or name.startswith(f"{key}.") or key.startswith(f"{name}.")


def renamed(cls: type, values: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Values by the present names of their fields, and a warning for each old name."""
    schema: Any = cls
    prefix, old = schema.__lada_prefix__, schema.__lada_old__
    lines = [
        f"{prefix}{name}: is called {prefix}{old[name]} now. Use that name: the next version "
        "rejects the old one."
        for name in values
        if name in old
    ]
    return {old.get(name, name): value for name, value in values.items()}, lines


def _present(cls: type, values: Mapping[str, Any]) -> dict[str, Any]:
    found, lines = renamed(cls, values)
    for line in lines:
        warnings.warn(line, FutureWarning, stacklevel=3)
    return found


def _unknown(cls: type, name: str) -> str:
    schema: Any = cls
    key, names = f"{schema.__lada_prefix__}{name}", list(schema.__pydantic_fields__)
    return f"{key}: {cls.__name__} has no such field{did_you_mean(name, names)}."
