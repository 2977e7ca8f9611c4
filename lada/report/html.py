"""The table of a run as HTML, for notebooks."""

from collections.abc import Iterable
from html import escape
from typing import Any

from lada.report.table import run_rows

_STYLES = {
    "table": "border-collapse: collapse; font-variant-numeric: tabular-nums",
    "caption": "caption-side: top; text-align: left; font-weight: bold; padding: 0.4em 0",
    "head": "text-align: right; padding: 0.2em 1em; border-bottom: 1px solid currentColor",
    "name": "text-align: left; padding: 0.2em 1em 0.2em 0; font-weight: normal",
    "cell": "text-align: right; padding: 0.2em 1em",
    "best": "text-align: right; padding: 0.2em 1em; font-weight: bold",
    "note": "font-size: smaller; opacity: 0.75; margin: 0.4em 0",
}
"""Inline, since notebooks drop style elements; no colours, so that dark themes stay readable."""


def run_html(record: dict[str, Any], places: Iterable[tuple[str, str]] = ()) -> str:
    """The table of a run as HTML; all text is escaped.

    Args:
        record: of a run.
        places: names and paths that are listed below the table.
    """
    shown = run_rows(record)
    head = "".join(
        _cell("th", "head", text, 'scope="col"') for text in ("", "teacher", "artifact", "change")
    )
    body = "".join(
        "<tr>"
        + _cell("th", "name", name, 'scope="row"')
        + _cell("td", "cell", teacher)
        + _cell("td", "best", artifact)
        + _cell("td", "cell", change)
        + "</tr>"
        for name, teacher, artifact, change in shown.rows
    )
    notes = [shown.caption, *(f"{name}: {place}" for name, place in places)]
    return (
        f'<table style="{_STYLES["table"]}">'
        + _cell("caption", "caption", shown.title)
        + f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        + "".join(_cell("p", "note", note) for note in notes)
        + "".join(f"<p><strong>{escape(f'warning: {line}')}</strong></p>"
                  for line in shown.warnings)
    )  # fmt: skip


def _cell(tag: str, style: str, text: str, more: str = "") -> str:
    return f'<{tag} {more + " " if more else ""}style="{_STYLES[style]}">{escape(text)}</{tag}>'
