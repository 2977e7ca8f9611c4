"""Links and code in the documentation: every relative link leads to a file, Python blocks parse."""

import ast
import re
from pathlib import Path

import pytest
from helpers import ROOT

PAGES = sorted(
    page
    for page in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("experiments/*/*.md"))
)
LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)(?:#[^)]*)?\)")
PYTHON = re.compile(r"```python\n(.*?)```", re.DOTALL)


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_relative_links_lead_to_files(page: Path) -> None:
    links = LINK.findall(page.read_text(encoding="utf-8"))
    wrong = [
        link for link in links if "://" not in link and not (page.parent / link).resolve().exists()
    ]
    assert wrong == []


def test_the_readme_links_to_every_page_of_the_docs() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    links = {(ROOT / link).resolve() for link in LINK.findall(readme)}
    assert {page for page in ROOT.glob("docs/**/*.md") if page not in links} == set()


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_python_blocks_parse(page: Path) -> None:
    for block in PYTHON.findall(page.read_text(encoding="utf-8")):
        ast.parse(block)
