"""Files for GLUE's server: answers to its unlabelled test sets."""

import zipfile
from collections.abc import Sequence
from pathlib import Path

SUBMISSION = "submission"
"""Their folder in that of a run."""
ZIP = "submission.zip"
"""What is uploaded; the server wants the files of all its tasks in one."""


def write_answers(file: Path, numbers: Sequence[str], words: Sequence[str]) -> None:
    """Write what the server reads: a header, then the number and the answer of each row."""
    rows = zip(numbers, words, strict=True)
    lines = ["index\tprediction", *(f"{number}\t{word}" for number, word in rows)]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")


def zip_answers(files: Sequence[Path], target: Path) -> None:
    """Put files into one archive, without their folders."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in files:
            # Dated alike, so that the same answers make the same archive.
            archive.writestr(zipfile.ZipInfo(file.name), file.read_bytes(), zipfile.ZIP_DEFLATED)
