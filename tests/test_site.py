"""The site of the documentation: formulas, links, pictures, and what stops its build."""

import json
import re
import shutil
from pathlib import Path, PurePosixPath

import pytest
import stranger
from build_site import build
from check_site import problems
from helpers import ROOT
from markdown import Markdown
from pictures import PICTURES
from stage_site import relative, stage

PAGES = ("README.md", "SECURITY.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/index.md")


def converted(text: str) -> str:
    return Markdown(extensions=["formulas", "tables", "pymdownx.superfences"]).convert(text)


def test_formulas_become_mathml() -> None:
    html = converted("The rank $r_i < n$ of a *matrix*.\n\n$$\n\\frac{1}{2}\n$$\n\nEnd.")
    assert "<msub><mi>r</mi><mi>i</mi></msub>" in html
    assert "<em>matrix</em>" in html
    assert '<div class="formula"><math' in html and "<mfrac>" in html
    assert "$" not in html


@pytest.mark.parametrize(
    "text", ["`$a$ and $b$`", "$5 or 6$7", "```\n$a$\n```", "a $ b $ c", "\\$a$", "from ${x} to $"]
)
def test_what_is_no_formula(text: str) -> None:
    assert "<math" not in converted(text)


def test_pictures_are_those_of_their_script() -> None:
    files = {path.stem: path.read_text(encoding="utf-8") for path in ROOT.glob("docs/images/*.svg")}
    assert files == {name: draw() for name, draw in PICTURES.items()}


