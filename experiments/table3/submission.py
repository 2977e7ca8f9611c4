"""One archive for GLUE's server from several runs with submit=true, one per task.

python experiments/table3/submission.py RUN_OF_SST2 RUN_OF_MNLI ... --out submission.zip
"""

import argparse
import sys
from pathlib import Path

from lada.data.submission import SUBMISSION, zip_answers
from lada.files import output_file

WANTED = ("AX", "CoLA", "MNLI-m", "MNLI-mm", "MRPC", "QNLI", "QQP", "RTE", "SST-2", "STS-B", "WNLI")
"""The files that the server expects."""


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", type=Path, nargs="+", help="folders of runs")
    parser.add_argument("--out", type=output_file, default="submission.zip")
    args = parser.parse_args(arguments)
    files: dict[str, Path] = {}
    for run in args.runs:
        answers = sorted((run / SUBMISSION).glob("*.tsv"))
        if not answers:
            sys.exit(f"error: {run}: has no {SUBMISSION}/*.tsv; give runs that had submit=true")
        for file in answers:
            if file.stem in files:
                sys.exit(
                    f"error: {file.name}: is in {files[file.stem].parent} too; give one of both"
                )
            files[file.stem] = file
    zip_answers(list(files.values()), args.out)
    lacking = [name for name in WANTED if name not in files]
    print(f"{args.out}: {', '.join(files)}")
    if lacking:
        print(f"lacking: {', '.join(lacking)}; take those from GLUE's sample submission")


if __name__ == "__main__":
    main(sys.argv[1:])
