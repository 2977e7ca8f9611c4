"""docs/models_and_tasks.md, from the tables of the code: ``python -m lada.config.matrices``."""

from lada.heads.kinds import KINDS
from lada.methods import methods
from lada.methods.families import serves
from lada.nn.families import FAMILIES

HEAD = """\
# Models and tasks

Made by `python -m lada.config.matrices` from the tables of the code; a test compares it.

## Families of encoders

Any model of these families that transformers loads, with a head of transformers' own:
{families}.

A family of your own is a row in `lada/nn/families.py`.

## Kinds of tasks

`task.kind` says it; where the data, or the teacher, leave no doubt it need not be given. Every
family has a head for each of them.
"""


def page() -> str:
    """The text of the page."""
    families = ", ".join(f"`{name}`" for name in FAMILIES)
    lines = [HEAD.format(families=families)]
    lines += _table(
        ["kind", "for each text", "decided by", "also"],
        [
            [f"`{kind.name}`", kind.what, kind.metrics[0], ", ".join(kind.metrics[1:])]
            for kind in KINDS.values()
        ],
    )
    lines += ["", "Rerankers are `regression` with `task.query`: MAP decides.", ""]
    lines += ["## Methods and kinds", ""]
    known = methods()
    lines += _table(
        ["method", *KINDS],
        [
            [f"`{name}`", *("yes" if found.not_served(kind) is None else "-" for kind in KINDS)]
            for name, found in known.items()
        ],
    )
    reasons = {
        (name, reason): None
        for name, found in known.items()
        for kind in KINDS
        if (reason := found.not_served(kind)) is not None
    }
    lines += ["", *(f"- `{name}` {reason}." for name, reason in reasons), ""]
    lines += ["## Methods and families", ""]
    lines += _table(
        ["method", *FAMILIES],
        [
            [f"`{name}`", *("yes" if serves(name, family) is None else "-" for family in FAMILIES)]
            for name in known
        ],
    )
    told: dict[tuple[str, str], list[str]] = {}
    for name in known:
        for family in FAMILIES:
            if (why := serves(name, family)) is not None:
                told.setdefault((name, why), []).append(family)
    lines += [
        "",
        *(f"- `{name}` {why}: not for {', '.join(x)}." for (name, why), x in told.items()),
    ]
    without = [f"`{name}`" for name, row in FAMILIES.items() if not row.maps]
    lines += [
        "",
        f"The attention term of the loss is left out for {' and '.join(without)}, whose attention "
        "maps cannot be had; the run, its record and the model card say so.",
    ]
    return "\n".join(lines) + "\n"


def _table(header: list[str], rows: list[list[str]]) -> list[str]:
    rule = ["---"] * len(header)
    return [f"| {' | '.join(cells)} |" for cells in (header, rule, *rows)]


if __name__ == "__main__":
    print(page(), end="")