def test_every_page_of_the_docs_is_in_the_navigation() -> None:
    nav = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:")[2]
    pages = {page.relative_to(ROOT / "docs").as_posix() for page in ROOT.glob("docs/**/*.md")}
    assert {page for page in pages if f"- {page}\n" not in nav} == set()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository of a few pages, built as this one is."""
    root = tmp_path / "root"
    for name in ("docs/site", "experiments/one", "examples"):
        (root / name).mkdir(parents=True)
    for name in PAGES:
        (root / name).write_text(f"# {Path(name).stem}\n\nText.\n", encoding="utf-8")
    (root / "experiments/one/README.md").write_text(
        "# One\n\n## A part\n\n[home](../../README.md)\n"
    )
    (root / "experiments/one/run.py").write_text("print(1)\n")
    for name in ("site.css", "worker.js"):
        shutil.copy(ROOT / "docs/site" / name, root / "docs/site" / name)
    config = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:")[0]
    (root / "mkdocs.yml").write_text(config + "\n", encoding="utf-8")
    return root


def add(root: Path, text: str) -> None:
    with (root / "docs/index.md").open("a", encoding="utf-8") as file:
        file.write(f"\n{text}\n")


def test_links_lead_to_copies(root: Path, tmp_path: Path) -> None:
    add(
        root,
        "[one](../experiments/one/README.md#a-part), [files](../experiments/one), "
        "[code](../experiments/one/run.py), [far](https://example.org), [lost](lost.md), "
        "`[kept](../README.md)`",
    )
    out = tmp_path / "staged"
    stage(root, out)
    page = (out / "index.md").read_text()
    assert page.endswith(
        "[one](experiments/one.md#a-part), [files](experiments/one/files.md), "
        "[code](experiments/one/run.py), [far](https://example.org), [lost](lost.md), "
        "`[kept](../README.md)`\n"
    )
    assert "[home](../overview.md)" in (out / "experiments/one.md").read_text()
    assert "[`run.py`](run.py)" in (out / "experiments/one/files.md").read_text()
    assert (out / "experiments/one/run.py").read_text() == "print(1)\n"
    assert relative(PurePosixPath("a.md"), PurePosixPath("b/c.md")) == "../a.md"


@pytest.mark.slow
def test_a_broken_link_stops_the_build(root: Path) -> None:
    add(root, "[one](../experiments/one/README.md#a-part) costs $x^2$.")
    assert build(root, root) == []
    assert "<msup>" in (root / "site/index.html").read_text()
    planted = {
        "[one](lost.md)": "page does not exist",
        "[one](../experiments/one/README.md#no-such-part)": "anchor does not exist",
        "![one](lost.png)": "index.html: lost.png: there is no such file",
    }
    before = (root / "docs/index.md").read_text()
    for text, said in planted.items():
        (root / "docs/index.md").write_text(before)
        add(root, text)
        assert said in "\n".join(build(root, root))


@pytest.mark.slow
def test_the_site_is_built_without_a_problem(tmp_path: Path) -> None:
    assert build(ROOT, tmp_path) == []
    formulas = (tmp_path / "site/method.html").read_text(encoding="utf-8").count("<math")
    assert formulas > 20


def site(folder: Path, body: str, head: str = "") -> list[str]:
    folder.mkdir(exist_ok=True)
    (folder / "other.html").write_text('<h1 id="part">Other</h1>')
    (folder / "a.html").write_text(f"<html><head>{head}</head><body>{body}</body></html>")
    return problems(folder)


@pytest.mark.parametrize(
    ("body", "head", "said"),
    [
        ('<a href="lost.html">x</a>', "", "a.html: lost.html: there is no such file"),
        ('<a href="other.html#no">x</a>', "", "a.html: other.html#no: there is no such anchor"),
        ('<a href="../../x">x</a>', "", "a.html: ../../x: leads out of the site"),
        ('<img src="lost.png">', "", "a.html: lost.png: there is no such file"),
        ('<img src="https://h/a.png">', "", "a.html: https://h/a.png: is loaded from elsewhere"),
        ("", '<script src="//h/a.js"></script>', "a.html: //h/a.js: is loaded from elsewhere"),
        ("", '<link rel="stylesheet" href="https://h/a.css">',
         "a.html: https://h/a.css: is loaded from elsewhere"),
        ("", "<style>@import 'https://h/b.css';</style>",
         "a.html: https://h/b.css: is loaded from elsewhere"),
        ("<p>These:\n- one\n- two</p>", "",
         "a.html: a list without a blank line before it: These: - one - two"),
        ("<p>costs $x^2$ now</p>", "", "a.html: a formula that is left as text: costs $x^2$ now"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_site(tmp_path: Path, body: str, head: str, said: str) -> None:
    assert site(tmp_path / "site", body, head) == [said]


def test_what_is_right(tmp_path: Path) -> None:
    body = (
        '<a href="other.html#part">x</a><a href="https://example.org">x</a><a href="#here">x</a>'
        '<p id="here">Two <code>$a$</code></p><img src="data:image/png;base64,AA==">'
    )
    assert site(tmp_path / "site", body, '<link rel="canonical" href="https://h/a.html">') == []
    assert problems(tmp_path / "none") == [f"{tmp_path / 'none'}: has no pages"]


def test_a_style_that_loads_a_font(tmp_path: Path) -> None:
    folder = tmp_path / "site"
    site(folder, "")
    (folder / "a.css").write_text("@font-face { src: url(https://h/f.woff2) }")
    assert problems(folder) == ["a.css: https://h/f.woff2: is loaded from elsewhere"]


def test_the_worked_example_of_the_format_page() -> None:
    page = (ROOT / "docs/format.md").read_text(encoding="utf-8")
    part = page.partition("## A worked example")[2].partition("\n## ")[0]
    hexes, matrix = re.findall(r"```\n(.*?)```", part, re.DOTALL)
    folder = ROOT / "tests/artifact/version_2.0"
    name = re.findall(r"`(bert\.[\w.]+)`", part)[0]
    blob = stranger.packed(folder / "model.safetensors")[name]
    lines = [f"{i:04x}  {blob[i : i + 16].hex(' ')}\n" for i in range(0, len(blob), 16)]
    assert hexes == "".join(lines)
    tensor = stranger.tensor(name, blob)
    shown = [[float(cell) if cell != "." else 0.0 for cell in line.split()]
             for line in matrix.splitlines()]  # fmt: skip
    assert shown == [[round(float(value), 4) for value in row] for row in tensor]
    content = (folder / "model.safetensors").read_bytes()
    assert content[:8].hex(" ") in part
    assert f"{int.from_bytes(content[:8], 'little'):,} bytes" in part
    for offset, cells in re.findall(r"^\| (\d+) \| (`[^|]*`) \|", part, re.MULTILINE):
        given = re.findall(r"`([^`]*)`", cells)[0].partition(" ...")[0]
        assert blob[int(offset) :].hex(" ").startswith(given), offset
    assert json.loads((folder / "config.json").read_text())["lada"]["version"] == "2.0"
