"""What pydantic found wrong with a field, in one line: the key, its value, what would do."""

from typing import Any

from lada.overrides import quoted
from lada.schema.fields import Key
from lada.values import shown

_BOUNDS = ("greater_than", "greater_than_equal", "less_than_equal", "finite_number")


def line_of(key: Key, error: Any) -> str:
    """The line for one error of pydantic.

    Args:
        error: one of ``ValidationError.errors()``.
    """
    value, kind = error["input"], error["type"]
    begin = f"{key.name}={shown(value)}: "
    null = " or null" if key.nullable else ""
    if value is None:
        return f"{begin}must have a value. Give one, or leave {key.name} out."
    if kind == "literal_error":
        return f"{begin}choose one of {', '.join(key.choices)}{null}."
    if kind in _BOUNDS:
        return begin + _range(key, kind)
    if kind == "bool_type":
        return f"{begin}must be true or false."
    if kind in ("int_type", "float_type"):
        if kind == "float_type" and isinstance(value, int) and not isinstance(value, bool):
            return f"{begin}is too large for any number of this kind."
        return f"{begin}must be a {key.type}{null}."
    if kind == "string_type":
        again = (
            quoted(key.name, shown(value)) if isinstance(value, int) else f"'{key.name}=\"...\"'"
        )
        advice = "" if isinstance(value, dict | list) else f" To give it as text, write {again}."
        return f"{begin}must be text{null}.{advice}"
    return begin + str(error["msg"])


def _range(key: Key, kind: str) -> str:
    if kind == "less_than_equal" and key.why:
        return f"must be at most {key.most:,.10g} ({key.why})."
    bounds = key.bounds()
    if kind == "finite_number" and key.most is None:
        bounds = f"{bounds} and finite" if bounds else "finite"
    return f"must be {bounds}."
