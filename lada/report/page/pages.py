"""The page of a run and the page of a sweep."""

from collections.abc import Callable, Sequence
from pathlib import Path

from lada.files import write_text
from lada.report.page import sweep
from lada.report.page.about import about
from lada.report.page.answer import answer, title_of, warnings
from lada.report.page.calibration import calibration
from lada.report.page.curves import curves
from lada.report.page.document import Section, document
from lada.report.page.errors import errors
from lada.report.page.examples import examples
from lada.report.page.load import RESULTS, Run, read_run
from lada.report.page.markup import Markup, cut, join, tag
from lada.report.page.matrices import matrix_map
from lada.report.page.spectra import spectra

REPORT = "report.html"
MOST_BYTES = 2 * 10**6
"""Of a page."""

BAD = (OSError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError,
       RecursionError)  # fmt: skip
"""What a record that is not one of a run may raise."""

OF_A_RUN: tuple[tuple[str, str, Callable[[Run], Markup | None]], ...] = (
    ("curves", "Learning curves", curves),
    ("matrices", "Where the bytes are", matrix_map),
    ("spectra", "Singular values and what was cut", spectra),
)
OF_A_SPLIT: tuple[tuple[str, str, Callable[[Run, str], Markup | None]], ...] = (
    ("errors", "Errors", errors),
    ("changed", "Answers that changed", examples),
    ("calibration", "Calibration", calibration),
)


def run_page(run: Run) -> str:
    """The page of a run; what its record lacks, or its kind has not, is named at the end."""
    found, absent = [], []
    for name, title, draw in OF_A_RUN:
        content = draw(run)
        if content is None:
            absent.append(title)
        else:
            found.append(Section(name, title, content))
    for name, title, draw_split in OF_A_SPLIT:
        for number, split in enumerate(run.splits):
            content = draw_split(run, split)
            if content is not None:
                heading = f"{title} on {cut(split, 40)}"
                # Two pages of paper have no place for a second split.
                found.append(Section(f"{name}-{number}", heading, content, printed=number == 0))
        if not any(section.name.startswith(f"{name}-") for section in found):
            absent.append(title)
    content = about(run)
    if absent:
        said = (
            f"Left out: {'; '.join(absent)}. The record has nothing of it: it is of an older "
            f"version, or the method or kind {cut(run.kind, 40)} has no such thing."
        )
        content = join(content, tag("p", said, class_="note"))
    return document(title_of(run), answer(run), [*found, Section("about", "How", content)])


def sweep_page(folders: Sequence[Path], home: Path) -> str:
    """The page of several runs.

    Args:
        folders: of the runs.
        home: the folder of the page.

    Raises:
        ValueError: none of them can be read.
    """
    points, lines = sweep.read_points(folders)
    if not points:
        raise ValueError("there is no finished run that can be read")
    groups = sweep.grouped(points)
    heads = [
        join(tag("h3", f"On {group.title}") if len(groups) > 1 else None, sweep.answer(group))
        for group in groups
    ]
    sections = [
        section
        for number, group in enumerate(groups)
        for section in sweep.sections(group, home, number)
    ]
    title = f"{len(points)} runs on {cut(', '.join(dict.fromkeys(g.title for g in groups)), 200)}"
    return document(title, join(warnings(lines), heads), sections)


def write_run_page(folder: Path) -> Path:
    """Write ``report.html`` into the folder of a finished run; returns the file.

    Raises:
        OSError: it cannot be written, or there is no record.
        ValueError: the record is not one of a run, or the page would be too large.
    """
    return _write(folder, lambda: run_page(read_run(folder)))


def write_sweep_page(folder: Path, runs: Sequence[Path]) -> Path:
    """Write ``report.html`` of several runs into a folder; returns the file.

    Raises:
        OSError: it cannot be written.
        ValueError: no run can be read, or the page would be too large.
    """
    return _write(folder, lambda: sweep_page(runs, folder))


def write_page(folder: Path) -> Path:
    """Write ``report.html`` into the folder of a run, or of several at any depth.

    Raises:
        OSError: it cannot be written.
        ValueError: there is no finished run in the folder, or it cannot be read.
    """
    if (folder / RESULTS).is_file():
        return write_run_page(folder)
    runs = sorted(file.parent for file in folder.rglob(RESULTS))
    if not runs:
        raise ValueError(f"{folder}: has no finished run. Give the folder of runs, or of one.")
    return write_sweep_page(folder, runs)


def _write(folder: Path, draw: Callable[[], str]) -> Path:
    try:
        page = draw().encode("utf-8", "replace").decode()  # half a surrogate pair is no text
    except BAD as error:
        raise ValueError(
            f"{folder}: cannot be drawn ({type(error).__name__}: {error}). Give the folder of a "
            "finished run."
        ) from None
    if (size := len(page.encode())) > MOST_BYTES:
        raise ValueError(
            f"{folder}: its report would have {size / 1e6:.1f} MB, more than 2. Give a "
            "folder with fewer runs."
        )
    write_text(folder / REPORT, page)
    return folder / REPORT
