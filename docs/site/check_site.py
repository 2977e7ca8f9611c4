"""What must hold for the built site: links lead somewhere, nothing is loaded from elsewhere."""

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LOADED = {
    "script": ("src",),
    "img": ("src", "srcset"),
    "source": ("src", "srcset"),
    "iframe": ("src",),
    "object": ("data",),
    "embed": ("src",),
    "audio": ("src",),
    "video": ("src", "poster"),
    "link": ("href",),
}
"""What a browser fetches for a page by itself."""

NOT_LOADED = {"canonical", "alternate", "next", "prev", "me", "license"}
"""Values of ``rel`` for which it does not."""

IN_STYLE = re.compile(r"(?:url\(\s*|@import\s+)['\"]?\s*((?:https?:)?//[^'\")\s]+)", re.IGNORECASE)
LOST_LIST = re.compile(r"\n\s*(?:[-*]|\d+\.) ")


@dataclass
class _Page(HTMLParser):
    """Targets, links, loaded files and paragraphs of one page."""

    anchors: set[str] = field(default_factory=set)
    links: list[str] = field(default_factory=list)
    loaded: list[str] = field(default_factory=list)
    paragraphs: list[str] = field(default_factory=list)
    _open: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.anchors |= {given[name] for name in ("id", "name") if given.get(name)}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        if tag == "link" and set(given.get("rel", "").split()) <= NOT_LOADED:
            return
        for name in LOADED.get(tag, ()):
            parts = given.get(name, "").split(",") if name == "srcset" else [given.get(name, "")]
            self.loaded += [part.split()[0] for part in parts if part.strip()]
        self.loaded += IN_STYLE.findall(given.get("style", ""))
        if tag == "p":
            self.paragraphs.append("")
        if tag in ("p", "style", "code", "pre"):
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if self._open and self._open[-1] == tag:
            self._open.pop()

    def handle_data(self, data: str) -> None:
        if self._open == ["style"]:
            self.loaded += IN_STYLE.findall(data)
        elif self._open == ["p"]:
            self.paragraphs[-1] += data


def problems(site: Path) -> list[str]:
    """One line for each thing that is wrong with the site in the folder ``site``; none: [].

    Every link to a page, a file or an anchor of the site must lead there. No script, style, image
    or font may come from another host. Lists and formulas must have been recognized as such.
    """
    pages = {file: _read(file) for file in sorted(site.rglob("*.html"))}
    out = []
    for file, page in pages.items():
        name = file.relative_to(site).as_posix()
        for link in page.links + page.loaded:
            wrong = _wrong(link, file, site, pages)
            if wrong:
                out.append(f"{name}: {link}: {wrong}")
        out += [f"{name}: {link}: is loaded from elsewhere" for link in page.loaded if _far(link)]
        for text in page.paragraphs:
            if LOST_LIST.search(text):
                out.append(f"{name}: a list without a blank line before it: {_short(text)}")
            if re.search(r"(?<!\\)\$\S[^$]*\$", text):
                out.append(f"{name}: a formula that is left as text: {_short(text)}")
    for file in sorted(site.rglob("*.css")):
        text = file.read_text(encoding="utf-8")
        name = file.relative_to(site).as_posix()
        out += [f"{name}: {link}: is loaded from elsewhere" for link in IN_STYLE.findall(text)]
    return out if pages else [f"{site}: has no pages"]


def _read(file: Path) -> _Page:
    page = _Page()
    page.feed(file.read_text(encoding="utf-8"))
    return page


def _far(link: str) -> bool:
    return bool(urlsplit(link).netloc)


def _wrong(link: str, file: Path, site: Path, pages: dict[Path, _Page]) -> str:
    """What is wrong with a link inside the site; "": nothing, or it leads out of it."""
    parts = urlsplit(link)
    if parts.scheme or parts.netloc:
        return ""
    path = unquote(parts.path)
    start = site if path.startswith("/") else file.parent
    target = (start / path.lstrip("/")).resolve() if path else file
    if target.is_dir():
        target = target / "index.html"
    if not target.is_relative_to(site.resolve()) and target != file:
        return "leads out of the site"
    if not target.is_file():
        return "there is no such file"
    anchor = unquote(parts.fragment)
    page = pages.get(target)
    if anchor and page is not None and anchor not in page.anchors:
        return "there is no such anchor"
    return ""


def _short(text: str) -> str:
    return " ".join(text.split())[:60]
