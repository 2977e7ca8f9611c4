"""Markdown tables, also within a README."""

from collections.abc import Sequence
from pathlib import Path


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; the first column aligned left, the others right."""
    lines = [header, ["---", *(["---:"] * (len(header) - 1))], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def put(readme: Path, marks: tuple[str, str], text: str) -> None:
    """Replace the text between two marks of a README.

    Raises:
        ValueError: a mark is missing.
    """
    whole = readme.read_text(encoding="utf-8")
    before, first, rest = whole.partition(marks[0])
    _, last, after = rest.partition(marks[1])
    if not (first and last):
        raise ValueError(f"{readme}: lacks {marks[0]} or {marks[1]}")
    readme.write_text(f"{before}{first}\n\n{text}\n{last}{after}", encoding="utf-8")
