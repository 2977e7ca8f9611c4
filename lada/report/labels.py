"""Labels that tell the runs of a table apart: the method, and the settings in which runs differ."""

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

GROUPS = ("artifact", "data", "distill", "method", "optim", "ratios", "schedule", "target", "task",
          "teacher")  # fmt: skip
"""Groups of the config whose keys make runs of one method different ones."""
ALSO = ("compile", "trainer.accumulate", "trainer.checks")
ELSEWHERE = (
    "data.dir", "data.workers", "method.name", "optim.lr", "task.name", "teacher.margin",
)  # fmt: skip
"""Keys of these groups that a table shows in a column of their own, or that change no result."""
OWN = ("artifact", "distill", "method", "optim", "ratios", "schedule")
"""Groups whose keys are shown without the group: ``factorizer=whitened``."""


def flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested dicts as one, with dotted keys."""
    out: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, dict):
            out |= flat(value, f"{prefix}{key}.")
        else:
            out[prefix + key] = value
    return out


def settings_in(config: Mapping[str, Any]) -> dict[str, Any]:
    """What may tell a run apart from another of its method: a part of the config, flat.

    Args:
        config: of a record, by group.
    """
    return {key: value for key, value in flat(config).items() if _tells(key)}


def settings_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """The same of a row of the comparison; of an older one what its command gives."""
    if "settings" in row:
        return dict(row["settings"])
    return {"artifact.values": row["values"]} | _given(row)


def same_run(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two rows of one method, task, target, rate and seed have the same settings."""
    return not _differing([one, other])


def labels(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """A label for each row: its method, and its settings where rows of that method differ.

    Rows of the same model, task and target are compared. A key in which they differ is shown for
    the method's other targets as well, so that a variant has one label. A key that older rows lack
    counts where a command gives it. A row with a ``label`` has it in place of its method.

    Example:
        >>> common = {"model": "m", "task": "t", "target": "7.5x", "method": "lada", "command": ""}
        >>> values = ({"artifact.values": "int8"}, {"artifact.values": "int4"})
        >>> labels([common | {"settings": value} for value in values])
        ['lada, int8', 'lada, int4']
    """
    alike: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
    differing: dict[tuple[str, ...], set[str]] = {}
    for row in rows:
        alike.setdefault((*_family(row), row["target"]), []).append(row)
    for (*family, _), members in alike.items():
        differing.setdefault(tuple(family), set()).update(_differing(members))
    return [_label(row, differing[_family(row)]) for row in rows]


def name_of(row: Mapping[str, Any]) -> str:
    """The first part of a row's label."""
    return str(row.get("label", row["method"]))


def _family(row: Mapping[str, Any]) -> tuple[str, ...]:
    return (row["model"], row["task"], name_of(row))


def _tells(key: str) -> bool:
    return (key.partition(".")[0] in GROUPS and key not in ELSEWHERE) or key in ALSO


def _given(row: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that a row's command gives, and its choices of groups."""
    out = {}
    for word in shlex.split(row["command"]):
        key, sign, text = word.lstrip("+").partition("=")
        # These choices stand in the row by themselves.
        if sign and _tells(key) and key not in ("artifact", "method", "target", "task"):
            out[key] = _value(text)
    return out


def _value(text: str) -> Any:
    """The value of an override, as the config has it."""
    words = {"null": None, "true": True, "false": False}
    if text.lower() in words:
        return words[text.lower()]
    try:
        return float(text)
    except ValueError:
        return text


def _differing(rows: Sequence[Mapping[str, Any]]) -> set[str]:
    """The keys that have several values in these rows, or that some lack and a command gives."""
    values: dict[str, list[str]] = {}
    given: set[str] = set()
    for row in rows:
        given |= _given(row).keys()
        for key, value in settings_of(row).items():
            # 1 and 1.0 are one value, 1 and true are two.
            number = isinstance(value, int) and not isinstance(value, bool)
            values.setdefault(key, []).append(repr(float(value) if number else value))
    return {
        key
        for key, found in values.items()
        if len(set(found)) > 1 or (key in given and len(found) < len(rows))
    }


def _label(row: Mapping[str, Any], differing: set[str]) -> str:
    settings = settings_of(row)
    keys = sorted(differing & settings.keys())
    texts = (_text(key, _short(key, keys), settings[key]) for key in keys)
    return ", ".join([name_of(row), *texts])


def _short(key: str, keys: Sequence[str]) -> str:
    """The last part of a key, unless another one ends alike; the rule of ratios is ``ratios=``."""
    if key == "ratios.rule":
        return "ratios"
    group, _, name = key.rpartition(".")
    alone = sum(other.rpartition(".")[2] == name for other in keys) == 1
    return name if group in OWN and alone else key


def _text(key: str, name: str, value: Any) -> str:
    if key == "artifact.values":
        return str(value)
    if value is None or isinstance(value, bool):
        return f"{name}={'null' if value is None else str(value).lower()}"
    return f"{name}={value:g}" if isinstance(value, int | float) else f"{name}={value}"
