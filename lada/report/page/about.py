"""How the run was made: command, machine, versions and config, to copy."""

import json
from typing import Any

from lada.report.page.load import Run
from lada.report.page.markup import Markup, cut, join, tag
from lada.report.page.tables import plain

LONGEST = 100_000
"""Most characters of a config that are shown."""


def about(run: Run) -> Markup:
    """The command, times, versions and the whole config."""
    record = run.record
    machine: dict[str, Any] = record["machine"]
    data = [
        (name, f"{part['rows']:,}", str(part["sha256"])[:12])
        for name, part in record.get("data", {}).items()
    ]
    seconds = [
        (name, f"{float(value):,.1f}")
        for name, value in record.get("seconds", {}).items()
        if float(value) >= 0.05
    ]
    versions = ", ".join(
        f"{name} {version}" for name, version in machine.get("versions", {}).items()
    )
    said = (
        f"{machine.get('device')}, {machine.get('cpu')}, {machine.get('threads')} threads, "
        f"{record.get('precision')}; Python {machine.get('python')}, {versions}; seed "
        f"{record.get('seed')}"
    )
    return join(
        copied("command", str(record["command"])),
        tag("p", cut(said, 1000), class_="note wide"),
        tag(
            "details",
            tag("summary", "Data and time"),
            plain("examples", ("split", "examples", "SHA-256"), data),
            plain(_caption(record), ("phase", "seconds"), seconds),
        ),
        tag(
            "details",
            tag("summary", "Config and versions"),
            copied(
                "config",
                json.dumps(
                    {"config": record["config"], "machine": machine}, indent=2, ensure_ascii=False
                ),
            ),
        ),
    )


def _caption(record: dict[str, Any]) -> str:
    return "seconds since it was resumed" if record.get("resumed") else "seconds"


def copied(name: str, text: str) -> Markup:
    """A text with a button that copies it, which appears where scripts run."""
    return join(
        tag("pre", cut(text, LONGEST), id=f"text-{name}", tabindex="0"),
        tag("button", f"copy {name}", type="button", class_="copy", data_of=f"text-{name}",
            hidden=True),
    )  # fmt: skip
