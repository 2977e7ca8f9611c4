"""The whole page, which asks for nothing from outside and runs no script but its own."""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import lada
from lada.report.page.markup import Markup, join, tag
from lada.report.page.script import SCRIPT
from lada.report.page.style import STYLE


@dataclass(frozen=True)
class Section:
    """A part of the page.

    Attributes:
        name: of its anchor.
        title: its heading, also in the list at the top.
        printed: whether it has a place on paper.
    """

    name: str
    title: str
    content: Markup
    printed: bool = True


def document(title: str, head: Markup, sections: Sequence[Section]) -> str:
    """An HTML document.

    Args:
        title: in the browser's tab, and above the answer.
        head: the answer, on the first screen.
        sections: what follows, in order.
    """
    policy = "; ".join(
        (
            "default-src 'none'",
            f"style-src {_digest(STYLE)}",
            f"script-src {_digest(SCRIPT)}",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )
    parts = [
        tag(
            "section",
            tag("h2", section.title),
            section.content,
            id=section.name,
            class_=None if section.printed else "screen",
        )
        for section in sections
    ]
    links = [tag("a", section.title, href=f"#{section.name}") for section in sections]
    page = join(
        Markup("<!doctype html>\n"),
        Markup('<html lang="en">'),
        Markup('<head><meta charset="utf-8">'),
        # Should an escape ever be missed, a browser still runs nothing of the record.
        Markup(f'<meta http-equiv="Content-Security-Policy" content="{policy}">'),
        Markup('<meta name="viewport" content="width=device-width, initial-scale=1">'),
        Markup('<meta name="referrer" content="no-referrer">'),
        tag("title", title),
        tag("style", Markup(STYLE)),
        Markup("</head><body>"),
        tag("a", "to the figures", href="#figures", class_="skip"),
        tag("header", tag("h1", title), head, tag("nav", links, aria_label="sections")),
        tag("main", parts, id="figures"),
        tag("footer", f"Made by lada {lada.__version__}. This page asks for nothing from outside."),
        tag("div", id="tip", role="tooltip", hidden=True),
        tag("script", Markup(SCRIPT)),
        Markup("</body></html>\n"),
    )
    return str(page)


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
