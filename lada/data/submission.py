"""Files for GLUE's server: answers to its unlabelled test sets."""

import zipfile
from collections.abc import Sequence
from pathlib import Path

SUBMISSION = "submission"
"""Their folder in that of a run."""
ZIP = "submission.zip"
"""The file to upload; the server expects the files of all its tasks in one archive."""


def write_answers(file: Path, numbers: Sequence[str], words: Sequence[str]) -> None:
    """Write a file for the server: a header, then the number and the answer of each example."""
    rows = zip(numbers, words, strict=True)
    lines = ["index\tprediction", *(f"{number}\t{word}" for number, word in rows)]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")


def zip_answers(files: Sequence[Path], target: Path) -> None:
    """Put files into one archive, without their folders."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in files:
            # The same date for all, so that the same answers make the same archive.
            archive.writestr(zipfile.ZipInfo(file.name), file.read_bytes(), zipfile.ZIP_DEFLATED)
