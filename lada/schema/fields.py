"""One field of a settings class: its default, range, meaning and role."""

from collections.abc import Callable
from dataclasses import dataclass
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import AfterValidator, Field
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError

from lada.values import is_unicode, shown


def _encodable(text: str) -> str:
    if not is_unicode(text):
        raise PydanticCustomError("text", "is not valid UTF-8. Rename it, or give another.")
    return text


def _not_empty(text: str) -> str:
    if not text:
        raise PydanticCustomError("text", "is empty. Give a value, or leave it out.")
    return text


Column = Annotated[str, AfterValidator(_encodable)]
"""Text that may be empty: a column may have no name."""

Text = Annotated[Column, AfterValidator(_not_empty)]
"""Text that is not empty, in UTF-8: records and libraries in Rust need that."""


def setting(
    default: Any,
    meaning: str,
    *,
    least: float | None = None,
    over: float | None = None,
    most: float | Callable[[], float] | None = None,
    why: str | Callable[[], str] = "",
    reads: bool = False,
    path: bool = False,
    free: bool = False,
    later: bool = False,
) -> Any:
    """A field of a `settings` class.

    Args:
        default: its value unless it is given.
        meaning: one phrase, which docs/config.md shows.
        least: the smallest value.
        over: what it must be greater than, in place of ``least``.
        most: the largest value; a function where the machine decides.
        why: the reason for ``most``.
        reads: whether it names a file or folder that decides what a run reads.
        path: whether it names another file or folder; records do not show where that is.
        free: whether it leaves the result of a run as it is, up to rounding.
        later: whether it was added when runs had names already: null, or its default, leaves those
            names.
    """
    fixed = None if callable(most) else most
    extra: Any = {
        "most": most,
        "why": why,
        "reads": reads,
        "path": path or reads,
        "free": free,
        "later": later,
    }
    return Field(default, description=meaning, ge=least, gt=over, le=fixed, json_schema_extra=extra)


@dataclass(frozen=True)
class Key:
    """A field as messages and documentation see it.

    Attributes:
        name: dotted, as on the command line.
        kind: its type without null.
        nullable: whether it may be null.
        least, over: the lower bound, if there is one.
    """

    name: str
    kind: Any
    nullable: bool
    default: Any
    meaning: str
    least: float | None
    over: float | None
    reads: bool
    path: bool
    free: bool
    later: bool
    _most: Any
    _why: Any

    @property
    def most(self) -> float | None:
        """The largest value on this machine."""
        found: float | None = self._most() if callable(self._most) else self._most
        return found

    @property
    def why(self) -> str:
        """The reason for `most`."""
        return str(self._why() if callable(self._why) else self._why)

    @property
    def by_machine(self) -> bool:
        """Whether `most` depends on the machine."""
        return callable(self._most)

    @property
    def choices(self) -> tuple[str, ...]:
        """The values it may have; empty where there is no list of them."""
        return get_args(self.kind) if get_origin(self.kind) is Literal else ()

    @property
    def type(self) -> str:
        """Its type in words."""
        names = {int: "whole number", float: "number", bool: "true or false", str: "text"}
        return names.get(self.kind, "text")

    def bounds(self) -> str:
        """Its range in words: ``over 0 and at most 1``; empty where there is none."""
        low = ""
        if self.over is not None:
            low = f"over {self.over:g}"
        elif self.least is not None:
            low = f"at least {self.least:g}"
        high = "" if self.most is None else f"at most {_number(self.most)}"
        return " and ".join(part for part in (low, high) if part)


def keys_of(cls: type) -> dict[str, Key]:
    """The keys of a settings class, by the names of its fields; without groups of keys."""
    schema: Any = cls
    fields: dict[str, FieldInfo] = schema.__pydantic_fields__
    prefix = schema.__lada_prefix__
    leaves = {name: field for name, field in fields.items() if field.json_schema_extra}
    return {name: _key(f"{prefix}{name}", field) for name, field in leaves.items()}


def _key(name: str, field: FieldInfo) -> Key:
    extra = field.json_schema_extra
    assert isinstance(extra, dict), name
    options = [_bare(k) for k in _options(field.annotation)]
    (kind,) = (k for k in options if k is not NoneType)
    bounds = {attribute: getattr(m, attribute) for m in field.metadata
              for attribute in ("ge", "gt") if hasattr(m, attribute)}  # fmt: skip
    return Key(
        name=name,
        kind=kind,
        nullable=NoneType in options,
        default=field.default,
        meaning=field.description or "",
        least=bounds.get("ge"),
        over=bounds.get("gt"),
        reads=bool(extra["reads"]),
        path=bool(extra["path"]),
        free=bool(extra["free"]),
        later=bool(extra["later"]),
        _most=extra["most"],
        _why=extra["why"],
    )


def _options(annotation: Any) -> tuple[Any, ...]:
    """The parts of a union; of what is none, itself."""
    whole = get_origin(annotation) in (Literal, Annotated) or not get_args(annotation)
    return (annotation,) if whole else get_args(annotation)


def _bare(annotation: Any) -> Any:
    """A type without its validators."""
    return get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation


def _number(value: float) -> str:
    return f"{value:,.10g}"


def beyond(key: Key, value: Any) -> str | None:
    """What is wrong with a number that is larger than this machine allows; None: nothing."""
    if value is None or not key.by_machine or key.most is None or value <= key.most:
        return None
    return f"{key.name}={shown(value)}: must be at most {_number(key.most)} ({key.why})."
