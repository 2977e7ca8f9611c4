"""docs/config.md, made from the classes of the settings: ``python -m lada.config.docs``."""

import sys
from collections.abc import Iterator
from typing import Any

from lada.config.whole import GROUPS, Config
from lada.methods import MethodSettings, methods
from lada.methods.registry import BUILT_IN
from lada.schema import Key, keys_of
from lada.search.settings import SearchSettings

_HEAD = """# The settings

Every key of the command line, `KEY=VALUE`, and of the classes in `lada.config`, with its type,
default, range and meaning. `python train.py --cfg job` shows the values of one command. A group may
be given as one of its named choices, `GROUP=NAME`, which are the files of [conf/](../conf/); a key
of a group as `GROUP.KEY=VALUE`.

Nothing is converted: `true` is not a number, `1` is not `true`, `1.0` is not a whole number; `1` is
a number. NaN and infinity are rejected. All wrong values are told at once, one line each.

This page is made from the classes by `python -m lada.config.docs > docs/config.md`.
"""


def page() -> str:
    """The page as Markdown; methods of other packages are not in it."""
    return "\n".join([_HEAD, *_parts()]) + "\n"


def _parts() -> Iterator[str]:
    known = {name: methods()[name] for name in BUILT_IN}
    for group, cls in GROUPS.items():
        if group == "method":
            yield from _method_part(known)
            continue
        yield f"## {group}\n"
        yield _summary(cls)
        used = _used_by(group, known)
        if used:
            yield f"{used}\n"
        yield _table(keys_of(cls).values())
    yield "## Without a group\n"
    yield _table(keys_of(Config).values())
    yield "## search\n"
    yield "Of [`lada search`](running.md#search) alone, which takes all other keys, too.\n"
    yield _table(keys_of(SearchSettings).values())


def _method_part(known: dict[str, type[MethodSettings]]) -> Iterator[str]:
    yield "## method\n"
    yield (
        "How the student is made smaller: `method=NAME`. [methods.md](methods.md) has a card for\n"
        "each. A key exists for the methods in its last column alone.\n"
    )
    rows: dict[tuple[str, ...], list[str]] = {}
    for name, cls in known.items():
        for key in keys_of(cls).values():
            rows.setdefault(_cells(key), []).append(name)
    lines = ["| key | type | default | range | meaning | methods |", "|---|---|---|---|---|---|"]
    for cells, names in rows.items():
        lines.append(f"| {' | '.join(cells)} | {' '.join(f'`{n}`' for n in names)} |")
    yield "\n".join(lines) + "\n"


def _used_by(group: str, known: dict[str, type[MethodSettings]]) -> str:
    """Which methods read a group that not all of them read."""
    if group == "schedule":
        names = [name for name, cls in known.items() if cls.size == "own"]
        return f"Not used by {_list(names)}."
    names = [name for name, cls in known.items() if group in cls.reads]
    return f"Used by {_list(names)}." if names else ""


def _list(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _summary(cls: type) -> str:
    return " ".join((cls.__doc__ or "").split()) + "\n"


def _table(keys: Any) -> str:
    lines = ["| key | type | default | range | meaning |", "|---|---|---|---|---|"]
    lines += [f"| {' | '.join(_cells(key))} |" for key in keys]
    return "\n".join(lines) + "\n"


def _cells(key: Key) -> tuple[str, ...]:
    kind = key.type + (" or null" if key.nullable else "")
    if key.choices:
        kind = ", ".join(f"`{choice}`" for choice in key.choices)
    bounds = key.bounds()
    if key.by_machine:
        low = "" if key.least is None else f"at least {key.least:g} and "
        bounds = f"{low}at most what the machine allows"
    return (f"`{key.name}`", kind, f"`{_shown(key.default)}`", bounds, key.meaning)


def _shown(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    sys.stdout.write(page())
