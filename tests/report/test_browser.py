"""report.html in headless Chromium: it works, it asks for nothing, and it runs nothing but its own.

`apt-get install chromium`, or another package with that program, is needed.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from report.browser import Browser
from report.test_page import evil_run, made

from lada.report.page import write_page

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    found = Browser()
    yield found
    found.close()


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    return write_page(made(folder / "run", "single_label, accuracy"))


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sweep")
    for seed in (1, 2, 3):
        write_page(made(folder / str(seed), "single_label, accuracy", seed=seed))
    return write_page(folder)


def quiet(browser: Browser, file: Path) -> None:
    assert browser.errors == []
    assert browser.requests == [file.as_uri()]


@pytest.mark.parametrize("which", ["page", "sweep"])
def test_every_chart_has_data_within_its_frame(
    browser: Browser, which: str, request: pytest.FixtureRequest
) -> None:
    file = request.getfixturevalue(which)
    browser.open(file)
    quiet(browser, file)
    charts = browser.run(
        """[...document.querySelectorAll("figure")].map((figure) => {
          const box = figure.querySelector("svg").getBoundingClientRect();
          const marks = [...figure.querySelectorAll(".m")];
          return [figure.querySelector("figcaption").textContent, marks.length,
            marks.filter((m) => { const b = m.getBoundingClientRect();
              return b.width && b.left >= box.left - 2 && b.right <= box.right + 2
                && b.top >= box.top - 2 && b.bottom <= box.bottom + 2; }).length,
            figure.querySelector("desc").textContent.length];
        })"""
    )
    assert len(charts) >= (4 if which == "sweep" else 9)
    for title, marks, inside, told in charts:
        assert marks == inside > 0 and told > 20, title


@pytest.mark.parametrize("width", [360, 390, 1280])
@pytest.mark.parametrize("which", ["page", "sweep"])
def test_no_window_has_to_scroll_sideways(
    browser: Browser, which: str, width: int, request: pytest.FixtureRequest
) -> None:
    browser.open(request.getfixturevalue(which), width, 844)
    assert browser.run("document.documentElement.scrollWidth") <= width
    size = browser.run("Math.min(...[...document.querySelectorAll('svg .tick:not(.small)')].map("
                       "(t) => t.getBoundingClientRect().height))")  # fmt: skip
    assert size >= 9  # pixels, of the smallest number at an axis


def test_dark_and_light_have_enough_contrast(browser: Browser, page: Path) -> None:
    found = {}
    for dark in (False, True):
        browser.open(page, dark=dark)
        colours = browser.run(
            """(() => { const of = (css, name) => {
              const e = document.createElement("p"); e.style.color = `var(${css})`;
              document.body.append(e); return getComputedStyle(e).color; };
              return ["--paper", "--ink", "--soft", "--c0", "--c1", "--c2", "--c3", "--c4"].map(of)
            })()"""
        )
        paper, ink, *others = map(_luminance, colours)
        assert _contrast(paper, ink) > 12
        assert all(_contrast(paper, other) > 4.5 for other in others), colours
        found[dark] = paper
    assert found[False] > 0.9 and found[True] < 0.02


def _luminance(colour: str) -> float:
    """Relative luminance of "rgb(r, g, b)" (WCAG 2)."""
    parts = [int(value) / 255 for value in re.findall(r"\d+", colour)[:3]]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one: float, other: float) -> float:
    low, high = sorted((one, other))
    return (high + 0.05) / (low + 0.05)


def test_columns_are_sorted_by_number_and_by_keyboard(browser: Browser, sweep: Path) -> None:
    browser.open(sweep)
    read = """[...document.querySelectorAll("table.sort tbody tr")].map(
        (row) => row.children[0].textContent)"""
    before = browser.run(read)
    assert len(before) == 3
    browser.run("document.querySelector('table.sort thead button').focus()")
    browser.press("Enter")
    assert browser.run(read) == sorted(before)
    browser.press("Enter")
    assert browser.run(read) == sorted(before, reverse=True)
    assert browser.run("document.querySelector('table.sort th').ariaSort") == "descending"


def test_marks_tell_their_values_by_mouse_and_keyboard(browser: Browser, page: Path) -> None:
    browser.open(page)
    tip = "document.getElementById('tip').hidden ? '' : document.getElementById('tip').textContent"
    browser.run("document.querySelector('#curves .m').focus()")
    assert browser.run(tip).startswith("step 50: 50.0 %")
    browser.press("ArrowRight")
    assert browser.run(tip).startswith("step 100: 70.0 %")
    assert browser.run("document.activeElement.getAttribute('aria-label')").startswith("step 100")
    browser.press("Escape")
    assert browser.run(tip) == ""
    box = browser.run(
        """(async () => { const mark = document.querySelector("#calibration-0 .m");
          mark.scrollIntoView({behavior: "instant", block: "center"});
          await new Promise((done) => setTimeout(done, 100));  // a scroll hides the tooltip
          const b = mark.getBoundingClientRect();
          return [b.x + b.width / 2, b.y + b.height / 2]; })()"""
    )
    browser.call("Input.dispatchMouseEvent", type="mouseMoved", x=box[0], y=box[1])
    assert browser.run(tip).startswith(("teacher: given", "artifact: given"))


def test_a_hostile_run_runs_nothing(browser: Browser, tmp_path: Path) -> None:
    file = write_page(evil_run(tmp_path / "run"))
    browser.open(file)
    quiet(browser, file)
    assert browser.run("window.evil === undefined")
    assert browser.run("document.querySelectorAll('script').length") == 1
    assert browser.run("document.querySelectorAll('[data-tip*=\"<script>\"]').length") > 0


def test_were_an_escape_missed_nothing_would_run(browser: Browser, page: Path) -> None:
    """The second wall: scripts, handlers, styles and requests that stand in the page itself."""
    evil = (
        "<script>window.evil = 1</script><svg onload='window.evil = 1'></svg>"
        "<img src='https://example.org/a.png' onerror='window.evil = 1'>"
        "<iframe src='javascript:top.evil = 1'></iframe><style>body { display: none }</style>"
        "<a id=bad href='javascript:window.evil = 1'>x</a><base href='https://example.org/'>"
    )
    file = page.with_name("pierced.html")
    file.write_text(page.read_text().replace("<main", f"{evil}<main"))
    browser.open(file)
    browser.run("document.getElementById('bad').click()")
    browser.run("new Promise((done) => setTimeout(done, 100))")
    assert browser.run("window.evil === undefined")
    assert browser.run("getComputedStyle(document.body).display") == "block"
    assert not any("example.org" in url for url in browser.requests)
    assert any("Content Security Policy" in line for line in browser.errors)


def test_it_is_printed_on_two_pages(browser: Browser, page: Path, sweep: Path) -> None:
    for file in (page, sweep):
        browser.open(file)
        pages = re.findall(rb"/Type\s*/Page\b", browser.pdf())
        assert 1 <= len(pages) <= 2


def test_it_can_be_read_without_scripts(browser: Browser, page: Path) -> None:
    browser.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.open(page)
        quiet(browser, page)
    finally:
        browser.call("Emulation.setScriptExecutionDisabled", value=False)
    assert browser.run("document.querySelectorAll('svg .m title').length") > 20
    assert browser.run("[...document.querySelectorAll('.copy')].every((b) => b.hidden)")
