"""Every family with every kind of task and every method: `make test-matrix`.

Tiny random models of the real classes are compressed, stored, read, answered and exported, see
`checks.py`. Each family is a process of its own.
"""

import argparse
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import checks

CHECKS = {"kinds": checks.of_kind, "methods": checks.of_method}
FILE = Path(__file__).with_name("results.json")


def check_family(family: str) -> None:
    """Check all pairs of a family that are served, and print each result as a line of JSON."""
    from lada.heads.kinds import KINDS
    from lada.methods.families import serves
    from lada.methods.registry import BUILT_IN

    names = {
        "kinds": list(KINDS),
        "methods": [name for name in BUILT_IN if serves(name, family) is None],
    }
    for matrix, check in CHECKS.items():
        for name in names[matrix]:
            print(json.dumps([matrix, f"{family}/{name}", check(family, name)]), flush=True)


def in_a_process(family: str) -> list[tuple[str, str, dict[str, Any]]]:
    """`check_family` in a process of its own, whose memory is free afterwards."""
    command = [sys.executable, __file__, "--family", family]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = [tuple(json.loads(line)) for line in done.stdout.splitlines() if line.startswith("[")]
    if done.returncode:
        error = done.stderr.strip().splitlines()[-1:]
        found.append(("kinds", f"{family}/process", {"process": f"{done.returncode}: {error}"}))
    return found


def table(results: dict[str, dict[str, Any]]) -> str:
    """Markdown: the largest difference over the forms, or which form fails; empty: not served."""
    columns = list(dict.fromkeys(name.split("/")[1] for name in results))
    lines = ["| family | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for family in dict.fromkeys(name.split("/")[0] for name in results):
        cells = []
        for column in columns:
            found = results.get(f"{family}/{column}", {})
            wrong = [form for form, value in found.items() if isinstance(value, str)]
            cell = f"{max(found.values()):.0e}" if found and not wrong else ""
            cells.append(f"fails: {', '.join(wrong)}" if wrong else cell)
        lines.append(f"| {family} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> int:
    """0 if no pair fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--family", help="this one alone, in this process, as lines of JSON")
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()
    if arguments.family:
        check_family(arguments.family)
        return 0
    from lada.nn.families import FAMILIES

    results: dict[str, dict[str, Any]] = {matrix: {} for matrix in CHECKS}
    with ThreadPoolExecutor(arguments.processes) as pool:
        for found in pool.map(in_a_process, FAMILIES):
            for matrix, pair, cell in found:
                results[matrix][pair] = cell
                print(matrix, pair, cell, flush=True)
            FILE.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    for matrix, each in results.items():
        print(f"\n{matrix}\n\n{table(each)}")
    cells = [cell for each in results.values() for cell in each.values()]
    return int(any(isinstance(value, str) for cell in cells for value in cell.values()))


if __name__ == "__main__":
    sys.exit(main())
